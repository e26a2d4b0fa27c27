#include "common/show/wording.h"

#include <fmt/format.h>

#include "common/show/printable.h"

namespace steps {

std::string Setting(const Opening& opening) {
  std::string as = fmt::format("as uid {}", opening.uid);
  if (opening.privilege == "root") {
    as = opening.uid == 0 ? "as root" : as + " with capabilities";
  } else if (opening.privilege == "user namespace") {
    as += ", root in a new user namespace";
  }
  return fmt::format("Linux {}, {}.", opening.kernel, as);
}

std::string Found(const Answer& answer) {
  const std::string found = Printable(answer.found);
  std::string text = fmt::format("none of these: {}", found);
  if (answer.number) text = fmt::format("{}: {}", *answer.number, found);
  if (!answer.picked) return text;
  return answer.picked == answer.number
             ? "yes, " + text
             : fmt::format("not {}, but {}", *answer.picked, text);
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
