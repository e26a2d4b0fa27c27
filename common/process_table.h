#ifndef COMMON_PROCESS_TABLE_H_
#define COMMON_PROCESS_TABLE_H_

#include <string>
#include <vector>

#include "common/event.h"

namespace steps {

/// The processes that the reader names, at least one PID, side by side: for
/// each kind of namespace the inode numbers, and which of them share one. A
/// table has room for three; where there are more, each table begins with the
/// first. Throws UsageError for a word that is no PID, std::runtime_error when
/// there is no such process, and CallError when it may not be inspected.
std::vector<Table> CompareProcesses(const std::vector<std::string>& words);

}  // namespace steps

#endif  // COMMON_PROCESS_TABLE_H_
