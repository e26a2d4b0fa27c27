#ifndef LESSONS_CONTAINER_BUILD_H_
#define LESSONS_CONTAINER_BUILD_H_

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/cgroups.h"
#include "common/child.h"
#include "common/event.h"
#include "common/evidence.h"
#include "common/lesson.h"

namespace steps {

// The container's own name and address, and the address of the other end.
constexpr const char* kName = "container_001";
constexpr const char* kAddress = "192.0.2.2";
constexpr const char* kGateway = "192.0.2.1";
constexpr in_port_t kGatewayPort = 8080;

/// How many processes it may have at once, PID 1 included.
constexpr int kProcesses = 100;

/// Waits for signals, all of which the caller has to have blocked, and
/// passes them on to the process `pid`. Until `has_ended`, asked at each
/// SIGCHLD, says so. Throws CallError. sigwaitinfo(2).
void RelaySignals(pid_t pid, const std::function<bool()>& has_ended);

/// Blocks every signal. Throws CallError. sigprocmask(2).
void BlockSignals();

/// What PID 1 does: runs the command, passes on signals to it, and reaps
/// whatever ends. It tells a Side of those that it `is_to_tell` of. Gives
/// the command's exit status. Throws CallError.
int RunInit(Side& init, const std::function<bool(pid_t)>& is_to_tell,
            const std::function<int()>& command);

/// The interfaces that a process sees: "eth0 up, lo up". Throws CallError.
Finding FromInterfaces();

/// The capabilities that it can ever have, a bit for each: "0xa80425fb".
/// capabilities(7).
Finding FromBoundingSet();

/// The same of those that it has now.
Finding FromEffectiveSet();

/// Whether an exec may give it more than it has: "0" or "1". prctl(2).
Finding FromNoNewPrivileges();

/// What engines leave of it: Docker's fourteen capabilities.
constexpr std::uint64_t kEnginesCapabilities = 0xa80425fb;

/// A container, in the order in which its functions are to be called. Each
/// tells a Side of its calls and throws as Side::Check, and as
/// Child::Receive where the container's first process fails. What is made
/// lasts as long as this object.
class Container {
 public:
  using Init = std::function<int(Line&)>;  // Gives the exit status.

  /// With the folder `image` as its root, or with the host's /usr alone
  /// where that is empty.
  explicit Container(std::string image) : image_(std::move(image)) {}

  /// Limits its processes and memory, where a cgroup may be made.
  Outcome Limit(Lesson& lesson, Side& outside);

  /// Starts its PID 1, which makes a root for itself, and ends with `init`.
  void Start(Side& outside, Init init);

  /// Connects it to a gateway in a network namespace that nobody else uses.
  Outcome Connect(Lesson& lesson, Side& outside);

  /// Takes privileges from it. PID 1 then waits to be released.
  void Confine(Side& outside);

  /// Its parts: what each is here, the lesson that is about it, and the
  /// option of `docker run` that does the same.
  Table Parts() const;

  Child& init() { return *init_; }

  /// Whether what is written to its root goes to memory.
  bool has_overlay() const {
    return root_.Value("programs").ends_with("overlay");
  }

 private:
  void Build(Line& line) const;

  std::string image_;
  std::map<std::string, Cgroup>
      cgroups_;  // By their hierarchy's controllers.
  std::optional<Child> gateway_;
  std::optional<Child> init_;
  std::string limits_ = "none";
  std::string interfaces_;
  Evidence root_;
  Evidence confined_;
};

}  // namespace steps

#endif  // LESSONS_CONTAINER_BUILD_H_
