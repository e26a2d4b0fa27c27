#ifndef COMMON_LESSON_LESSON_H_
#define COMMON_LESSON_LESSON_H_

#include <concepts>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/lesson/advice.h"
#include "common/lesson/event.h"

namespace steps {

/// What an experiment showed.
struct Outcome {
  std::optional<bool> holds;  // Nothing where the machine did not allow it.
  std::string reason = {};    // Which call was refused, and why.
};

/// A claim that does not hold: it ends the lesson, because what follows may
/// rest on it.
class Contradiction {};

/// The story of one run: numbers the steps, shows what processes do and see,
/// judges claims. Only the lesson's own process may tell it: every function
/// throws std::logic_error in a child.
class Lesson {
 public:
  using Tell = std::function<void(const Event&)>;

  /// `tell` is called with every event, in order.
  Lesson(Tell tell, Machine machine);
  Lesson(const Lesson&) = delete;
  Lesson& operator=(const Lesson&) = delete;

  /// The process that runs the lesson.
  Process& outside() { return outside_; }

  /// What may stand in its way, as it was when the lesson began.
  const Machine& machine() const { return machine_; }

  /// Begins the next step. `what` says what is done, and what to watch.
  void Step(std::string title, std::string what = "",
            Place place = Place::Here());

  /// States what the evidence above shows. Throws Contradiction where it does
  /// not hold; one that could not be tried is skipped, with the reason.
  void Claim(std::string text, bool holds) {
    Claim(std::move(text), Outcome{holds});
  }
  void Claim(std::string text, Outcome outcome);

  /// The same for an experiment that this machine may not allow.
  template <std::predicate Experiment>
  void Claim(std::string text, const Experiment& experiment) {
    Claim(std::move(text), Attempt(experiment));
  }

  /// Makes such an experiment. Throws what it does, but for what Explain knows:
  /// that is an outcome.
  Outcome Attempt(const std::function<bool()>& experiment);

  /// Asks the reader what the next step will show. The right answer stands
  /// first in `answers`, as far as the lesson can know; they are mixed.
  void Predict(std::string question, std::vector<std::string> answers);

  /// Answers the question with what was `found`, which is one of the answers,
  /// and a sentence against the wrong ones.
  void Answer(std::string found, std::string because);

  /// Says a sentence.
  void Note(std::string text) { Show(Item{"", {}, std::move(text)}); }

  /// What to remember: two lines at most.
  void Remember(std::string text) {
    Show(Item{"remember", {}, std::move(text)});
  }

  /// Shows in one table, a row for each probe, what differs inside and that
  /// outside nothing changed. `who` was asked there, and here `other`.
  void Compare(const Evidence& before, const Evidence& inside,
               const Evidence& after, const std::string& who = "inside",
               const std::string& other = "outside");

  /// Shows what the lesson has made itself: a table, a drawing.
  void Show(const Event& event);

  /// Draws the outside as it was in the namespaces `home`, and as it is now
  /// beside the process that is kept. Throws CallError.
  void Draw(const std::map<int, NamespaceId>& home);

  /// Keeps a process until the lesson is over: --shell joins it.
  void Keep(Process process) { kept_.emplace(std::move(process)); }
  std::optional<Process>& kept() { return kept_; }

  /// How many claims hold, do not, and were skipped.
  const Verdict& verdict() const { return verdict_; }

 private:
  Tell tell_;
  Machine machine_;
  Process outside_;
  int step_ = 0;
  std::vector<std::string> answers_ = {};  // To the question that is open.
  Table comparison_ = {};                  // The last one.
  Verdict verdict_ = {};
  std::optional<Process> kept_ = {};
};

}  // namespace steps

#endif  // COMMON_LESSON_LESSON_H_
