#include "common/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/namespaces.h"
#include "common/renderer.h"
#include "common/shell.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

struct Options {
  bool shell = false;
  bool json = false;
  bool color = false;
  int fd = STDOUT_FILENO;               // Where the lesson shows itself.
  std::string save = {};                // A file, or empty.
  std::vector<std::string> words = {};  // For the lesson's task.
};

// Reads the command line. Nothing when it only asked for help or the version.
// Throws CLI::ParseError and UsageError.
std::optional<Options> ParseOptions(int argc, char** argv, const About& about,
                                    const std::optional<Task>& task) {
  const std::string run = "bazel run //lessons:" + about.name;
  std::vector<std::pair<std::string, std::string>> examples = {
      {run, "run the lesson"},
      {run + " -- --shell", "and look around inside"},
      {run + " -- --json", "for a program to read"}};
  if (task) examples.emplace_back(run + " -- " + task->example, task->help);
  std::size_t width = 0;
  for (const auto& [line, help] : examples)
    width = std::max(width, line.size());
  std::string help =
      fmt::format("{}, {}\n\nExamples:\n", about.title, about.man_page);
  for (const auto& [line, what] : examples) {
    help += fmt::format("  {:<{}}    {}\n", line, width, what);
  }
  CLI::App app(help, run + " --");
  if (task) {
    // What stands in brackets behind the name, in the line of the usage.
    app.get_formatter()->label("OPTIONS",
                               fmt::format("OPTIONS] [{}", task->words));
  }
  const bool runs_command = task && task->runs_command;
  app.footer(fmt::format(
      "Exit status: 0 every claim holds, 1 one does not or the lesson failed,\n"
      "2 wrong usage, 77 this machine does not allow it, 130 interrupted{}.",
      runs_command
          ? "; a\ncommand's own, 126 it cannot be run, 127 there is none"
          : ""));
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
  AddColorOption(app, color);
  // The first word ends the options: what follows may be another program's.
  app.prefix_command(task.has_value());
  if (!Parse(app, argc, argv, about.name)) return std::nullopt;
  options.words = app.remaining();
  // Only `bazel run` takes away the "--" between its options and the lesson's.
  if (!options.words.empty() && options.words.front() == "--") {
    options.words.erase(options.words.begin());
  }
  if (!options.words.empty()) {
    const std::string& first = options.words.front();
    if (first.starts_with("-")) {
      throw UsageError(fmt::format("there is no option {}", first));
    }
    if (options.shell) {
      throw UsageError(fmt::format("--shell takes no {}", task->words));
    }
    if ((options.json || !options.save.empty()) && task->runs_command) {
      throw UsageError("a command of one's own leaves no document");
    }
  }
  // stdout is the command's alone.
  if (!options.words.empty() && task->runs_command) options.fd = STDERR_FILENO;
  options.color = WantsColor(color, options.fd);
  return options;
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

// Whether /proc numbers this process as it numbers itself. It does not in a PID
// namespace that has no /proc of its own: lessons would look at strangers.
bool ProcIsOurs() {
  return std::filesystem::read_symlink("/proc/self") ==
         std::to_string(getpid());
}

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
      if (!ProcIsOurs()) return FailWithoutProc();
      home_ = NamespacesOf(getpid());
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
      OpenAsItIs();
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
      lesson_.kept().reset();
      return Fail(error,
                  Child::AnyLost() ? std::nullopt : Explain(error, machine_));
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

  void OpenAsItIs() {
    output_.Render(Begin(machine_.privileged ? "root" : "none"));
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

  int FailWithoutProc() {
    OpenAsItIs();
    return Fail(
        std::runtime_error("/proc does not know this process by its PID"),
        Advice{"/proc belongs to another PID namespace, as in the shell of the "
               "lesson pid.",
               "leave that shell, or give it a /proc: unshare --mount-proc"});
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
  std::map<int, NamespaceId> home_;  // Where the reader is.
  Output output_;
  Lesson lesson_;
};

}  // namespace

int RunLesson(int argc, char** argv, const About& about,
              const std::function<void(Lesson&)>& teach,
              const std::optional<Task>& task) {
  return RunProgram(about.name, [&] {
    const std::optional<Options> options =
        ParseOptions(argc, argv, about, task);
    if (!options) return EXIT_SUCCESS;
    Run run(about, *options);
    return options->words.empty() ? run.Teach(teach) : run.Serve(*task);
  });
}

}  // namespace steps
