#include "common/lesson.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace steps {
namespace {

// Where an event was told that has lines of source which led to it.
const Place* PlaceOf(const Event& event) {
  if (const auto* call = std::get_if<Call>(&event)) return &call->place;
  if (const auto* shown = std::get_if<Shown>(&event)) return &shown->place;
  return nullptr;
}

// What a column of the table says of a process in these `namespaces`: nothing
// where it names another one, for it was found elsewhere.
std::vector<Fact> FactsOf(const Comparison& comparison,
                          std::string Comparison::Row::*column,
                          const std::map<int, NamespaceId>& namespaces) {
  std::set<std::string> links;
  for (const auto& [flag, id] : namespaces) {
    links.insert(fmt::format("{}:[{}]", KindOf(flag).proc_name, id.inode));
  }
  const auto is_link = [](const std::string& value) {
    return std::ranges::any_of(Kinds(), [&](const Kind& kind) {
      return value.starts_with(fmt::format("{}:[", kind.proc_name));
    });
  };
  std::vector<Fact> facts;
  for (const Comparison::Row& row : comparison.rows) {
    const std::string& value = row.*column;
    if (!is_link(value)) {
      facts.push_back({row.probe, value});
    } else if (!links.contains(value)) {
      return {};
    }
  }
  return facts;
}

Drawing::Process Drawn(std::string name, pid_t pid,
                       std::map<int, NamespaceId> namespaces,
                       std::vector<Fact> facts) {
  facts.insert(facts.begin(), Fact{"PID outside", fmt::to_string(pid)});
  return {std::move(name), std::move(namespaces), std::move(facts)};
}

}  // namespace

Side::Side(std::string name, Line& line)
    : Side(std::move(name),
           [&line](const Event& event) { line.Send(Encode(event)); }) {}

Evidence Side::Show(Evidence evidence, Here place) {
  tell_(Shown{name_, evidence, place});
  return evidence;
}

Evidence Side::Hear(Child& child) {
  while (const std::optional<std::string> message = child.Receive()) {
    const Event event = Decode(*message);
    tell_(event);
    const auto* shown = std::get_if<Shown>(&event);
    if (shown == nullptr) continue;
    if (shown->side == "inside") inside_ = child.pid();
    return shown->evidence;
  }
  child.Finish();
  throw ChildError(
      fmt::format("child {}: ended without its evidence", child.pid()));
}

void Side::Record(std::int64_t result, int error, std::string text,
                  const Place& place) {
  tell_(Call{name_, std::move(text), result, result == -1 ? error : 0, place});
}

Lesson::Lesson(Renderer& renderer, Machine machine, bool show_code)
    : renderer_(renderer),
      machine_(std::move(machine)),
      listing_(show_code ? std::optional(Listing()) : std::nullopt),
      outside_("outside", [this](const Event& event) {
        const Place* place = PlaceOf(event);
        if (place != nullptr && listing_) {
          Code code = listing_->Lead(*place);
          if (!code.lines.empty()) renderer_.Render(std::move(code));
        }
        renderer_.Render(event);
      }) {
  verdict_.outcome = "holds";
}

void Lesson::Predict(std::string question, std::vector<std::string> answers) {
  answers_ = answers;
  renderer_.Render(Question{std::move(question), std::move(answers)});
}

void Lesson::Answer(std::string found, std::string reason) {
  if (answers_.empty()) throw std::logic_error("an answer to no question");
  const auto right = std::ranges::find(answers_, found);
  std::optional<int> number;
  if (right != answers_.end()) {
    number = static_cast<int>(right - answers_.begin()) + 1;
  }
  renderer_.Render(steps::Answer{std::move(found), number, std::move(reason)});
}

void Lesson::Begin(std::string title, Here place) {
  Step step = {++step_, std::move(title)};
  if (listing_) step.code = listing_->Step(place);
  renderer_.Render(step);
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
  comparison_ = std::move(comparison);
}

std::optional<pid_t> Lesson::inside() const {
  const std::optional<pid_t> inside =
      kept_ ? std::optional(kept_->pid()) : outside_.inside();
  if (!inside) return std::nullopt;
  const std::vector<pid_t> children = ChildrenOf(getpid());
  const bool there = std::ranges::find(children, *inside) != children.end();
  return there ? inside : std::nullopt;
}

void Lesson::Show(Table table) { renderer_.Render(std::move(table)); }

void Lesson::Show(Drawing drawing) { renderer_.Render(std::move(drawing)); }

void Lesson::Draw(const std::map<int, NamespaceId>& home) {
  using Row = Comparison::Row;
  const pid_t self = getpid();
  const auto here = NamespacesOf(self);
  Show(Drawing{"before",
               {Drawn("outside", self, home,
                      FactsOf(comparison_, &Row::before, home))}});
  Drawing after = {
      "after",
      {Drawn("outside", self, here, FactsOf(comparison_, &Row::after, here))}};
  if (kept_) {
    const pid_t pid = kept_->pid();
    const auto there = NamespacesOf(pid);
    std::vector<Fact> facts;
    // Of another child that was compared, and has ended, the namespaces'
    // numbers may be those of this one.
    if (outside_.inside() == pid) {
      facts = FactsOf(comparison_, &Row::inside, there);
    }
    after.processes.push_back(Drawn("inside", pid, there, std::move(facts)));
  }
  Show(std::move(after));
}

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
