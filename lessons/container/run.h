#ifndef LESSONS_CONTAINER_RUN_H_
#define LESSONS_CONTAINER_RUN_H_

#include "common/program/program.h"

namespace steps {

/// The task of the lesson container: runs the reader's command in one, with
/// the directory that --rootfs names as its root.
Task ContainerTask();

}  // namespace steps

#endif  // LESSONS_CONTAINER_RUN_H_
