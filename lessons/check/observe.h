#ifndef LESSONS_CHECK_OBSERVE_H_
#define LESSONS_CHECK_OBSERVE_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "lessons/check/host.h"

namespace steps {

/// A process of the program, from outside.
struct Task {
  std::string name;  // "bash"
  pid_t parent = -1;
  char state = '?';    // As in /proc/PID/stat: 'Z' is a zombie.
  bool waits = false;  // For something that comes from none but the others,
  bool reads = false;  // or for input.
  long switches = 0;   // How often it has been scheduled.

  bool operator==(const Task&) const = default;
};

using Tasks = std::map<pid_t, Task>;

/// Why the program was looked at.
enum class Moment { kAtRest, kEnded, kTooLong, kTooMany, kTooMuchOutput };

struct Observation {
  Moment moment = Moment::kAtRest;
  Tasks tasks;                // Those of the program.
  std::optional<int> status;  // How it ended, if it did.
  std::string output;         // What it wrote.
};

/// How long a program may take until it is at rest.
inline constexpr int kLongestSeconds = 10;
/// How many processes it may have, and how many bytes it may write.
inline constexpr std::size_t kMostProcesses = 50;
inline constexpr std::size_t kMostOutput = std::size_t{1} << 20;

/// Watches the program of the host from outside until it has ended or is at
/// rest: every process waits without a deadline, and none has been
/// scheduled since it was seen to. Throws std::runtime_error.
Observation Observe(Host& host);

}  // namespace steps

#endif  // LESSONS_CHECK_OBSERVE_H_
