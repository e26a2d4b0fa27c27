#ifndef COMMON_PROGRAM_COMMAND_LINE_H_
#define COMMON_PROGRAM_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>

namespace steps {

// The exit statuses of every program.
constexpr int kFailed = 1;         // A claim does not hold, or it failed.
constexpr int kUsage = 2;          // Wrong usage.
constexpr int kCannotRun = 77;     // This machine does not allow it.
constexpr int kInterrupted = 130;  // Ctrl-C.

/// Something on the command line that the program cannot use.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The main() of the program `name`: gives the exit status of `work`, or that
/// of what `work` throws, which it reports on stderr: CLI::ParseError and
/// UsageError, OutputError (quietly where a pipe was closed), std::exception.
/// Ctrl-C ends the program with kInterrupted.
int RunProgram(const std::string& name, const std::function<int()>& work);

/// Reads the command line into the options of `app`, to which it adds --help
/// and --version. False when it was one of these: its answer has been written.
/// Throws CLI::ParseError and OutputError.
bool Parse(CLI::App& app, int argc, char** argv, const std::string& name);

/// Adds --auto to a command line: a number of seconds, from 0 to 3600.
CLI::Option* AddAutoOption(CLI::App& app, std::string& seconds);

/// Adds --color, which leaves "auto", "always" or "never" in `when`.
void AddColorOption(CLI::App& app, std::string& when);

/// Whether what is written to `fd` has colour: with "auto" on a terminal, but
/// for TERM=dumb and NO_COLOR.
bool WantsColor(const std::string& when, int fd);

}  // namespace steps

#endif  // COMMON_PROGRAM_COMMAND_LINE_H_
