#ifndef COMMON_KERNEL_PROCESS_H_
#define COMMON_KERNEL_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
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

/// The processes that the proc mounted on `point` shows, in no order. Throws
/// std::filesystem::filesystem_error. proc(5).
std::vector<pid_t> ProcessesIn(const std::string& point);

/// The processes whose parent is `pid`, as this process's /proc has them.
/// Throws std::filesystem::filesystem_error. proc(5).
std::vector<pid_t> ChildrenOf(pid_t pid);

/// A process that ended, or did not answer, when an answer was expected.
class ProcessError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Is told what processes do and see, in the order in which it happens.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnCall(const std::string& process, const Call& call) = 0;
  virtual void OnEvidence(const std::string& process, const Evidence& evidence,
                          Place place) = 0;
};

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
  /// How long a process may take for an answer.
  using Patience = std::chrono::milliseconds;
  static constexpr Patience kPatience{10'000};
  static constexpr Patience kForever{-1};

  /// The process that calls this. `observer` has to outlive it.
  static Process Self(std::string name, Observer* observer);

  /// The names and PIDs of the children that have an object, in their order.
  static const std::vector<std::pair<std::string, pid_t>>& All();

  /// How the first of them ended that did: "inside was killed by SIGKILL".
  /// Empty while all are there.
  static std::string DescribeEnded();

  /// Whether the process that calls this is a child, which may direct nobody.
  static bool IsChild();

  /// The process that calls this, while nobody is told of what it and its
  /// children do.
  static Process Quiet();

  Process(Process&&) = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  /// A new child of this process, in a new namespace for each CLONE_NEW* in
  /// `flags`. Throws CallError and ProcessError. clone(2); for CLONE_NEWTIME,
  /// clone3(2).
  Process Clone(const std::string& name, int flags);

  /// The same, to be changed instead of the reader's machine. Throws
  /// ProcessError unless each of its namespaces is a new one. Its mounts, where
  /// they are its own, are made private.
  Process StandIn(const std::string& name, int flags);

  /// Makes this process, in a new user namespace without a map, root there: it
  /// keeps its user and group outside. Throws CallError. user_namespaces(7).
  void MapRoot();

  /// Throws ProcessError unless this process is in other namespaces of the
  /// kinds `flags` than `other`: to be called before anything in them is
  /// changed, because a call may answer 0 and have done nothing.
  void MustDiffer(Process& other, int flags);

  /// Runs `function` in this process and gives what it returns: nothing, a
  /// number, a plain struct or text. Its captures travel as bytes. Throws the
  /// CallError that it throws, and ProcessError when there is no answer.
  template <typename Function>
  auto Run(Function function, Patience patience = kPatience);

  /// Has this process read one probe, or several at once, and tells of it.
  /// Probes in a vector are all of one type, such as LinksOf() gives.
  template <typename Read>
  std::string Ask(const Probe<Read>& probe, Place place = Place::Here());
  template <typename... Reads>
  requires(sizeof...(Reads) > 1) Evidence Ask(const Probe<Reads>&... probes);
  template <typename Read>
  Evidence Ask(const std::vector<Probe<Read>>& probes,
               Place place = Place::Here());

  /// Whether it ends within ten seconds. It stays a zombie until its parent
  /// waits for it. pidfd_open(2).
  bool Ends() const;

  const std::string& name() const { return name_; }

  /// Its PID, as the lesson's own process has it.
  pid_t pid() const { return pid_; }

 private:
  using Trampoline = std::string (*)(const char* captures);
  template <typename Function>
  static std::string CallWith(const char* captures);
  template <typename Read>
  void Look(const Probe<Read>& probe, Evidence& evidence);

  Process(std::string name, Observer* observer, pid_t pid, Descriptor socket);
  void End();
  void Tell(const Evidence& evidence, Place place) const;
  std::string Send(Trampoline trampoline, std::string_view captures,
                   Patience patience, int descriptor = -1);
  std::string Await(Patience patience, pid_t* sender = nullptr) const;
  std::string DescribeEnd() const;
  [[noreturn]] static void Serve(int socket);

  std::string name_;
  Observer* observer_;
  pid_t pid_;
  Descriptor socket_;  // None: this process itself.
};

/// The process that calls this may live longer than its parent; otherwise it
/// is killed then. prctl(2), PR_SET_PDEATHSIG.
void OutliveParent();

/// What the process that calls this does when nobody is left to direct it: the
/// lesson has ended, or was killed.
void OnRelease(std::function<void()> work);

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

template <typename Function>
std::string Process::CallWith(const char* captures) {
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

template <typename Function>
auto Process::Run(Function function, Patience patience) {
  using Returned = std::invoke_result_t<Function>;
  const std::string bytes =
      Send(CallWith<Function>, BytesOf(function), patience);
  if constexpr (std::convertible_to<Returned, std::string>) {
    return bytes;
  } else if constexpr (!std::is_void_v<Returned>) {
    return ValueOf<Returned>(bytes);
  }
}

template <typename Read>
void Process::Look(const Probe<Read>& probe, Evidence& evidence) {
  if constexpr (std::integral<std::invoke_result_t<Read>>) {
    const std::string number = std::to_string(Run(probe.read));
    evidence.Add({probe.label, number, probe.source});
  } else {
    evidence.Add({probe.label, Run(probe.read), probe.source});
  }
}

template <typename Read>
std::string Process::Ask(const Probe<Read>& probe, Place place) {
  Evidence evidence;
  Look(probe, evidence);
  Tell(evidence, place);
  return evidence[probe];
}

template <typename... Reads>
requires(sizeof...(Reads) >
         1) Evidence Process::Ask(const Probe<Reads>&... probes) {
  Evidence evidence;
  (Look(probes, evidence), ...);
  Tell(evidence, {});
  return evidence;
}

template <typename Read>
Evidence Process::Ask(const std::vector<Probe<Read>>& probes, Place place) {
  Evidence evidence;
  for (const auto& probe : probes) Look(probe, evidence);
  Tell(evidence, place);
  return evidence;
}

}  // namespace steps

#endif  // COMMON_KERNEL_PROCESS_H_
