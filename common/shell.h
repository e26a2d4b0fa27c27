#ifndef COMMON_SHELL_H_
#define COMMON_SHELL_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace steps {

/// Runs a shell in the namespaces `flags` (CLONE_NEWUTS | …) of the process
/// `pid`, on the caller's terminal, until it ends. What it leaves running is
/// killed, and so is all of it when the caller is killed. The caller must have
/// no other children that it wants to keep but `pid`. Throws CallError.
/// setns(2).
void RunShell(pid_t pid, int flags, const std::string& prompt);

/// What to type in a second terminal, which differs from the process `pid` in
/// the namespaces `flags`: to look at `pid`, and to join it.
std::vector<std::string> SecondTerminal(pid_t pid, int flags);

}  // namespace steps

#endif  // COMMON_SHELL_H_
