#ifndef LESSONS_CONTAINER_INIT_H_
#define LESSONS_CONTAINER_INIT_H_

#include <sys/types.h>

namespace steps {

// What the PID 1 of a container has to do beside being there: reap whatever
// ends, and pass on signals.

/// Waits for the next signal and gives its number; where the wait has an
/// `end`, 0 if there is none for two seconds. Throws CallError.
/// sigtimedwait(2).
int NextSignal(bool end);

/// Reaps the next process that has ended: gives its PID and wait status; 0
/// where there is none. A process that was stopped goes on, because nobody
/// inside would continue it. wait(2).
pid_t Reap(int& status);

/// Waits until no child is left. wait(2).
void ReapAll();

/// Passes on the next signal to `command`, unless it is SIGCHLD. Throws
/// CallError.
void PassOnSignal(pid_t command);

/// Passes on signals to `command`, a child of this process, and reaps,
/// until that one has ended. Gives its exit status. Throws CallError.
int RunInit(pid_t command);

}  // namespace steps

#endif  // LESSONS_CONTAINER_INIT_H_
