#include "common/program/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/program/shell.h"

namespace steps {
namespace {

// What each is called, what stands for its value, "" for a flag, and its help.
constexpr std::array<const char*, 3> kOptions[] = {
    {"--step", "", "Stop before each step, until Enter is pressed"},
    {"--auto", "SECONDS", "The same, and go on after SECONDS"},
    {"--code", "", "Show the lines of source that run"},
    {"--shell", "", "Start a shell inside when it is over"},
    {"--json", "", "Print one JSON document instead"},
    {"--markdown", "", "Print Markdown instead, for an article"},
    {"--dot", "", "Draw what is shared instead, for Graphviz"},
    {"--svg", "", "The same drawing as SVG, made by Graphviz"},
    {"--save", "FILE", "Write the JSON to FILE as well"},
    {"--cast", "FILE", "Write a recording to FILE as well, for asciinema play"},
    {"--color", "WHEN",
     "auto (the default), always or never; NO_COLOR is respected"}};

pid_t program_pid = 0;

// The children die with the program; in a terminal they get the signal, too.
void OnInterrupt(int) {
  if (getpid() == program_pid) {
    ReclaimTerminal();
    Complain("\ninterrupted\n");
  }
  _exit(kInterrupted);
}

// What is wrong with a number, if anything.
std::string CheckPlainNumber(const std::string& word) {
  const bool is_plain = word.find_first_not_of("0123456789.") == word.npos;
  return is_plain ? "" : "takes seconds, such as 2.5";
}

// Those of kOptions that have these `names`; without names, all.
void AddOptions(CLI::App& app, const std::vector<std::string>& names) {
  for (const auto& [name, value, help] : kOptions) {
    if (!names.empty() && std::ranges::count(names, name) == 0) continue;
    CLI::Option* option = *value == '\0'
                              ? app.add_flag(name, help)
                              : app.add_option(name, help)->option_text(value);
    option->type_name(value);
    if (option->get_name() == "--auto") {
      // A double is "nan", too.
      option->check(CLI::Range(0.0, 9999.0))->check(CheckPlainNumber);
    }
  }
  app.get_option("--color")->check(CLI::IsMember({"auto", "always", "never"}));
  // One form at a time, and nobody at the keyboard of any of these.
  for (const char* form : {"--json", "--markdown", "--dot", "--svg"}) {
    for (const char* other : {"--step", "--auto", "--shell", "--json",
                              "--markdown", "--dot", "--svg"}) {
      CLI::Option* one = app.get_option_no_throw(form);
      CLI::Option* two = app.get_option_no_throw(other);
      if (one != nullptr && two != nullptr && one != two) one->excludes(two);
    }
  }
}

// In a layout of our own: that of CLI11 differs from version to version.
std::string Help(const CLI::App& app) {
  std::string help = fmt::format("{}\nUsage: {}\n\nOptions:\n",
                                 app.get_description(), app.get_name());
  for (const CLI::Option* option : app.get_options()) {
    help += fmt::format(
        "  {:<18}{}\n",
        option->get_name(false, true) + " " + option->get_option_text(),
        option->get_description());
  }
  return help + "\n" + app.get_footer() + "\n";
}

}  // namespace

int RunProgram(
    const std::string& name, CLI::App& app,
    const std::vector<std::string>& options, int argc, char** argv,
    const std::function<int(const std::vector<std::string>&)>& work) {
  program_pid = getpid();
  std::signal(SIGINT, OnInterrupt);
  // The program's parent may have ignored it: then no child can be awaited.
  std::signal(SIGCHLD, SIG_DFL);
  try {
    // A closed one would become the next file that is opened. What stands for
    // a closed stdout cannot be written to, either.
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (fcntl(fd, F_GETFD) != -1) continue;
      MUST(open, "/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
    }
    // Where the reader has typed `bazel run`, which goes elsewhere.
    const char* directory = getenv("BUILD_WORKING_DIRECTORY");
    if (directory != nullptr) MUST(chdir, directory);
    // For ps: before Linux 6.14, what fexecve(3) starts is called "3".
    MUST(prctl, PR_SET_NAME, name.c_str());
    const std::string version =
        fmt::format("{} 0.1.0 (Namespaces, step by step)\n", name);
    AddOptions(app, options);
    app.set_version_flag("--version", version);
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success&) {
      const bool asks_version = app.count("--version") > 0;
      WriteAll(STDOUT_FILENO, asks_version ? version : Help(app));
      return EXIT_SUCCESS;
    }
    std::vector<std::string> words = app.remaining();
    // Only `bazel run` takes away the "--" between its options and these.
    if (!words.empty() && words[0] == "--") words.erase(words.begin());
    if (!words.empty() && words[0].starts_with("-")) {
      throw UsageError("there is no option " + words[0]);
    }
    return work(words);
  } catch (const CLI::ParseError& error) {
    Complain(fmt::format("{0}: {1}\nTry: bazel run //lessons:{0} -- --help\n",
                         name, error.what()));
    return kUsage;
  } catch (const std::exception& error) {
    Complain(fmt::format("{}: {}\n", name, error.what()));
    return kFailed;
  }
}

bool WantsColor(const CLI::App& app, int fd) {
  const auto when = app["--color"]->as<std::string>();
  if (when == "always" || when == "never") return when == "always";
  const char* no_color = getenv("NO_COLOR");
  const char* term = getenv("TERM");
  return isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace steps
