#include "common/show/renderer.h"

#include <fmt/format.h>

#include <cstring>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/show/printable.h"

namespace steps {

OutputError::OutputError(int error)
    : std::runtime_error(fmt::format("cannot write the output: {} ({})",
                                     strerror(error), ErrnoName(error))),
      error_(error) {}

void WriteOutput(int fd, std::string_view text) {
  try {
    WriteAll(fd, text);
  } catch (const CallError& error) {
    throw OutputError(error.error());
  }
}

Write To(int fd) {
  return [fd](std::string_view text) { WriteOutput(fd, text); };
}

std::string Setting(const Opening& opening) {
  std::string as = fmt::format("as uid {}", opening.uid);
  if (opening.privilege == "root") {
    as = opening.uid == 0 ? "as root" : as + " with capabilities";
  } else if (opening.privilege == "user namespace") {
    as += ", root in a new user namespace";
  }
  return fmt::format("Linux {}, {}.", opening.kernel, as);
}

Table TableOf(const Comparison& comparison) {
  Table table = {
      {"", "outside before", comparison.who, "outside after", "verdict"}, {}};
  for (const Comparison::Row& row : comparison.rows) {
    table.rows.push_back(
        {row.probe, row.before, row.inside, row.after, row.verdict});
  }
  return table;
}

Item ItemOf(const Claim& claim) {
  if (!claim.holds) {
    return {"skipped", {}, fmt::format("{} ({})", claim.text, claim.reason)};
  }
  return {*claim.holds ? "holds" : "FAILS", claim.holds, claim.text};
}

std::string Count(const Verdict& verdict) {
  const int tried = verdict.held + verdict.contradicted;
  if (tried + verdict.skipped == 0) return "";
  std::string text = fmt::format("{} of {} claims hold", verdict.held, tried);
  if (verdict.skipped > 0) text += fmt::format(", {} skipped", verdict.skipped);
  return text + ".";
}

std::string Report(const std::string& lesson, const Verdict& verdict) {
  std::string text = fmt::format("{}: {}\n", lesson, Printable(verdict.error));
  if (verdict.advice) {
    text += fmt::format("  cause   {}\n  remedy  {}\n", verdict.advice->cause,
                        verdict.advice->remedy);
  }
  return text;
}

}  // namespace steps
