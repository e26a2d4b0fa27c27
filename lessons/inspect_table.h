#ifndef LESSONS_INSPECT_TABLE_H_
#define LESSONS_INSPECT_TABLE_H_

#include <string>
#include <vector>

#include "common/lesson/lesson.h"

namespace steps {

/// Shows the processes with these PIDs side by side: for each kind of
/// namespace the inode numbers, and which of them share one. At most three
/// fit a table; where there are more, each table begins with the first.
/// Draws all of them. Gives the exit status. Throws UsageError for a word
/// that is no PID, std::runtime_error when there is no such process, and
/// CallError when it may not be inspected.
int CompareNamed(Lesson& lesson, const std::vector<std::string>& pids);

}  // namespace steps

#endif  // LESSONS_INSPECT_TABLE_H_
