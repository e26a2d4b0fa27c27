#include "common/lesson/lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>

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

}  // namespace

Lesson::Lesson(Tell tell, Machine machine)
    : tell_(std::move(tell)),
      machine_(std::move(machine)),
      outside_(Process::Self("outside", [this](const auto& told) {
        std::visit([this](const auto& event) { Show(event); }, told);
      })) {}

void Lesson::Show(const Event& event) {
  if (Process::IsChild()) {
    throw std::logic_error("told in a child: only the lesson itself may");
  }
  tell_(event);
}

void Lesson::Step(std::string title, std::string what, Place place) {
  Show(steps::Step{++step_, std::move(title), std::move(what), place});
}

void Lesson::Claim(std::string text, Outcome outcome) {
  const char* word = "skipped";
  if (!outcome.holds) {
    ++verdict_.skipped;
  } else if (*outcome.holds) {
    word = "holds";
    ++verdict_.held;
  } else {
    word = "FAILS";
    ++verdict_.contradicted;
    verdict_.outcome = "contradicted";
    verdict_.exit_status = 1;
  }
  Show(Item{word, outcome.holds, std::move(text), std::move(outcome.reason)});
  if (outcome.holds == false) throw Contradiction();
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
  Show(Question{std::move(question), answers_});
}

void Lesson::Answer(std::string found, std::string because) {
  const auto right = std::ranges::find(answers_, found);
  std::optional<int> number;
  if (right != answers_.end()) {
    number = static_cast<int>(right - answers_.begin()) + 1;
  }
  Show(steps::Answer{std::move(found), number, std::move(because)});
}

void Lesson::Compare(const Evidence& before, const Evidence& inside,
                     const Evidence& after, const std::string& who,
                     const std::string& other) {
  // A process that ends leaves all its namespaces but two.
  if (inside.findings.size() < before.findings.size()) {
    throw std::runtime_error(who + " has ended");
  }
  comparison_ = {
      {"", other + " before", who, other + " after", "verdict"}, {}, true};
  for (std::size_t i = 0; i < before.findings.size(); ++i) {
    const auto& [probe, was, source] = before.findings[i];
    const std::string& there = inside.findings[i].value;
    const std::string& is = after.findings.at(i).value;
    comparison_.rows.push_back({probe, was, there, is,
                                is != was      ? "changed"
                                : there == was ? "shared"
                                               : "private"});
  }
  Show(comparison_);
}

void Lesson::Draw(const std::map<int, NamespaceId>& home) {
  // With the facts in this column of the last comparison, but for the numbers
  // of namespaces: their boxes have them.
  const auto side = [this](const char* name, const Process& process,
                           std::map<int, NamespaceId> namespaces,
                           std::size_t column) {
    Drawing::Process box = {name,
                            std::move(namespaces),
                            {fmt::format("PID outside: {}", process.pid())}};
    for (const std::vector<std::string>& row : comparison_.rows) {
      if (row[column].find(":[") != std::string::npos) continue;
      box.facts.push_back(fmt::format("{}: {}", row[0], row[column]));
    }
    return box;
  };
  const Process& inside = kept_.value();
  Show(Drawing{"before", {side("outside", outside_, home, 1)}});
  Show(Drawing{"after",
               {side("outside", outside_, NamespacesOf(outside_.pid()), 3),
                side("inside", inside, NamespacesOf(inside.pid()), 2)}});
}

}  // namespace steps
