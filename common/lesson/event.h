#ifndef COMMON_LESSON_EVENT_H_
#define COMMON_LESSON_EVENT_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/lesson/advice.h"

namespace steps {

// What a lesson tells, as it happens: plain data, which renderers make text of.

/// Which lesson this is, and where it runs.
struct Opening {
  std::string lesson;    // "uts"
  std::string title;     // "UTS namespaces: a private hostname"
  std::string man_page;  // "uts_namespaces(7)"
  std::string kernel;    // "6.1.0-18-amd64"
  unsigned uid;          // The effective user ID outside.
  // "root": it had the capabilities that the lesson needs. "user namespace": it
  // entered one and is root there. "none": neither.
  std::string privilege;
};

/// Lines of the lesson's own source, by their numbers.
struct Code {
  std::string file;
  std::vector<std::pair<int, std::string>> lines;
};

/// A step of the lesson begins.
struct Step {
  int number;  // From 1.
  std::string title;
  std::string what;  // A sentence: what is done, and what to watch. Or empty.
  Place place = {};
  Code code = {};  // What is about to run, where the reader asked for it.
};

/// What the reader may guess before the next step shows it.
struct Question {
  std::string text;
  std::vector<std::string> answers;  // One of which will be right.
};

/// What this run answered to the question.
struct Answer {
  std::string found;
  std::optional<int> number;  // Of the right answer, from 1. Nothing: none was.
  std::string reason;         // A sentence.
  std::optional<int> picked = {};  // What the reader chose, if anything.
};

/// What is best seen in rows and columns.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // Each as long as the header.
  // Whether a row has a probe, what it gave outside before, inside, and outside
  // after, and the verdict: "private", "shared", or "changed" outside.
  bool compares = false;
};

/// A sentence, and the word that judges it, of at most 8 columns. A lesson's
/// claim "holds", "FAILS" or is "skipped"; what to "remember" comes at its end;
/// a sentence without a word says what it says.
struct Item {
  std::string word;
  std::optional<bool> good;  // Nothing when it is neither good nor bad.
  std::string text;
  std::string reason = {};  // Why it was skipped.
};

/// The end of the lesson.
struct Verdict {
  std::string outcome = "holds";  // "contradicted", "failed", "cannot run"
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

/// Processes, and the namespaces that they are in: what they share, what not.
struct Drawing {
  struct Process {
    std::string name;                       // "outside", "PID 4242"
    std::map<int, NamespaceId> namespaces;  // By the kind's flag.
    std::vector<std::string> facts;         // "hostname: vm"
  };
  std::string title;  // "before"
  std::vector<Process> processes;
};

using Event = std::variant<Opening, Step, Code, Question, Answer, Called, Shown,
                           Table, Item, Verdict, Hint, Drawing>;

}  // namespace steps

#endif  // COMMON_LESSON_EVENT_H_
