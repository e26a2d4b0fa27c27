#ifndef COMMON_KERNEL_PROCESS_H_
#define COMMON_KERNEL_PROCESS_H_

#include <sys/types.h>

#include <concepts>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"

namespace steps {

/// A wait status in words: "exit status 3", "killed by SIGKILL". wait(2).
std::string DescribeStatus(int status);

/// The exit status that a shell makes of a wait status: the program's own, or
/// 128 and the number of the signal that killed it.
int ExitStatus(int status);

/// The processes that the proc mounted on `point` shows, in no order, and those
/// in /proc whose parent is `pid`. Throws std::filesystem::filesystem_error.
/// proc(5).
std::vector<pid_t> ProcessesIn(const std::string& point);
std::vector<pid_t> ChildrenOf(pid_t pid);

/// A system call that the process with this name made.
struct Called {
  std::string process;
  Call call;
};

/// Evidence that it saw.
struct Shown {
  std::string process;
  Evidence evidence;
  Place place = {};
};

/// Is told what processes do and see, in the order in which it happens.
using Observer = std::function<void(const std::variant<Called, Shown>&)>;

/// The bytes of a plain value, and the value of such bytes.
template <typename Value>
std::string_view BytesOf(const Value& value) {
  static_assert(std::is_trivially_copyable_v<Value>,
                "only numbers and plain structs travel as bytes");
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
template <typename Value>
Value ValueOf(std::string_view bytes) {
  Value value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// A process that runs the functions it is given, wherever it has been put:
///
///     Process child = outside.Clone("child", CLONE_NEWUTS);
///     child.Run([] { CALL(sethostname, "vm", 2); });
///
/// A child has its parent's code at the same addresses. So a function is sent
/// to it as an address and the bytes of its captures, and what it returns, or
/// the CallError that it throws, comes back. One process acts at a time.
///
/// A process ends with its Process object, with the process that cloned it, and
/// with the lesson.
class Process {
 public:
  /// How many milliseconds a process may take for an answer.
  static constexpr int kPatience = 10'000;
  static constexpr int kForever = -1;

  /// The process that calls this.
  static Process Self(const std::string& name, const Observer& observer);

  /// The same, while nobody is told of what it and its children do.
  static Process Quiet();

  /// The names and PIDs of the children that have an object, in their order.
  static const std::vector<std::pair<std::string, pid_t>>& All();

  /// Whether the process that calls this is a child, which may direct nobody.
  static bool IsChild();

  Process(Process&&) = default;
  ~Process();

  /// A new child of this process, in a new namespace for each CLONE_NEW* in
  /// `flags`. Throws CallError and std::runtime_error. clone(2); for
  /// CLONE_NEWTIME, clone3(2).
  Process Clone(const std::string& name, int flags);

  /// The same, to be changed instead of the reader's machine: checked by
  /// MustDiffer. Its mounts, where they are its own, are made private.
  Process StandIn(const std::string& name, int flags);

  /// Makes this process, in a new user namespace without a map, root there: it
  /// keeps its user and group outside. Throws CallError. user_namespaces(7).
  void MapRoot();

  /// Throws std::runtime_error unless this process is in other namespaces of
  /// the kinds `flags` than `other`: to be called before anything in them is
  /// changed, because a call may answer 0 and have done nothing.
  void MustDiffer(Process& other, int flags);

  /// Runs `function` in this process and gives what it returns: nothing, a
  /// number, a plain struct or text. Its captures travel as bytes. Throws the
  /// CallError that it throws, and std::runtime_error when there is no answer.
  template <typename Function>
  auto Run(Function function, int patience = kPatience) {
    using Returned = std::invoke_result_t<Function>;
    const std::string bytes =
        Send(CallWith<Function>, BytesOf(function), patience);
    if constexpr (std::convertible_to<Returned, std::string>) {
      return bytes;
    } else if constexpr (!std::is_void_v<Returned>) {
      return ValueOf<Returned>(bytes);
    }
  }

  /// Has this process read one probe, or several at once, and tells of it.
  template <typename Read>
  std::string Ask(const Probe<Read>& probe, Place place = Place::Here()) {
    return Show({{Look(probe)}}, place)[probe];
  }
  template <typename... Reads>
  requires(sizeof...(Reads) > 1) Evidence Ask(const Probe<Reads>&... probes) {
    return Show({{Look(probes)...}}, {});
  }

  /// Tells of what it knows already, and gives it back.
  Evidence Show(Evidence evidence, Place place = Place::Here()) const;

  /// Whether it ends within ten seconds. It stays a zombie until its parent
  /// waits for it. pidfd_open(2).
  bool Ends() const;

  /// Its PID, as the lesson's own process has it.
  pid_t pid() const { return pid_; }

 private:
  using Trampoline = std::string (*)(const char* captures);

  template <typename Function>
  static std::string CallWith(const char* captures) {
    using Returned = std::invoke_result_t<Function>;
    alignas(Function) std::byte bytes[sizeof(Function)];
    std::memcpy(bytes, captures, sizeof(Function));
    auto& function = *reinterpret_cast<Function*>(bytes);
    if constexpr (std::is_void_v<Returned>) {
      function();
      return "";
    } else if constexpr (std::convertible_to<Returned, std::string>) {
      return function();
    } else {
      return std::string(BytesOf(function()));
    }
  }

  template <typename Read>
  Finding Look(const Probe<Read>& probe) {
    return {probe.label, TextOf(Run(probe.read)), probe.source};
  }

  Process(std::string name, Observer observer, pid_t pid, Descriptor socket);
  std::string Send(Trampoline trampoline, std::string_view captures,
                   int patience, int descriptor = -1);
  std::string Await(int patience) const;
  std::string DescribeEnd() const;
  [[noreturn]] static void Serve(int socket);

  std::string name_;
  Observer observer_;  // None: nobody is told.
  pid_t pid_;
  Descriptor socket_;  // None: this process itself.
};

/// Refers to a process, whatever number it has elsewhere. pidfd_open(2); glibc
/// 2.36 declares it for C only.
int pidfd_open(pid_t pid, unsigned flags);

/// The process that calls this may live longer than its parent; otherwise it
/// is killed then. prctl(2), PR_SET_PDEATHSIG.
void OutliveParent();

/// Blocks every signal for the process that calls this: one that is blocked
/// waits, even for PID 1, which would ignore it. Gives those that were blocked
/// before. Throws CallError. sigprocmask(2).
sigset_t BlockSignals();

/// Makes the process that calls this a guardian, which does `work` when nobody
/// is left to direct it: the lesson has ended, or was killed. It outlives its
/// parent, and no signal ends it before. Throws CallError. setsid(2).
void Guard(std::function<void()> work);

}  // namespace steps

#endif  // COMMON_KERNEL_PROCESS_H_
