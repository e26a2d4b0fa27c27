#ifndef LESSONS_CONTAINER_ROOT_H_
#define LESSONS_CONTAINER_ROOT_H_

#include <string>

#include "common/evidence.h"
#include "common/lesson.h"

namespace steps {

/// Gives this process, which is alone in a mount namespace, a root of its
/// own: the folder `image`, or the host's /usr alone where that is empty.
/// What is written to it stays in memory. Throws as Side::Check.
/// pivot_root(2).
void MakeRoot(Side& side, const std::string& image);

/// Of which kind the file system is that such a root has its programs on:
/// "/usr, an overlay" or "/usr, read-only". Throws CallError. statfs(2).
Finding FromRoot(const std::string& image);

}  // namespace steps

#endif  // LESSONS_CONTAINER_ROOT_H_
