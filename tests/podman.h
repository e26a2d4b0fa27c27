#ifndef TESTS_PODMAN_H_
#define TESTS_PODMAN_H_

#include <string>
#include <vector>

#include "common/child.h"
#include "tests/process.h"

namespace steps {

/// Starts a child in namespaces that end with it, where podman may leave what
/// it likes, and in which RunInPodman can be called. Throws CallError.
void StartForPodman(Child& child);

/// Makes the caller's mount namespace such a place. Throws CallError.
void PrepareForPodman();

/// Runs `command` in a container, made by `podman run` with these `options`,
/// whose root folder has the host's /usr.
Result RunInPodman(const std::vector<std::string>& options,
                   const std::vector<std::string>& command);

}  // namespace steps

#endif  // TESTS_PODMAN_H_
