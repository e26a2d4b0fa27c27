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

/// Makes this process a shell: one without the reader's own prompt and history.
/// Throws CallError. execvp(3).
[[noreturn]] void BecomeShell(const std::string& prompt);

/// What to type in a second terminal, which differs from the process `pid` in
/// the namespaces `flags`: to look at it and to join it. The lesson `setns`
/// joins the kind that has the name of this `lesson`.
std::vector<std::string> SecondTerminal(const std::string& lesson, pid_t pid,
                                        int flags);

}  // namespace steps

#endif  // COMMON_SHELL_H_
