#ifndef COMMON_PROGRAM_SHELL_H_
#define COMMON_PROGRAM_SHELL_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace steps {

/// Runs a shell in the namespaces of the process `pid`, on the caller's
/// terminal, until it ends. What it leaves running is killed, and so is all of
/// it when the caller is killed. Throws CallError. setns(2).
void RunShell(pid_t pid, const std::string& prompt);

/// Gives the terminal of stdin back as it was before RunShell(), if that has
/// it. A signal handler may call this.
void ReclaimTerminal();

/// Makes this process the reader's command; where none is given, a shell with
/// this prompt, without the reader's own prompt and history. Comes back when it
/// cannot be run: says why on stderr and gives the exit status that a shell has
/// for it, 127 when it or its interpreter is not there, otherwise 126.
/// execvp(3).
int BecomeCommand(std::vector<std::string> command, const std::string& prompt);

/// The same in a child, which gets the signals that are sent to this process
/// alone, such as SIGTERM. Waits for its end and gives its exit status, or 128
/// and the number of the signal that killed it. Throws CallError.
int AwaitCommand(const std::vector<std::string>& command,
                 const std::string& prompt);

/// What to type in a second terminal, which differs from the process `pid` in
/// the namespaces `flags`: to look at it and to join it. The lesson `setns`
/// joins the kind that has the name of this `lesson`, with a PID namespace.
std::vector<std::string> SecondTerminal(const std::string& lesson, pid_t pid,
                                        int flags);

}  // namespace steps

#endif  // COMMON_PROGRAM_SHELL_H_
