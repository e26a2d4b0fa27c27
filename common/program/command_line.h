#ifndef COMMON_PROGRAM_COMMAND_LINE_H_
#define COMMON_PROGRAM_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace steps {

// The exit statuses of every program.
constexpr int kFailed = 1;         // A claim does not hold, or it failed.
constexpr int kUsage = 2;          // Wrong usage.
constexpr int kCannotRun = 77;     // This machine does not allow it.
constexpr int kInterrupted = 130;  // Ctrl-C.

/// Something on the command line that the program cannot use.
using UsageError = CLI::ValidationError;

/// The main() of the program `name`: gives the exit status of `work`, or that
/// of what `work` throws, which it reports on stderr: CLI::ParseError,
/// std::exception. Ctrl-C ends the program with kInterrupted.
int RunProgram(const std::string& name, const std::function<int()>& work);

/// Reads the command line into the options of `app`, to which it adds --help,
/// --version and those of a lesson's options that have these `names`, such as
/// "--json"; without names, all. Gives the words behind the options, or nothing
/// when it was --help or --version: its answer has been written. Throws
/// CLI::ParseError and CallError.
std::optional<std::vector<std::string>> Parse(
    CLI::App& app, int argc, char** argv, const std::string& name,
    const std::vector<std::string>& names = {});

/// Whether what is written to `fd` has colour, by --color: with "auto" on a
/// terminal, but for TERM=dumb and NO_COLOR.
bool WantsColor(const CLI::App& app, int fd);

}  // namespace steps

#endif  // COMMON_PROGRAM_COMMAND_LINE_H_
