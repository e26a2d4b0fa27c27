#ifndef COMMON_TOOL_H_
#define COMMON_TOOL_H_

#include <optional>
#include <string>
#include <vector>

namespace steps {

/// Runs the program `argv` in the caller's namespaces and gives what it prints
/// on stdout, without the last newline; nothing when it is not installed. It
/// reads nothing, speaks English, and dies with the caller. Throws ChildError
/// when it does not exit with 0, CallError when it cannot be run. execvp(3).
std::optional<std::string> RunTool(const std::vector<std::string>& argv);

/// `argv` for execvp(3): valid while the strings are.
std::vector<char*> ExecArguments(const std::vector<std::string>& argv);

}  // namespace steps

#endif  // COMMON_TOOL_H_
