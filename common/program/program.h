#ifndef COMMON_PROGRAM_PROGRAM_H_
#define COMMON_PROGRAM_PROGRAM_H_

#include <linux/capability.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/lesson/lesson.h"  // IWYU pragma: export

namespace steps {

/// What a lesson is called.
struct About {
  std::string name;      // "uts", for //lessons:uts
  std::string title;     // At most 50 columns.
  std::string man_page;  // "uts_namespaces(7)"
  // Capabilities. Who lacks one becomes root in a new user namespace first.
  std::vector<int> needs = {CAP_SYS_ADMIN};
};

/// What a lesson does for the words that the reader adds, instead of teaching.
struct Task {
  std::string words;    // What may be added: "PID…".
  std::string help;     // What it does then: "compare these processes".
  std::string example;  // "1 4242"
  // Whether it becomes a command of the reader's, to which stdout belongs: what
  // the lesson shows goes to stderr then.
  bool runs_command = false;
  // Gives the exit status. Throws UsageError of command_line.h, or what a
  // lesson throws. It runs as the reader is, in no new user namespace.
  std::function<int(Lesson&, const std::vector<std::string>&)> run = {};
  // An option of its own. Where it is given, the words may be left out.
  struct Option {
    std::string name;        // "--rootfs"
    std::string value_name;  // "DIR"
    std::string help;
    std::optional<std::string>* value;  // Where it is given.
  };
  std::optional<Option> option = {};
};

/// The main() of a lesson: reads its command line, becomes root in a user
/// namespace where it needs to, runs `teach` or the task, and gives the exit
/// status: that of the task, 0 where every claim holds, or kFailed and so on.
int RunLesson(const About& about, const std::function<void(Lesson&)>& teach,
              int argc, char** argv,
              const std::optional<Task>& task = std::nullopt);

}  // namespace steps

#endif  // COMMON_PROGRAM_PROGRAM_H_
