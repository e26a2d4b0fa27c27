#ifndef COMMON_EVENT_H_
#define COMMON_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/advice.h"
#include "common/evidence.h"

namespace steps {

// What a lesson tells, in the order in which it happens. Plain data: the
// renderers turn it into text or JSON.

/// Which lesson this is, and where it runs.
struct Opening {
  std::string lesson;    // "uts"
  std::string title;     // "UTS namespace: a hostname of one's own"
  std::string man_page;  // "uts_namespaces(7)"
  std::string kernel;    // "6.1.0-18-amd64"
  unsigned uid;          // The effective user ID outside.
  // "root": it had CAP_SYS_ADMIN. "user namespace": it is root in one that it
  // entered for the purpose. "none": neither.
  std::string privilege;
};

/// A step of the lesson begins.
struct Step {
  int number;  // From 1.
  std::string title;
};

/// A sentence that prepares the eye for what follows.
struct Note {
  std::string text;
};

/// A system call that was made, and what it returned.
struct Call {
  std::string side;
  std::string text;  // With its arguments: `sethostname("web", 3)`.
  std::int64_t result;
  int error;  // errno when `result` is -1, otherwise 0.
};

/// Evidence that one side found.
struct Shown {
  std::string side;
  Evidence evidence;
};

/// One fact outside, inside, and outside once more.
struct Comparison {
  struct Row {
    std::string probe;
    std::string before;
    std::string inside;
    std::string after;
    std::string verdict;  // "isolated", "shared", or "changed" outside
  };
  std::vector<Row> rows;
};

/// What is best seen in rows and columns.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // Each as long as the header.
};

/// A sentence that a learner can repeat, and whether it holds here.
struct Claim {
  std::string text;
  std::optional<bool> holds;  // Nothing when it could not be tried.
  std::string reason;         // Why it could not be tried.
};

/// The end of the lesson.
struct Verdict {
  std::string outcome;  // "holds", "contradicted", "failed" or "cannot run"
  int exit_status = 0;
  int held = 0;                  // How many claims hold,
  int contradicted = 0;          // do not,
  int skipped = 0;               // could not be tried.
  std::string error;             // What ended the lesson early, or empty.
  std::optional<Advice> advice;  // Its cause and remedy, when they are known.
};

/// A line that leads on: what to do next, or what to type.
struct Hint {
  std::string text;
  std::vector<std::string> commands;
};

using Event = std::variant<Opening, Step, Note, Call, Shown, Comparison, Table,
                           Claim, Verdict, Hint>;

/// An event as bytes that a child can send to its parent, and back. Only a Call
/// and a Shown are made inside a child; another throws std::logic_error.
std::string Encode(const Event& event);
Event Decode(std::string_view bytes);

}  // namespace steps

#endif  // COMMON_EVENT_H_
