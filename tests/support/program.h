#ifndef TESTS_SUPPORT_PROGRAM_H_
#define TESTS_SUPPORT_PROGRAM_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/kernel/descriptor.h"

namespace steps {

/// What is to be run, and how.
struct Command {
  std::string program = {};  // Its path in the runfiles: "lessons/uts".
  std::vector<std::string> arguments = {};
  // What runs when there is no program; it gives the exit status.
  std::function<int()> function = {};
  std::string input = {};  // What it reads on stdin.
  bool as_nobody = false;  // With the uid and gid 65534 and no capability.
  // What the process does before that: it may throw.
  std::function<void()> before = {};
};

/// Becomes the command; where that fails, says why on stderr and exits with 1.
[[noreturn]] void Become(const Command& command);

/// What a program did.
struct Result {
  int status;  // As wait(2) gives it.
  std::string output;
  std::string errors;
};

/// A program that runs. What it leaves behind becomes this process's child.
class Program {
 public:
  explicit Program(const Command& command);

  pid_t pid() const { return pid_; }

  /// Waits for its end.
  Result Await();

 private:
  Descriptor output_;
  Descriptor errors_;
  pid_t pid_ = -1;
};

/// A file in memory, and all that it holds. Each throws CallError.
Descriptor MemoryFile(const char* name);
std::string Contents(const Descriptor& file);

/// Runs a program to its end.
Result RunCommand(const Command& command);

/// A program on a terminal of its own, 80 columns wide and 24 rows high, as its
/// user has it.
class Terminal {
 public:
  explicit Terminal(const Command& command);

  pid_t pid() const { return pid_; }

  /// Types on the keyboard: "\x03" is Ctrl-C.
  void Type(std::string_view keys);

  /// Reads on until the screen has shown `text`, and gives what it has shown up
  /// to there. Fails the test when it never does.
  std::string ReadTo(std::string_view text);

  /// The same, but nothing when the program ends before.
  std::optional<std::string> ReadToOrEnd(std::string_view text);

  /// Reads to the end, and gives the wait status in words.
  std::string Await();

  /// A conversation: each text that is read to, and what is typed then. Reads
  /// to the end, and gives the wait status in words.
  std::string Talk(
      const std::vector<std::pair<std::string, std::string>>& lines);

  /// Everything that the screen has shown so far.
  const std::string& screen() const { return screen_; }

 private:
  // Reads once; false at the end.
  bool Read();

  Descriptor keyboard_;
  std::string screen_;
  std::size_t read_ = 0;  // Where ReadTo goes on.
  pid_t pid_ = -1;
};

/// The processes below this one, the nearest first.
std::vector<pid_t> Descendants();

/// Reaps what is below this process; what is still alive after a minute is
/// killed, and given.
std::vector<std::string> Survivors();

/// The lines of `text` that are not empty: they may be long, on which
/// std::regex runs out of its stack.
std::vector<std::string> LinesOf(const std::string& text);

/// What the first group of `regex` matches in `text`, each time.
std::vector<std::string> Matches(const std::string& text,
                                 const std::string& regex);

/// Whether the tests run as root: without it, nobody else can be played.
bool IsRoot();

/// A directory that anybody may read. It goes with its object.
class TemporaryDirectory {
 public:
  /// Throws CallError.
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

  /// Writes a file there, "a" or "a/b", and gives its path. Throws CallError.
  std::string Put(const std::string& name, const std::string& text,
                  mode_t mode = 0755) const;

 private:
  std::string path_ = "/tmp/steps_test.XXXXXX";
};

/// Makes this process nobody's, with no capability, as after an exec.
void BecomeNobody();

/// As fork(2), into new namespaces. Throws CallError.
pid_t Fork(int flags);

/// Runs `body` in a child that is cloned with `flags`, and fails the test when
/// one of its expectations fails there.
void InChild(const std::function<void()>& body, int flags = 0);

}  // namespace steps

#endif  // TESTS_SUPPORT_PROGRAM_H_
