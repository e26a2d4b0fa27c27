#ifndef LESSONS_SETNS_JOIN_H_
#define LESSONS_SETNS_JOIN_H_

#include <string>
#include <vector>

#include "common/lesson.h"

namespace steps {

/// The task of the lesson setns: joins the namespace at the path `words[0]`, of
/// any kind, and becomes the command that follows, or a shell. Gives the exit
/// status where it has waited for the command. Throws UsageError, CallError and
/// std::runtime_error. setns(2).
int JoinAndRun(Lesson& lesson, const std::vector<std::string>& words);

}  // namespace steps

#endif  // LESSONS_SETNS_JOIN_H_
