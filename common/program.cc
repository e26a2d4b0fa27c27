#include "common/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/namespaces.h"
#include "common/renderer.h"
#include "common/shell.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

constexpr std::string_view kVersion = "0.1.0";

// Exit statuses.
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kCannotRun = 77;
constexpr int kInterrupted = 130;

struct Options {
  bool shell = false;
  bool json = false;
  bool color = false;
};

// stdin, stdout and stderr must be taken, or the next file that the lesson
// opens would be one of them. Nothing can be shown on a stdout that is closed.
void CheckStandardStreams() {
  if (fcntl(STDOUT_FILENO, F_GETFD) == -1) throw OutputError(errno);
  for (const int fd : {STDIN_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) {
      Check(open("/dev/null", O_RDWR), "open(\"/dev/null\")");
    }
  }
}

bool WantsColor(const std::string& when) {
  if (when != "auto") return when == "always";
  const auto get = [](const char* name) {
    const char* value = getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  return isatty(STDOUT_FILENO) == 1 && get("NO_COLOR").empty() &&
         get("TERM") != "dumb";
}

// Reads the command line. Nothing when it only asked for help or the version.
// Throws CLI::ParseError.
std::optional<Options> Parse(int argc, char** argv, const About& about) {
  const std::string run = "bazel run //lessons:" + about.name;
  CLI::App app(fmt::format("{}, {}\n\n"
                           "Examples:\n"
                           "  {}               run the lesson\n"
                           "  {} -- --shell    and look around inside\n"
                           "  {} -- --json     for a program to read\n",
                           about.title, about.man_page, run, run, run),
               run + " --");
  app.footer(
      "Exit status: 0 every claim holds, 1 one does not or the lesson failed,\n"
      "2 wrong usage, 77 this machine does not allow it, 130 interrupted.");
  app.get_formatter()->column_width(20);
  Options options;
  std::string color = "auto";
  CLI::Option* shell = app.add_flag("--shell", options.shell,
                                    "Start a shell inside when it is over")
                           ->option_text(" ");
  app.add_flag("--json", options.json, "Print one JSON document instead")
      ->option_text(" ")
      ->excludes(shell);
  app.add_option("--color", color,
                 "auto (the default), always or never; NO_COLOR is respected")
      ->option_text("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.set_version_flag(
      "--version",
      fmt::format("{} {} (Namespaces, step by step)", about.name, kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    WriteOutput(STDOUT_FILENO, app.help());
    return std::nullopt;
  } catch (const CLI::CallForVersion& version) {
    WriteOutput(STDOUT_FILENO, fmt::format("{}\n", version.what()));
    return std::nullopt;
  }
  options.color = WantsColor(color);
  return options;
}

pid_t lesson_pid = 0;

// The children die with the lesson; in a terminal they get the signal, too.
void OnInterrupt(int) {
  if (getpid() == lesson_pid) {
    constexpr std::string_view kMessage = "\ninterrupted\n";
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, kMessage.data(), kMessage.size());
  }
  _exit(kInterrupted);
}

// `bazel run` starts the lesson in a folder of its own; paths and shells belong
// to the one in which the reader typed it.
void GoWhereTheReaderIs() {
  const char* folder = getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr) Check(chdir(folder), "chdir(\"{}\")", folder);
}

void Report(const About& about, const Verdict& verdict) {
  fmt::print(stderr, "{}: {}\n", about.name, verdict.error);
  if (!verdict.advice) return;
  fmt::print(stderr, "  cause   {}\n  remedy  {}\n", verdict.advice->cause,
             verdict.advice->remedy);
}

// One run of the lesson. Throws OutputError.
class Run {
 public:
  Run(const About& about, const Options& options)
      : about_(about),
        options_(options),
        renderer_(options.json
                      ? MakeJsonRenderer(STDOUT_FILENO)
                      : MakeTextRenderer(STDOUT_FILENO, options.color)),
        lesson_(*renderer_, machine_) {}

  int Teach(const std::function<void(Lesson&)>& teach) {
    try {
      Open();
      teach(lesson_);
      if (options_.shell) {
        renderer_->Render(lesson_.verdict());
        Shell();
      } else {
        if (lesson_.kept()) lesson_.kept()->Finish();
        renderer_->Render(lesson_.verdict());
        renderer_->Render(Hint{
            fmt::format("Look around inside: bazel run //lessons:{} -- --shell",
                        about_.name),
            {}});
      }
      return lesson_.verdict().exit_status;
    } catch (const OutputError&) {
      throw;
    } catch (const CallError& error) {
      return Fail(error, Explain(error, machine_));
    } catch (const std::exception& error) {
      return Fail(error, std::nullopt);
    }
  }

 private:
  // Becomes root where it is not privileged, and says so.
  void Open() {
    utsname names = {};
    Check(uname(&names), "uname()");
    Opening opening = {about_.name,   about_.title, about_.man_page,
                       names.release, uid_,         "root"};
    std::exception_ptr refusal;
    if (!machine_.privileged) {
      try {
        EnterUserNamespaceAsRoot();
        opening.privilege = "user namespace";
      } catch (const CallError&) {
        refusal = std::current_exception();
        opening.privilege = "none";
      }
    }
    renderer_->Render(opening);
    if (refusal) std::rethrow_exception(refusal);
  }

  void Shell() {
    Child& inside = lesson_.kept().value();
    const std::map<int, NamespaceId> there = NamespacesOf(inside.pid());
    renderer_->Render(
        Hint{"A shell inside: `exit` ends it, and all that it started.", {}});
    renderer_->Render(
        Hint{fmt::format("In a second terminal, as {}:",
                         uid_ == 0 ? "root" : fmt::format("uid {}", uid_)),
             SecondTerminal(inside.pid(), Difference(home_, there))});
    RunShell(inside.pid(), Difference(NamespacesOf(getpid()), there),
             fmt::format("[inside {}] \\u@\\h:\\w\\$ ", about_.name));
    inside.Finish();
  }

  int Fail(const std::exception& error, std::optional<Advice> advice) {
    Verdict verdict;
    verdict.outcome = advice ? "cannot run" : "failed";
    verdict.exit_status = advice ? kCannotRun : kFailed;
    verdict.error = error.what();
    verdict.advice = std::move(advice);
    renderer_->Render(verdict);
    Report(about_, verdict);
    return verdict.exit_status;
  }

  const About& about_;
  const Options& options_;
  const uid_t uid_ = geteuid();
  const Machine machine_ = Machine::Look();
  const std::map<int, NamespaceId> home_ = NamespacesOf(getpid());
  std::unique_ptr<Renderer> renderer_;
  Lesson lesson_;
};

}  // namespace

int RunLesson(int argc, char** argv, const About& about,
              const std::function<void(Lesson&)>& teach) {
  lesson_pid = getpid();
  std::signal(SIGINT, OnInterrupt);
  try {
    CheckStandardStreams();
    GoWhereTheReaderIs();
    const std::optional<Options> options = Parse(argc, argv, about);
    return options ? Run(about, *options).Teach(teach) : EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{0}: {1}\nTry: bazel run //lessons:{0} -- --help\n",
               about.name, error.what());
    return kUsage;
  } catch (const OutputError& error) {
    // The reader of a closed pipe has seen enough.
    if (error.error() != EPIPE) {
      fmt::print(stderr, "{}: {}\n", about.name, error.what());
    }
    return kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", about.name, error.what());
    return kFailed;
  }
}

}  // namespace steps
