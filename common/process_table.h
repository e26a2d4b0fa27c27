#ifndef COMMON_PROCESS_TABLE_H_
#define COMMON_PROCESS_TABLE_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "common/event.h"
#include "common/namespaces.h"

namespace steps {

/// A process that the reader names.
struct NamedProcess {
  pid_t pid;
  std::string command;                    // As ps(1) has it; any bytes.
  std::map<int, NamespaceId> namespaces;  // By the kind's flag.
};

/// The processes with these PIDs. Throws UsageError for a word that is no PID,
/// std::runtime_error when there is no such process, and CallError when it may
/// not be inspected.
std::vector<NamedProcess> LookAt(const std::vector<std::string>& words);

/// At least one process, side by side: for each kind of namespace the inode
/// numbers, and which of them share one. A table has room for three; where
/// there are more, each table begins with the first. Throws CallError.
std::vector<Table> CompareProcesses(const std::vector<NamedProcess>& processes);

/// The same as a drawing, which has room for all of them. Throws CallError.
Drawing DrawProcesses(const std::vector<NamedProcess>& processes);

}  // namespace steps

#endif  // COMMON_PROCESS_TABLE_H_
