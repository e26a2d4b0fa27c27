#ifndef LESSONS_CONTAINER_ROOT_H_
#define LESSONS_CONTAINER_ROOT_H_

#include <string>

namespace steps {

/// The container's name and addresses, which its /etc has as well.
constexpr const char* kName = "container_001";
constexpr const char* kAddress = "192.0.2.2";
constexpr const char* kGateway = "192.0.2.1";

/// Gives this process, which has to be in a mount namespace of its own, a
/// new root: the directory `image`, or the host's /usr alone where that is
/// empty. What is written to it stays in memory. Gives the errno with which
/// the kernel refused it a /proc, or 0. Throws CallError, and
/// std::runtime_error where a call answered 0 and did nothing.
/// pivot_root(2).
int MakeRoot(const char* image);

/// On which kind of file system the programs of such a root are: "/usr, an
/// overlay" or "/usr, read-only". Throws CallError. statfs(2).
std::string Programs(const char* image);

}  // namespace steps

#endif  // LESSONS_CONTAINER_ROOT_H_
