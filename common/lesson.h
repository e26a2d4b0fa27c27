#ifndef COMMON_LESSON_H_
#define COMMON_LESSON_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/child.h"
#include "common/event.h"
#include "common/evidence.h"
#include "common/renderer.h"

namespace steps {

/// One side of an experiment, "outside" or "inside": where calls are made and
/// evidence is found. A child has its own, and what it tells goes to its
/// parent.
class Side {
 public:
  using Tell = std::function<void(const Event&)>;

  Side(std::string name, Tell tell)
      : name_(std::move(name)), tell_(std::move(tell)) {}
  Side(std::string name, Line& line);

  /// Tells of a call that the line before made, in its own words and fmt's
  /// syntax, and gives back its `result`. Throws CallError when that is -1.
  template <typename Result, typename... Args>
  Result Check(Result result, fmt::format_string<Args...> call,
               Args&&... args) {
    const int error = errno;
    std::string text = fmt::format(call, std::forward<Args>(args)...);
    Record(result, error, text);
    if (result == -1) throw CallError(error, std::move(text));
    return result;
  }

  /// As Check, for a call that the kernel may well refuse: its errno, or 0.
  template <typename Result, typename... Args>
  int Try(Result result, fmt::format_string<Args...> call, Args&&... args) {
    const int error = errno;
    Record(result, error, fmt::format(call, std::forward<Args>(args)...));
    return result == -1 ? error : 0;
  }

  /// Shows what this side found, and gives it back.
  Evidence Show(Evidence evidence);

  /// Passes on what `child` tells, up to and with its next evidence, and gives
  /// that back. Throws as Child::Receive, and ChildError when none comes.
  Evidence Hear(Child& child);

 private:
  void Record(std::int64_t result, int error, std::string text);

  std::string name_;
  Tell tell_;
};

/// What an experiment showed.
struct Outcome {
  std::optional<bool> holds;  // Nothing when the machine did not allow it.
  std::string reason;         // Which call was refused, and why.
};

/// The narrator and the judge of one run: numbers the steps, shows evidence,
/// checks claims. Every function throws OutputError when the output fails.
class Lesson {
 public:
  Lesson(Renderer& renderer, Machine machine);

  /// The process that runs the lesson.
  Side& outside() { return outside_; }

  /// Begins the next step.
  void Begin(std::string title);

  /// Says a sentence.
  void Note(std::string text);

  /// Shows in one table, a row for each probe, what changed inside and that it
  /// changed there only.
  void Compare(const Evidence& before, const Evidence& inside,
               const Evidence& after);

  /// Shows what is best seen in rows and columns.
  void Show(Table table);

  /// Makes an experiment that this machine may not allow. Throws what it does,
  /// but for a CallError that Explain knows: that is an outcome.
  Outcome Attempt(const std::function<bool()>& experiment);

  /// Judges a claim.
  void Claim(std::string text, Outcome outcome);
  void Claim(std::string text, bool holds) {
    Claim(std::move(text), Outcome{holds, ""});
  }

  /// Takes over the child that is inside and at a checkpoint, and keeps it
  /// there until the lesson is over: --shell joins it.
  void Keep(Child child) { kept_.emplace(std::move(child)); }
  std::optional<Child>& kept() { return kept_; }

  /// How many claims hold, do not, and were skipped; the outcome says whether
  /// all that were tried hold.
  const Verdict& verdict() const { return verdict_; }

 private:
  Renderer& renderer_;
  Machine machine_;
  Side outside_;
  int step_ = 0;
  Verdict verdict_;
  std::optional<Child> kept_;
};

}  // namespace steps

#endif  // COMMON_LESSON_H_
