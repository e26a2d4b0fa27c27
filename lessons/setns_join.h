#ifndef LESSONS_SETNS_JOIN_H_
#define LESSONS_SETNS_JOIN_H_

#include "common/program/program.h"

namespace steps {

/// The task of the lesson setns: joins the namespaces, of any kind, at the
/// reader's paths, and becomes the command that follows, or a shell.
/// setns(2).
Task JoinTask();

}  // namespace steps

#endif  // LESSONS_SETNS_JOIN_H_
