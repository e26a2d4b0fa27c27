#include "common/program/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/program/shell.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

constexpr std::string_view kVersion = "0.1.0";
constexpr int kLongestPause = 3600;  // Seconds.

// stdin, stdout and stderr must be taken, or the next file that the program
// opens would be one of them. What stands for a stdout that is closed cannot be
// written to, either.
void CheckStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    MUST(open, "/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
  }
}

pid_t program_pid = 0;

// The children die with the program; in a terminal they get the signal, too.
void OnInterrupt(int) {
  if (getpid() == program_pid) {
    ReclaimTerminal();
    constexpr std::string_view kMessage = "\ninterrupted\n";
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, kMessage.data(), kMessage.size());
  }
  _exit(kInterrupted);
}

// CLI11 leaves blanks at the ends of lines from 2.6 on.
std::string Help(const CLI::App& app) {
  std::string text = app.help();
  for (std::size_t at; (at = text.find(" \n")) != std::string::npos;) {
    text.erase(at, 1);
  }
  return text;
}

}  // namespace

int RunProgram(const std::string& name, const std::function<int()>& work) {
  const auto report = [&name](const std::exception& error) {
    Complain(fmt::format("{}: {}\n", name, error.what()));
    return kFailed;
  };
  const auto misused = [&](const std::exception& error) {
    report(error);
    Complain(fmt::format("Try: bazel run //lessons:{} -- --help\n", name));
    return kUsage;
  };
  program_pid = getpid();
  std::signal(SIGINT, OnInterrupt);
  // The program's parent may have ignored it: then no child can be awaited.
  std::signal(SIGCHLD, SIG_DFL);
  try {
    CheckStandardStreams();
    // Where the reader has typed `bazel run`, which goes elsewhere.
    const char* directory = getenv("BUILD_WORKING_DIRECTORY");
    if (directory != nullptr) MUST(chdir, directory);
    // For ps: before Linux 6.14, what fexecve(3) starts is called "3".
    MUST(prctl, PR_SET_NAME, name.c_str());
    return work();
  } catch (const CLI::ParseError& error) {
    return misused(error);
  } catch (const UsageError& error) {
    return misused(error);
  } catch (const OutputError& error) {
    // The reader of a closed pipe has seen enough.
    return error.error() == EPIPE ? kFailed : report(error);
  } catch (const std::exception& error) {
    return report(error);
  }
}

bool Parse(CLI::App& app, int argc, char** argv, const std::string& name) {
  app.get_formatter()->column_width(20);
  // From CLI11 2.6 on, it would break the lines of these again.
  const auto keep_lines = [](auto& formatter) {
    if constexpr (requires { formatter.enable_footer_formatting(false); }) {
      formatter.enable_footer_formatting(false);
      formatter.enable_description_formatting(false);
    }
  };
  keep_lines(*app.get_formatter());
  app.set_version_flag(
      "--version",
      fmt::format("{} {} (Namespaces, step by step)", name, kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    WriteOutput(STDOUT_FILENO, Help(app));
    return false;
  } catch (const CLI::CallForVersion& version) {
    WriteOutput(STDOUT_FILENO, fmt::format("{}\n", version.what()));
    return false;
  }
  return true;
}

CLI::Option* AddAutoOption(CLI::App& app, std::string& seconds) {
  return app.add_option("--auto", seconds, "The same, and go on after SECONDS")
      ->option_text("SECONDS")
      ->check([](const std::string& word) -> std::string {
        double number = -1;
        const char* end = word.data() + word.size();
        const auto parsed = std::from_chars(word.data(), end, number);
        // Not in reverse: "nan" is a number, and compares with none.
        const bool valid =
            parsed.ptr == end && number >= 0 && number <= kLongestPause;
        return valid ? ""
                     : fmt::format("takes seconds, 0 to {}", kLongestPause);
      });
}

void AddColorOption(CLI::App& app, std::string& when) {
  app.add_option("--color", when,
                 "auto (the default), always or never; NO_COLOR is respected")
      ->option_text("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
}

bool WantsColor(const std::string& when, int fd) {
  if (when != "auto") return when == "always";
  const auto get = [](const char* variable) {
    const char* value = getenv(variable);
    return std::string_view(value == nullptr ? "" : value);
  };
  return isatty(fd) == 1 && get("NO_COLOR").empty() && get("TERM") != "dumb";
}

}  // namespace steps
