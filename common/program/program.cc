#include "common/program/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "common/lesson/advice.h"
#include "common/program/command_line.h"
#include "common/program/shell.h"
#include "common/show/renderer.h"
#include "common/show/source.h"
#include "common/show/stepper.h"

namespace steps {
namespace {

// What the reader asks of a lesson.
struct Options {
  bool shell = false;
  bool step = false;
  std::optional<std::chrono::milliseconds> pause = {};  // Of --auto.
  bool code = false;
  bool json = false;
  bool markdown = false;
  bool dot = false;
  bool svg = false;
  std::optional<std::string> save = {};
  std::optional<std::string> cast = {};
  bool color = false;
  int fd = STDOUT_FILENO;               // Where the lesson shows itself.
  bool serve = false;                   // Whether to do the lesson's task,
  std::vector<std::string> words = {};  // and the words for it.
};

// What --help says above the options.
std::string Header(const About& about, const std::optional<Task>& task) {
  std::string header =
      fmt::format("{}, {}\n\nExamples:\n", about.title, about.man_page);
  const auto add = [&](const std::string& options, const std::string& help) {
    header += fmt::format("  bazel run //lessons:{}{:<21}  {}\n", about.name,
                          options, help);
  };
  add("", "run the lesson");
  add(" -- --step", "a step at a time");
  add(" -- --shell", "and look around inside");
  add(" -- --json", "for a program to read");
  if (task) add(" -- " + task->example, task->help);
  return header;
}

// Reads the command line. Nothing when it only asked for help or the version.
// Throws CLI::ParseError, UsageError and OutputError.
std::optional<Options> ParseOptions(int argc, char** argv, const About& about,
                                    const std::optional<Task>& task) {
  CLI::App app(Header(about, task),
               "bazel run //lessons:" + about.name + " --");
  if (task) {
    // What stands in brackets behind the name, in the line of the usage.
    app.get_formatter()->label("OPTIONS",
                               fmt::format("OPTIONS] [{}", task->words));
  }
  app.footer(fmt::format(
      "Exit status: 0 every claim holds, 1 one does not or the lesson failed,\n"
      "2 wrong usage, 77 this machine does not allow it, 130 interrupted{}.",
      task && task->runs_command
          ? "; a\ncommand's own, 126 it cannot be run, 127 there is none"
          : ""));
  Options options;
  const auto flag = [&app](const std::string& name, bool& value,
                           const std::string& help) {
    return app.add_flag(name, value, help)->option_text(" ");
  };
  const auto file = [&app](const std::string& name,
                           std::optional<std::string>& value,
                           const std::string& help) {
    return app.add_option(name, value, help)->option_text("FILE");
  };
  std::string seconds;
  std::string color = "auto";
  CLI::Option* step = flag("--step", options.step,
                           "Stop before each step, until Enter is pressed");
  CLI::Option* automatic = AddAutoOption(app, seconds);
  CLI::Option* code =
      flag("--code", options.code, "Show the lines of source that run");
  CLI::Option* shell =
      flag("--shell", options.shell, "Start a shell inside when it is over");
  const std::vector<CLI::Option*> forms = {
      flag("--json", options.json, "Print one JSON document instead"),
      flag("--markdown", options.markdown,
           "Print Markdown instead, for an article"),
      flag("--dot", options.dot, "Draw what is shared instead, for Graphviz"),
      flag("--svg", options.svg, "The same drawing as SVG, made by Graphviz")};
  const std::vector<CLI::Option*> files = {
      file("--save", options.save, "Write the JSON to FILE as well"),
      file("--cast", options.cast,
           "Write a recording to FILE as well, for asciinema play")};
  if (task && task->option) {
    app.add_option(task->option->name, *task->option->value, task->option->help)
        ->option_text(task->option->value_name);
  }
  AddColorOption(app, color);
  // One form at a time, and nobody at the keyboard of any of these.
  std::vector<CLI::Option*> others = {step, automatic, shell};
  for (CLI::Option* form : forms) {
    for (CLI::Option* other : others) form->excludes(other);
    others.push_back(form);
  }
  // The first word ends the options: what follows may be another program's.
  app.prefix_command(task.has_value());
  if (!Parse(app, argc, argv, about.name)) return std::nullopt;

  if (*automatic) {
    options.pause =
        std::chrono::milliseconds(static_cast<int>(std::stod(seconds) * 1000));
    options.step = true;
  }
  options.words = app.remaining();
  // Only `bazel run` takes away the "--" between its options and the lesson's.
  if (!options.words.empty() && options.words.front() == "--") {
    options.words.erase(options.words.begin());
  }
  if (!options.words.empty() && options.words.front().starts_with("-")) {
    throw UsageError("there is no option " + options.words.front());
  }
  options.serve =
      !options.words.empty() || (task && task->option && *task->option->value);
  if (options.serve) {
    std::vector<CLI::Option*> unfit = {step, automatic, code, shell};
    if (task->runs_command) {
      // stdout is the command's alone, and so is how it ends.
      options.fd = STDERR_FILENO;
      unfit.insert(unfit.end(), forms.begin(), forms.end());
      unfit.insert(unfit.end(), files.begin(), files.end());
    }
    for (const CLI::Option* option : unfit) {
      if (!*option) continue;
      throw UsageError(fmt::format(
          "{} takes no {}", option->get_name(),
          options.words.empty() ? task->option->name : task->words));
    }
  }
  if (*step && !*automatic &&
      (isatty(STDIN_FILENO) == 0 || isatty(options.fd) == 0)) {
    throw UsageError(
        "--step is for a terminal: keys, and a screen. Without: --auto "
        "SECONDS");
  }
  options.color = WantsColor(color, options.fd);
  return options;
}

// One run of the lesson. Throws OutputError, and UsageError where a file cannot
// be written.
class Run {
 public:
  Run(const About& about, const Options& options)
      : about_(about),
        options_(options),
        lesson_([this](const Event& event) { Show(event); }, machine_) {
    Save("--save", options.save, MakeJsonRenderer);
    Save("--cast", options.cast, MakeCastRenderer);
    renderers_.push_back(MakeShown());
  }

  int Teach(const std::function<void(Lesson&)>& teach) {
    return Guard([&] {
      try {
        CheckProc();
        home_ = NamespacesOf(getpid());
      } catch (const std::exception&) {
        Open(false);
        throw;
      }
      Open(true);
      teach(lesson_);
      if (options_.dot || options_.svg) lesson_.Draw(home_);
      Render(lesson_.verdict());
      if (options_.shell) {
        // If it is PID 1, it adopts what the shell leaves: the kernel reaps
        // the children of a process that ignores SIGCHLD.
        lesson_.kept().value().Run([] { std::signal(SIGCHLD, SIG_IGN); });
        ShellIn(lesson_.kept()->pid());
      } else {
        Render(Hint{
            "Look around inside:",
            {fmt::format("bazel run //lessons:{} -- --shell", about_.name)}});
      }
      return lesson_.verdict().exit_status;
    });
  }

  int Serve(const Task& task) {
    return Guard([&] {
      Open(false);
      CheckProc();
      const int status = task.run(lesson_, options_.words);
      Render(lesson_.verdict());
      return status;
    });
  }

 private:
  // The exit status that `work` gives, or that of what it throws.
  int Guard(const std::function<int()>& work) {
    try {
      return work();
    } catch (const OutputError&) {
      throw;
    } catch (const UsageError&) {
      throw;
    } catch (const Quit&) {
      return kInterrupted;
    } catch (const Contradiction&) {
      Render(lesson_.verdict());
      return kFailed;
    } catch (const std::exception& error) {
      return Fail(error.what(), Explain(error, machine_));
    }
  }

  int Fail(const std::string& error, std::optional<Advice> advice) {
    Verdict verdict;
    verdict.outcome = advice ? "cannot run" : "failed";
    verdict.exit_status = advice ? kCannotRun : kFailed;
    verdict.error = error;
    verdict.advice = std::move(advice);
    Render(verdict);
    Complain(Report(about_.name, verdict));
    return verdict.exit_status;
  }

  // A document beside what is shown.
  void Save(std::string_view option, const std::optional<std::string>& path,
            std::unique_ptr<Renderer> (*make)(Write)) {
    if (!path) return;
    try {
      files_.push_back(steps::Open(*path, O_WRONLY | O_CREAT | O_TRUNC, 0666));
    } catch (const CallError& error) {
      throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
    renderers_.push_back(make(To(files_.back().get())));
  }

  std::unique_ptr<Renderer> MakeShown() {
    const Write write = To(options_.fd);
    if (options_.json) return MakeJsonRenderer(write);
    if (options_.dot) return MakeDotRenderer(write);
    if (options_.svg) return MakeSvgRenderer(write);
    if (options_.markdown) return MakeMarkdownRenderer(write);
    if (!options_.step) return MakeTextRenderer(write, options_.color);
    return std::make_unique<Stepper>(
        options_.fd,
        Stepper::Options{.color = options_.color,
                         .pause = options_.pause,
                         .has_inside = [] { return Inside().has_value(); },
                         .run_shell = [this] { ShellIn(Inside().value()); }});
  }

  void Render(const Event& event) {
    for (const auto& renderer : renderers_) renderer->Render(event);
  }

  // Shows an event, and above it the lines of source that led to it.
  void Show(Event event) {
    if (options_.code) {
      Code code;
      if (auto* step = std::get_if<Step>(&event)) {
        step->code = listing_.Step(step->place);
      } else if (const auto* called = std::get_if<Called>(&event)) {
        code = listing_.Lead(called->call.place);
      } else if (const auto* shown = std::get_if<Shown>(&event)) {
        code = listing_.Lead(shown->place);
      }
      if (!code.lines.empty()) Render(code);
    }
    Render(event);
  }

  // Says where the lesson runs and as whom. May make a user namespace for what
  // it needs.
  void Open(bool may_enter) {
    Opening opening = {about_.name,
                       about_.title,
                       about_.man_page,
                       Uname().release,
                       uid_,
                       machine_.Is(kPrivileged) ? "root" : "none"};
    std::exception_ptr refusal;
    if (may_enter && !HasCapabilities(about_.needs)) {
      try {
        EnterUserNamespaceAsRoot();
        opening.privilege = "user namespace";
      } catch (const CallError&) {
        opening.privilege = "none";
        refusal = std::current_exception();
      }
    }
    Render(opening);
    if (refusal) std::rethrow_exception(refusal);
  }

  // The process that is inside now, for the reader to look around: the one of
  // that name, or the last in other namespaces that stands in for no host.
  static std::optional<pid_t> Inside() {
    const auto here = NamespacesOf(getpid());
    std::optional<pid_t> inside;
    for (const auto& [name, pid] : Process::All()) {
      if (name == "inside") return pid;
      if (name == "host") continue;
      std::error_code gone;
      if (!std::filesystem::exists(fmt::format("/proc/{}/ns/uts", pid), gone)) {
        continue;
      }
      if (Difference(here, NamespacesOf(pid)) != 0) inside = pid;
    }
    return inside;
  }

  void ShellIn(pid_t pid) {
    const std::map<int, NamespaceId> there = NamespacesOf(pid);
    Render(
        Hint{"A shell inside: `exit` ends it, and all that it started.", {}});
    Render(Hint{fmt::format("In a second terminal, as {}:",
                            uid_ == 0 ? "root" : fmt::format("uid {}", uid_)),
                SecondTerminal(about_.name, pid, Difference(home_, there))});
    RunShell(pid, Difference(NamespacesOf(getpid()), there),
             fmt::format("[inside {}] \\u@\\h:\\w\\$ ", about_.name));
  }

  const About& about_;
  const Options& options_;
  const uid_t uid_ = geteuid();
  const Machine machine_ = Machine::Look();
  std::map<int, NamespaceId> home_;  // Where the reader is.
  std::vector<Descriptor> files_;
  std::vector<std::unique_ptr<Renderer>> renderers_;
  Listing listing_;
  Lesson lesson_;
};

}  // namespace

int RunLesson(const About& about, const std::function<void(Lesson&)>& teach,
              int argc, char** argv, const std::optional<Task>& task) {
  return RunProgram(about.name, [&] {
    const std::optional<Options> options =
        ParseOptions(argc, argv, about, task);
    if (!options) return EXIT_SUCCESS;
    Run run(about, *options);
    return options->serve ? run.Serve(*task) : run.Teach(teach);
  });
}

}  // namespace steps
