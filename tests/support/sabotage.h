#ifndef TESTS_SUPPORT_SABOTAGE_H_
#define TESTS_SUPPORT_SABOTAGE_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "tests/support/program.h"

namespace steps {

/// What the kernel is made to say wrongly, once:
///
///     {.call = "sethostname"}                    answers 0, changes nothing
///     {.call = "setns", .answer = -EPERM}        is refused
///     {.call = "clone", .occurrence = 3, .drop = CLONE_NEWUTS}
///     {.call = "write", .path = "/uid_map"}
struct Lie {
  /// Also what the C library may make of it: "clone" stands for clone3, fork
  /// and vfork, "open" for openat; and "any" for every call that returns.
  std::string call;

  /// Which of the calls that match, from 1, of the program and its descendants.
  /// A call that a signal interrupts is made again: it does not count.
  int occurrence = 1;

  /// The CLONE_NEW* flags that are taken out of a clone or unshare; it is made
  /// with the rest. Only calls with all of them match.
  int drop = 0;

  /// Otherwise the call is not made and answers this: a value, or -errno. By
  /// default 0; for write and sendto, the byte count.
  std::optional<long> answer = {};

  /// What a string argument has to contain, or what /proc/PID/fd/N says of a
  /// descriptor: "/uid_map", "uts:[4026531838]".
  std::string path = {};
};

/// The lie that is in short CALL[:N][-FLAG…][=ANSWER][@PATH]:
/// "clone:3-CLONE_NEWUTS", "setns=-1@uts:". Throws std::invalid_argument.
Lie ParseLie(const std::string& text);

/// What a program did when it was lied to. If it hung, its status is that of a
/// program that SIGKILL ended.
struct LieResult : Result {
  bool told;           // Whether there was a call to lie about,
  int number;          // and its number, that of <sys/syscall.h>.
  std::string hung;    // What had to be killed at the deadline: "4711 uts\n".
  std::string before;  // What `look` gave before the program began …
  std::string after;   // … and when all of its processes had ended.
};

/// How a program is lied to.
struct LieOptions {
  /// How long the program and all of its descendants may take.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);

  /// Looks at the stand-in for the host, from its PID 1.
  std::function<std::string()> look = {};
};

/// Runs the command, as RunCommand does, as PID 2 of a stand-in for the host:
/// in new UTS, mount, PID, IPC and network namespaces; its mounts are private,
/// but cgroups, files and clocks are the host's. The lie is told to it and its
/// descendants once its `before` is done.
///
/// Returns when all have ended; they end with this process. Throws
/// std::invalid_argument if there is no such lie, and std::runtime_error if the
/// stand-in or the tracer fails. ptrace(2).
LieResult RunWithLie(const Command& command, const Lie& lie,
                     const LieOptions& options = {});

/// Why RunWithLie cannot work here, or nothing if it can: it needs root and a
/// kernel or container engine that permits ptrace(2).
std::string WhyNoLies();

}  // namespace steps

#endif  // TESTS_SUPPORT_SABOTAGE_H_
