#ifndef COMMON_PROGRAM_COMMAND_LINE_H_
#define COMMON_PROGRAM_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
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

/// The main() of the program `name`: reads the command line into the options of
/// `app`, to which it adds --help, --version and those `options` of a lesson;
/// {} are all. Gives the exit status of `work`, which gets the words behind the
/// options, or of what `work` throws, and reports that on stderr:
/// CLI::ParseError, std::exception. Ctrl-C ends the program with kInterrupted.
int RunProgram(const std::string& name, CLI::App& app,
               const std::vector<std::string>& options, int argc, char** argv,
               const std::function<int(const std::vector<std::string>&)>& work);

/// Whether what is written to `fd` has colour, by --color: with "auto" on a
/// terminal, but for TERM=dumb and NO_COLOR.
bool WantsColor(const CLI::App& app, int fd);

}  // namespace steps

#endif  // COMMON_PROGRAM_COMMAND_LINE_H_
