#ifndef COMMON_LESSON_H_
#define COMMON_LESSON_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/child.h"
#include "common/event.h"
#include "common/evidence.h"
#include "common/namespaces.h"
#include "common/renderer.h"
#include "common/source.h"

namespace steps {

/// Where in the source a function was called, as its default argument
/// Here::Now(). As std::source_location, which clang 14 lacks.
struct Here {
  static constexpr Here Now(const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
    return {file, line};
  }
  operator Place() const { return {file, line}; }

  const char* file;
  int line;
};

/// What is said of a call, in fmt's syntax, and where it is said.
template <typename... Args>
struct CallWords {
  // Not explicit: a literal is enough.
  template <typename Text>
  consteval CallWords(const Text& text, Here here = Here::Now())
      : words(text), place(here) {}

  fmt::format_string<Args...> words;
  Here place;
};

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
  Result Check(Result result, CallWords<std::type_identity_t<Args>...> call,
               Args&&... args) {
    const int error = errno;
    std::string text = fmt::format(call.words, std::forward<Args>(args)...);
    Record(result, error, text, call.place);
    if (result == -1) throw CallError(error, std::move(text));
    return result;
  }

  /// As Check, for a call that the kernel may well refuse: its errno, or 0.
  template <typename Result, typename... Args>
  int Try(Result result, CallWords<std::type_identity_t<Args>...> call,
          Args&&... args) {
    const int error = errno;
    Record(result, error, fmt::format(call.words, std::forward<Args>(args)...),
           call.place);
    return result == -1 ? error : 0;
  }

  /// Shows what this side found, and gives it back.
  Evidence Show(Evidence evidence, Here place = Here::Now());

  /// Passes on what `child` tells, up to and with its next evidence, and gives
  /// that back. Throws as Child::Receive, and ChildError when none comes.
  Evidence Hear(Child& child);

  /// The child that was last heard from inside, if any. It may have ended.
  std::optional<pid_t> inside() const { return inside_; }

 private:
  void Record(std::int64_t result, int error, std::string text,
              const Place& place);

  std::string name_;
  Tell tell_;
  std::optional<pid_t> inside_;
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
  /// With `show_code`, it shows the lines of the lesson's source as well.
  Lesson(Renderer& renderer, Machine machine, bool show_code = false);
  Lesson(const Lesson&) = delete;
  Lesson& operator=(const Lesson&) = delete;

  /// The process that runs the lesson.
  Side& outside() { return outside_; }

  /// What may stand in its way, as it was when the lesson began.
  const Machine& machine() const { return machine_; }

  /// Asks the reader what the next step will show, one of `answers`, of which
  /// there are two to four. To be called before that step begins.
  void Predict(std::string question, std::vector<std::string> answers);

  /// Answers the question: what was `found`, and the reason, a sentence. The
  /// answer that is right is the one that is the same as what was found. Throws
  /// std::logic_error when there was no question.
  void Answer(std::string found, std::string reason);

  /// Begins the next step.
  void Begin(std::string title, Here place = Here::Now());

  /// Says a sentence.
  void Note(std::string text);

  /// Shows in one table, a row for each probe, what changed inside and that it
  /// changed there only.
  void Compare(const Evidence& before, const Evidence& inside,
               const Evidence& after);

  /// Shows what is best seen in rows and columns.
  void Show(Table table);

  /// Draws processes and the namespaces that they share.
  void Show(Drawing drawing);

  /// Draws the process outside as it was when it was in the namespaces `home`,
  /// and as it is now, beside the child that is kept inside. With
  /// the facts that were compared, but for those that were found in another
  /// namespace or of another child. Throws CallError.
  void Draw(const std::map<int, NamespaceId>& home);

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

  /// A process that is inside now, for the reader to look around, if any.
  std::optional<pid_t> inside() const;

  /// How many claims hold, do not, and were skipped; the outcome says whether
  /// all that were tried hold.
  const Verdict& verdict() const { return verdict_; }

 private:
  Renderer& renderer_;
  Machine machine_;
  std::optional<Listing> listing_;  // Where the source is shown.
  Side outside_;
  int step_ = 0;
  std::vector<std::string> answers_;  // To the question that is open.
  Comparison comparison_;             // The last one.
  Verdict verdict_;
  std::optional<Child> kept_;
};

}  // namespace steps

#endif  // COMMON_LESSON_H_
