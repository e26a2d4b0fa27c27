#include "common/lesson/lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace steps {
namespace {

// In another order, which is the same in each run: the right answer must not
// always stand first.
std::vector<std::string> Mixed(const std::string& question,
                               std::vector<std::string> answers) {
  std::uint32_t hash = 2166136261U;  // FNV-1a.
  for (const char c : question) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  for (std::size_t left = answers.size(); left > 1; --left) {
    std::swap(answers[left - 1], answers[hash % left]);
    hash /= static_cast<std::uint32_t>(left);
  }
  return answers;
}

// The facts of one column that are no namespace's number.
std::vector<Fact> FactsOf(const Comparison& comparison, pid_t pid,
                          std::size_t column) {
  std::vector<Fact> facts = {{"PID outside", fmt::to_string(pid)}};
  for (const std::vector<std::string>& row : comparison.rows) {
    if (row[column].find(":[") == std::string::npos) {
      facts.push_back({row[0], row[column]});
    }
  }
  return facts;
}

}  // namespace

Lesson::Lesson(Tell tell, Machine machine)
    : tell_(std::move(tell)),
      machine_(std::move(machine)),
      outside_(Process::Self("outside", this)) {}

void Lesson::Say(const Event& event) {
  if (Process::IsChild()) {
    throw std::logic_error("told in a child: only the lesson itself may");
  }
  tell_(event);
}

void Lesson::OnCall(const std::string& process, const Call& call) {
  Say(Called{process, call});
}

void Lesson::OnEvidence(const std::string& process, const Evidence& evidence,
                        Place place) {
  Say(Shown{process, evidence, place});
}

void Lesson::Step(std::string title, std::string what, Place place) {
  Say(steps::Step{++step_, std::move(title), std::move(what), place});
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
  Say(steps::Claim{text, outcome.holds, std::move(outcome.reason)});
  if (outcome.holds == false) throw Contradiction(text);
}

Outcome Lesson::Attempt(const std::function<bool()>& experiment) {
  try {
    return {experiment()};
  } catch (const std::exception& error) {
    const std::optional<Advice> advice = Explain(error, machine_);
    if (!advice) throw;
    return {std::nullopt, fmt::format("{}. {}", error.what(), advice->cause)};
  }
}

void Lesson::Predict(std::string question, std::vector<std::string> answers) {
  answers_ = Mixed(question, std::move(answers));
  Say(Question{std::move(question), answers_});
}

void Lesson::Answer(std::string found, std::string because) {
  if (answers_.empty()) throw std::logic_error("an answer to no question");
  const auto right = std::ranges::find(answers_, found);
  std::optional<int> number;
  if (right != answers_.end()) {
    number = static_cast<int>(right - answers_.begin()) + 1;
  }
  Say(steps::Answer{std::move(found), number, std::move(because)});
}

void Lesson::Note(std::string text) { Say(steps::Note{std::move(text)}); }

void Lesson::Compare(const Evidence& before, const Evidence& inside,
                     const Evidence& after, const std::string& who,
                     const std::string& other) {
  // A process that ends leaves all its namespaces but two.
  if (inside.findings().size() < before.findings().size()) {
    throw ProcessError(who + " has ended");
  }
  Comparison comparison;
  comparison.header = {"", other + " before", who, other + " after", "verdict"};
  for (std::size_t i = 0; i < before.findings().size(); ++i) {
    const auto& [probe, was, source] = before.findings()[i];
    const std::string& there = inside.findings()[i].value;
    const std::string& is = after.findings().at(i).value;
    comparison.rows.push_back({probe, was, there, is,
                               is != was      ? "changed"
                               : there == was ? "shared"
                                              : "private"});
  }
  Say(comparison);
  comparison_ = std::move(comparison);
}

void Lesson::Show(Table table) { Say(std::move(table)); }

void Lesson::Show(Drawing drawing) { Say(std::move(drawing)); }

void Lesson::Draw(const std::map<int, NamespaceId>& home) {
  const pid_t own = outside_.pid();
  enum Column { kBefore = 1, kInside, kAfter };
  Show(Drawing{"before",
               {{"outside", home, FactsOf(comparison_, own, kBefore)}}});
  Drawing after = {
      "after",
      {{"outside", NamespacesOf(own), FactsOf(comparison_, own, kAfter)}}};
  if (kept_) {
    const pid_t pid = kept_->pid();
    after.processes.push_back(
        {"inside", NamespacesOf(pid), FactsOf(comparison_, pid, kInside)});
  }
  Show(std::move(after));
}

void Lesson::Remember(std::string text) { Say(Lore{std::move(text)}); }

}  // namespace steps
