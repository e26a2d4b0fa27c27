#ifndef COMMON_GUARDIAN_H_
#define COMMON_GUARDIAN_H_

#include <functional>

#include "common/child.h"

namespace steps {

/// Owns one thing that the kernel does not clean up by itself, a System V queue
/// or a cgroup's folder. A process that outlives this one makes it and removes
/// it, however this one ends: there is no moment at which SIGKILL leaves it
/// behind.
class Guardian {
 public:
  using Make = std::function<int()>;        // Gives the thing's identifier.
  using Remove = std::function<void(int)>;  // Takes it.

  /// Starts the guardian, which calls `make`. Throws what `make` throws.
  Guardian(const Make& make, Remove remove);

  /// Has the thing removed, and reports on stderr when that fails.
  ~Guardian();

  /// What `make` returned, or -1 once it is removed.
  int id() const { return id_; }

  /// Has the thing removed now. Throws what `remove` throws; when the guardian
  /// was killed, it is this process that calls `remove`.
  void Finish();

 private:
  Remove remove_;
  Child process_;
  int id_ = -1;
};

}  // namespace steps

#endif  // COMMON_GUARDIAN_H_
