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
#include "common/descriptor.h"
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
  int fd = STDOUT_FILENO;               // Where the lesson shows itself.
  std::string save = {};                // A file, or empty.
  std::vector<std::string> words = {};  // For the lesson's task.
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

bool WantsColor(const std::string& when, int fd) {
  if (when != "auto") return when == "always";
  const auto get = [](const char* name) {
    const char* value = getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  return isatty(fd) == 1 && get("NO_COLOR").empty() && get("TERM") != "dumb";
}

// Reads the command line. Nothing when it only asked for help or the version.
// Throws CLI::ParseError and UsageError.
std::optional<Options> Parse(int argc, char** argv, const About& about,
                             const std::optional<Task>& task) {
  const std::string run = "bazel run //lessons:" + about.name;
  std::string examples = fmt::format(
      "  {0}               run the lesson\n"
      "  {0} -- --shell    and look around inside\n"
      "  {0} -- --json     for a program to read\n",
      run);
  if (task) {
    examples +=
        fmt::format("  {} -- {}    {}\n", run, task->example, task->help);
  }
  CLI::App app(fmt::format("{}, {}\n\nExamples:\n{}", about.title,
                           about.man_page, examples),
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
  app.add_option("--save", options.save, "Write that document to FILE as well")
      ->option_text("FILE");
  app.add_option("--color", color,
                 "auto (the default), always or never; NO_COLOR is respected")
      ->option_text("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.set_version_flag(
      "--version",
      fmt::format("{} {} (Namespaces, step by step)", about.name, kVersion));
  // The first word ends the options: what follows may be another program's.
  app.prefix_command(task.has_value());
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    WriteOutput(STDOUT_FILENO, app.help());
    return std::nullopt;
  } catch (const CLI::CallForVersion& version) {
    WriteOutput(STDOUT_FILENO, fmt::format("{}\n", version.what()));
    return std::nullopt;
  }
  options.words = app.remaining();
  if (!options.words.empty()) {
    const std::string& first = options.words.front();
    if (first.starts_with("-")) {
      throw UsageError(fmt::format("there is no option {}", first));
    }
    if (options.shell) {
      throw UsageError(fmt::format("--shell takes no {}", task->words));
    }
    if (options.json && task->runs_command) {
      throw UsageError("--json and a command of one's own exclude each other");
    }
  }
  // stdout is the command's alone.
  if (!options.words.empty() && task->runs_command) options.fd = STDERR_FILENO;
  options.color = WantsColor(color, options.fd);
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

// Throws UsageError.
Descriptor OpenToSave(const std::string& path) {
  try {
    return path.empty() ? Descriptor()
                        : Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  } catch (const CallError& error) {
    throw UsageError(fmt::format("--save: {}", error.what()));
  }
}

// What is shown, and the document that may be saved beside it.
class Output : public Renderer {
 public:
  explicit Output(const Options& options)
      : file_(OpenToSave(options.save)),
        shown_(options.json ? MakeJsonRenderer(options.fd)
                            : MakeTextRenderer(options.fd, options.color)),
        saved_(options.save.empty() ? nullptr : MakeJsonRenderer(file_.get())) {
  }

  void Render(const Event& event) override {
    shown_->Render(event);
    if (saved_) saved_->Render(event);
  }

 private:
  Descriptor file_;
  std::unique_ptr<Renderer> shown_;
  std::unique_ptr<Renderer> saved_;
};

// One run of the lesson. Throws OutputError and UsageError.
class Run {
 public:
  Run(const About& about, const Options& options)
      : about_(about),
        options_(options),
        output_(options),
        lesson_(output_, machine_) {}

  int Teach(const std::function<void(Lesson&)>& teach) {
    return Guarded([&] {
      Open();
      teach(lesson_);
      if (options_.shell) {
        output_.Render(lesson_.verdict());
        Shell();
      } else {
        if (lesson_.kept()) lesson_.kept()->Finish();
        output_.Render(lesson_.verdict());
        output_.Render(Hint{
            fmt::format("Look around inside: bazel run //lessons:{} -- --shell",
                        about_.name),
            {}});
      }
      return lesson_.verdict().exit_status;
    });
  }

  int Serve(const Task& task) {
    return Guarded([&] {
      output_.Render(Begin(machine_.privileged ? "root" : "none"));
      const int status = task.run(lesson_, options_.words);
      output_.Render(lesson_.verdict());
      return status;
    });
  }

 private:
  int Guarded(const std::function<int()>& work) {
    try {
      return work();
    } catch (const OutputError&) {
      throw;
    } catch (const UsageError&) {
      throw;
    } catch (const CallError& error) {
      return Fail(error, Explain(error, machine_));
    } catch (const std::exception& error) {
      return Fail(error, std::nullopt);
    }
  }

  Opening Begin(const std::string& privilege) const {
    utsname names = {};
    Check(uname(&names), "uname()");
    return {about_.name,   about_.title, about_.man_page,
            names.release, uid_,         privilege};
  }

  // Becomes root where it is not privileged, and says so.
  void Open() {
    Opening opening = Begin("root");
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
    output_.Render(opening);
    if (refusal) std::rethrow_exception(refusal);
  }

  void Shell() {
    Child& inside = lesson_.kept().value();
    const std::map<int, NamespaceId> there = NamespacesOf(inside.pid());
    output_.Render(
        Hint{"A shell inside: `exit` ends it, and all that it started.", {}});
    output_.Render(Hint{
        fmt::format("In a second terminal, as {}:",
                    uid_ == 0 ? "root" : fmt::format("uid {}", uid_)),
        SecondTerminal(about_.name, inside.pid(), Difference(home_, there))});
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
    output_.Render(verdict);
    Report(about_, verdict);
    return verdict.exit_status;
  }

  const About& about_;
  const Options& options_;
  const uid_t uid_ = geteuid();
  const Machine machine_ = Machine::Look();
  const std::map<int, NamespaceId> home_ = NamespacesOf(getpid());
  Output output_;
  Lesson lesson_;
};

}  // namespace

int RunLesson(int argc, char** argv, const About& about,
              const std::function<void(Lesson&)>& teach,
              const std::optional<Task>& task) {
  const auto misused = [&about](const std::exception& error) {
    fmt::print(stderr, "{0}: {1}\nTry: bazel run //lessons:{0} -- --help\n",
               about.name, error.what());
    return kUsage;
  };
  lesson_pid = getpid();
  std::signal(SIGINT, OnInterrupt);
  try {
    CheckStandardStreams();
    GoWhereTheReaderIs();
    const std::optional<Options> options = Parse(argc, argv, about, task);
    if (!options) return EXIT_SUCCESS;
    Run run(about, *options);
    return options->words.empty() ? run.Teach(teach) : run.Serve(*task);
  } catch (const CLI::ParseError& error) {
    return misused(error);
  } catch (const UsageError& error) {
    return misused(error);
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
