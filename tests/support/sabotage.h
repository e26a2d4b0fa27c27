#ifndef TESTS_SUPPORT_SABOTAGE_H_
#define TESTS_SUPPORT_SABOTAGE_H_

#include <chrono>
#include <functional>
#include <string>

#include "tests/support/program.h"

namespace steps {

/// What a program did when it was lied to. If it hung, its status is that of a
/// program that SIGKILL ended.
struct LieResult : Result {
  bool told;           // Whether there was a call to lie about,
  int number;          // and its number, that of <sys/syscall.h>.
  std::string hung;    // What had to be killed at the deadline: "4711 uts\n".
  std::string before;  // What `look` gave before the program began …
  std::string after;   // … and when all of its processes had ended.
};

/// Runs the command, as RunCommand does, as PID 2 of a stand-in for the host:
/// in new UTS, mount, PID, IPC and network namespaces; its mounts are private,
/// but cgroups, files and clocks are the host's. The kernel lies to it and its
/// descendants once, after its `before`. A lie is CALL[:N][-FLAG…][=ANSWER]
/// [@PATH]:
///
///     sethostname              answers 0, changes nothing
///     setns=-1                 is refused: EPERM
///     clone:3-CLONE_NEWUTS     the third one is made without this flag
///     write@/uid_map           answers the byte count, writes nothing
///
/// CALL is also what the C library may make of it: "clone" stands for clone3,
/// fork and vfork, "open" for openat; and "any" for every call that returns. N
/// counts, from 1, the calls of the program and its descendants that have all
/// of the flags, and PATH in a string argument or in what /proc/PID/fd says of
/// a descriptor. A call that a signal interrupts is made again: it does not
/// count.
///
/// `look` looks at the stand-in, from its PID 1. Returns when all have ended;
/// they end with this process. Throws std::invalid_argument if there is no such
/// lie, and std::runtime_error if the stand-in or the tracer fails. ptrace(2).
LieResult RunWithLie(
    const Command& command, const std::string& lie,
    const std::function<std::string()>& look = {},
    std::chrono::milliseconds deadline = std::chrono::seconds(60));

/// Why RunWithLie cannot work here, or nothing if it can: it needs root and a
/// kernel or container engine that permits ptrace(2).
std::string WhyNoLies();

}  // namespace steps

#endif  // TESTS_SUPPORT_SABOTAGE_H_
