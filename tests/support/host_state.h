#ifndef TESTS_SUPPORT_HOST_STATE_H_
#define TESTS_SUPPORT_HOST_STATE_H_

#include <map>
#include <string>

namespace steps {

/// Everything of a machine that a lesson could leave changed: what there is to
/// see (a mount, a queue, a link, a folder …) and how it looks.
using HostState = std::map<std::string, std::string>;

/// This machine as it is now: host and domain name, mount table, System V IPC
/// objects and POSIX queues, network links, the lessons' cgroups, the children
/// of this process, and the files directly in /tmp, /var/tmp and /dev/shm.
HostState LookAtHost();

/// What came, went or changed, a line each; empty when nothing did.
std::string Difference(const HostState& before, const HostState& after);

}  // namespace steps

#endif  // TESTS_SUPPORT_HOST_STATE_H_
