#ifndef LESSONS_CHECK_HOST_H_
#define LESSONS_CHECK_HOST_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "lessons/check/order.h"
#include "lessons/check/view.h"

namespace steps {

/// A machine for one program, which reaches nothing of the reader's: it has
/// namespaces of its own of every kind but time, a root in memory with the
/// reader's /usr and /etc read-only, and a terminal. Its root is an
/// ordinary user outside. It ends with its object, and with this process.
///
/// In between is the jail, whose user and mount namespaces own and lock
/// what the program could otherwise change.
class Host {
 public:
  /// Throws CallError, ExplainedError and std::runtime_error. `order` has to
  /// outlive it.
  explicit Host(const Order& order);

  /// Compiles the program where it is a source. What g++(1) says where it
  /// cannot; empty where it could.
  std::string Compile();

  /// Starts the program, on the terminal.
  void Start();

  /// Reaps what the host has to; the wait status of the program, once it
  /// has ended.
  std::optional<int> Reap();

  /// What the program has written since the last time.
  std::string Read();

  /// Waits until it writes, for `milliseconds` at most.
  void AwaitOutput(int milliseconds) const;

  /// The PID 1 of the host, as this process has it.
  pid_t pid() const { return host_.pid(); }

  /// A process in a UTS namespace of its own, for a program to join.
  std::optional<pid_t> target() const;

  /// The PID that the host has for a process.
  static int PidOf(pid_t pid);

  /// The namespaces of the host.
  const std::map<int, NamespaceId>& namespaces() const { return namespaces_; }

  /// The host as it is now.
  View Look();

  /// What a process of the program finds; nothing where it cannot be
  /// joined.
  std::optional<View> LookFrom(pid_t pid);

 private:
  Process Enter(const Order& order);

  const Order& order_;
  Descriptor terminal_;
  Process outside_ = Process::Quiet();
  Process jail_;
  Process host_;
  std::optional<Process> target_;
  std::map<int, NamespaceId> namespaces_;
};

}  // namespace steps

#endif  // LESSONS_CHECK_HOST_H_
