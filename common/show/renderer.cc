#include "common/show/renderer.h"

#include <fmt/format.h>

#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/show/printable.h"

namespace steps {

OutputError::OutputError(int error)
    : std::runtime_error(CallError(error, "cannot write the output").what()),
      error_(error) {}

void WriteOutput(int fd, std::string_view text) {
  try {
    WriteAll(fd, text);
  } catch (const CallError& error) {
    throw OutputError(error.error());
  }
}

Show To(int fd, Renderer renderer) {
  return [fd, renderer = std::move(renderer)](const Event& event) {
    WriteOutput(fd, renderer(event));
  };
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
