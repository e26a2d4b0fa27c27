#ifndef COMMON_CHILD_H_
#define COMMON_CHILD_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.h"

namespace steps {

/// A wait status in words: "exit status 3", "killed by SIGKILL". wait(2).
std::string DescribeStatus(int status);

/// The exit status that a shell makes of a wait status: the program's own, or
/// 128 and the number of the signal that killed it.
int ExitStatus(int status);

/// The processes that the proc mounted on `point` shows, in no order. Throws
/// std::filesystem::filesystem_error. proc(5).
std::vector<pid_t> ProcessesIn(const std::string& point);

/// The processes whose parent is `pid`, as this process's /proc has them.
/// Throws std::filesystem::filesystem_error. proc(5).
std::vector<pid_t> ChildrenOf(pid_t pid);

/// A child that ended otherwise than it should have.
class ChildError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A child's line to its parent.
class Line {
 public:
  /// A pipe for messages, and an eventfd(2) that counts releases.
  Line(int messages, int releases) : messages_(messages), releases_(releases) {}

  /// Sends a message for Child::Receive. Throws CallError. Where the parent is
  /// gone, SIGPIPE ends this process.
  void Send(std::string_view message);

  /// A checkpoint: stays here until the parent calls Child::Release. False
  /// when the parent is gone instead. Throws CallError.
  bool Checkpoint();

 private:
  int messages_;
  int releases_;
};

/// A child process that the caller starts with clone(2) itself:
///
///     Child child([](Line& line) { line.Send("hello"); });
///     pid_t pid = clone(Child::Main, child.stack_top(), SIGCHLD, &child);
///     Check(child.Started(pid), "clone(SIGCHLD)");
///     child.Receive();  // "hello"
///     child.Finish();
///
/// The body runs on a copy of the caller's memory, so the flags must not have
/// CLONE_VM. When it returns, the child exits with 0. An exception that leaves
/// it reaches the parent from Receive or Finish. The child is killed
/// when its parent ends, and when its Child is destroyed.
class Child {
 public:
  using Body = std::function<void(Line&)>;

  /// Throws CallError. pipe(2), eventfd(2).
  explicit Child(Body body);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// Whether a Child has been destroyed that nobody had waited for and that had
  /// not ended well: it was killed from elsewhere. A call about it that failed
  /// then says nothing about the machine.
  static bool AnyLost();

  /// The function for clone(2) to run; its argument is the Child. Where fork(2)
  /// or clone3(2) gives 0 instead, it is to be called. It does not return.
  static int Main(void* self);

  /// Where the child's stack begins: at its highest address, because a stack
  /// grows down.
  void* stack_top() const { return stack_->data() + stack_->size(); }

  /// Takes what clone(2) returned and returns it. -1 starts nothing.
  pid_t Started(pid_t pid) noexcept;

  /// Starts the body in a plain child, as fork(2) does. Throws CallError.
  void Fork();

  pid_t pid() const { return pid_; }

  /// The child's next message, or nothing when it has sent its last. Throws
  /// the CallError that ended the child, or ChildError.
  std::optional<std::string> Receive();

  /// Lets the child pass one checkpoint. That it is gone is for Receive or
  /// Finish to say. Throws CallError.
  void Release();

  /// Waits for the end of the child; its wait status. Throws CallError.
  /// waitpid(2).
  [[nodiscard]] int Wait();

  /// Lets the child pass its last checkpoint and waits for its end. Throws as
  /// Receive, and ChildError when its exit status is not 0 or when it has sent
  /// a message that nobody received; such a message must fit into a pipe(7).
  void Finish();

 private:
  using Stack = std::array<std::byte, 1024 * 1024>;

  Body body_;
  std::unique_ptr<Stack> stack_;
  Descriptor from_child_;
  Descriptor to_parent_;
  Descriptor releases_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace steps

#endif  // COMMON_CHILD_H_
