#ifndef LESSONS_CONTAINER_TERMINAL_H_
#define LESSONS_CONTAINER_TERMINAL_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <thread>

#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"

namespace steps {

/// For the container's PID 1: begins a session. Where there is a terminal, it
/// is that of the container's own devpts, and takes the place of the
/// reader's. Throws CallError. setsid(2), pty(7).
void BeginSession(bool has_terminal);

/// What goes between the reader and the container while the command runs:
/// the signals that the lesson gets, what is typed, and what is shown.
class Relay {
 public:
  Relay() = default;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Shows what is left to show, and gives the reader's terminal back as it
  /// was. The container has to have ended, or may have more to show.
  ~Relay();

  /// Makes the container's terminal, /dev/console inside, and has a guardian
  /// restore the reader's even where the lesson is killed. Throws CallError
  /// and std::runtime_error.
  void MakeTerminal(Process& outside, Process& inside);

  /// Begins, with signals for the process `inside`. All are blocked here.
  /// Throws CallError.
  void Begin(pid_t inside);

 private:
  void Run(int stop);
  void PassOnSignal();
  void SetSize() const;
  void ReadKeys();
  void Type();
  bool ShowSome() const;

  std::optional<Process> guardian_;
  Descriptor master_;  // The container's terminal, as seen from outside.
  Descriptor signals_;
  std::string typed_;  // What the container's terminal has not taken yet.
  pid_t inside_ = -1;
  Descriptor running_;  // Closed, it ends the thread.
  std::thread thread_;
};

}  // namespace steps

#endif  // LESSONS_CONTAINER_TERMINAL_H_
