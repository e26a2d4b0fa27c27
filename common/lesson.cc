#include "common/lesson.h"

#include <set>

namespace steps {

Side::Side(std::string name, Line& line)
    : Side(std::move(name),
           [&line](const Event& event) { line.Send(Encode(event)); }) {}

Evidence Side::Show(Evidence evidence) {
  tell_(Shown{name_, evidence});
  return evidence;
}

Evidence Side::Hear(Child& child) {
  while (const std::optional<std::string> message = child.Receive()) {
    const Event event = Decode(*message);
    tell_(event);
    if (const auto* shown = std::get_if<Shown>(&event)) return shown->evidence;
  }
  child.Finish();
  throw ChildError(
      fmt::format("child {}: ended without its evidence", child.pid()));
}

void Side::Record(std::int64_t result, int error, std::string text) {
  tell_(Call{name_, std::move(text), result, result == -1 ? error : 0});
}

Lesson::Lesson(Renderer& renderer, Machine machine)
    : renderer_(renderer),
      machine_(std::move(machine)),
      outside_("outside",
               [&renderer](const Event& event) { renderer.Render(event); }) {
  verdict_.outcome = "holds";
}

void Lesson::Begin(std::string title) {
  renderer_.Render(Step{++step_, std::move(title)});
}

void Lesson::Note(std::string text) {
  renderer_.Render(steps::Note{std::move(text)});
}

void Lesson::Compare(const Evidence& before, const Evidence& inside,
                     const Evidence& after) {
  const auto cell = [](const Evidence& evidence, const std::string& probe) {
    const std::string& value = evidence.Value(probe);
    return evidence.AllSay(probe, value) ? value : "sources differ";
  };
  Comparison comparison;
  std::set<std::string> seen;
  for (const Finding& finding : before.findings()) {
    const std::string& probe = finding.probe;
    if (!seen.insert(probe).second) continue;
    Comparison::Row row = {probe, cell(before, probe), cell(inside, probe),
                           cell(after, probe), "isolated"};
    if (row.inside == row.before) row.verdict = "shared";
    if (row.after != row.before) row.verdict = "changed";
    comparison.rows.push_back(std::move(row));
  }
  renderer_.Render(comparison);
}

void Lesson::Show(Table table) { renderer_.Render(std::move(table)); }

Outcome Lesson::Attempt(const std::function<bool()>& experiment) {
  try {
    return {experiment(), ""};
  } catch (const CallError& error) {
    const std::optional<Advice> advice = Explain(error, machine_);
    if (!advice) throw;
    return {std::nullopt, fmt::format("{}. {}", error.what(), advice->cause)};
  }
}

void Lesson::Claim(std::string text, Outcome outcome) {
  if (!outcome.holds) {
    ++verdict_.skipped;
  } else if (*outcome.holds) {
    ++verdict_.held;
  } else {
    ++verdict_.contradicted;
    verdict_.outcome = "contradicted";
    verdict_.exit_status = 1;
  }
  renderer_.Render(
      steps::Claim{std::move(text), outcome.holds, std::move(outcome.reason)});
}

}  // namespace steps
