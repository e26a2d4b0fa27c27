#ifndef LESSONS_CONTAINER_PARTS_H_
#define LESSONS_CONTAINER_PARTS_H_

#include <string>

#include "common/kernel/process.h"
#include "common/lesson/event.h"

namespace steps {

/// The CLONE_NEW* of all kinds that this kernel has, but for two: of the
/// user namespace, because engines leave it by default, and of the cgroup
/// namespace, which a process makes when it is in the cgroup that is to be
/// its root. Throws CallError.
int ContainerFlags();

/// A container's parts: what each is here, the lesson that is about it, and
/// the option of `docker run` that does the same. Throws CallError.
Table Parts(Process& inside, const char* image, const std::string& limits,
            int processes);

}  // namespace steps

#endif  // LESSONS_CONTAINER_PARTS_H_
