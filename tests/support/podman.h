#ifndef TESTS_SUPPORT_PODMAN_H_
#define TESTS_SUPPORT_PODMAN_H_

#include <string>
#include <vector>

#include "common/kernel/process.h"
#include "tests/support/program.h"

namespace steps {

/// Why there can be none here, or nothing: it takes root, podman, crun and
/// runc.
std::string WhyNoPodman();

/// Starts a child in namespaces that end with it, in which a Podman may be, and
/// leave what it likes. Throws CallError.
Process StartForPodman();

/// An engine to compare with. It changes the mount namespace that it is in.
class Podman {
 public:
  /// With crun, and without a cgroup; or with runc, and in a cgroup below
  /// `cgroup_parent`, which has to be there in each hierarchy of version 1.
  /// Throws CallError.
  explicit Podman(std::string cgroup_parent = "");

  /// Runs `command` in a container, made by `podman run` with these `options`,
  /// whose root directory has the host's /usr.
  Result Run(const std::vector<std::string>& options,
             const std::vector<std::string>& command) const;

 private:
  std::string cgroup_parent_;
};

}  // namespace steps

#endif  // TESTS_SUPPORT_PODMAN_H_
