#include "common/program/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <exception>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/lesson/advice.h"
#include "common/program/command_line.h"
#include "common/program/shell.h"
#include "common/show/show.h"

namespace steps {
namespace {

// What --help says above the options.
std::string Header(const About& about, const std::optional<Task>& task) {
  std::string header = fmt::format(
      "{1}, {2}\n\nExamples:\n"
      "  bazel run //lessons:{0}                       run the lesson\n"
      "  bazel run //lessons:{0} -- --step             a step at a time\n"
      "  bazel run //lessons:{0} -- --shell            and look around inside\n"
      "  bazel run //lessons:{0} -- --json             for a program to read\n",
      about.name, about.title, about.man_page);
  if (!task) return header;
  return header + fmt::format("  bazel run //lessons:{} -- {:<17}  {}\n",
                              about.name, task->example, task->help);
}

// `what` is there already, and takes none of them.
void CheckOptions(const CLI::App& app, const Task& task,
                  const std::string& what) {
  std::vector<const char*> unfit = {"--step", "--auto", "--code", "--shell"};
  if (task.runs_command) {
    // stdout is the command's alone, and so is how it ends.
    unfit.insert(unfit.end(), {"--json", "--markdown", "--dot", "--svg",
                               "--save", "--cast"});
  }
  for (const char* option : unfit) {
    if (app.count(option) == 0) continue;
    throw UsageError(fmt::format("{} takes no {}", option, what));
  }
}

// One run of the lesson, which shows itself on `fd`. Throws UsageError where
// the options cannot be followed, CallError where nothing can be written.
class Run {
 public:
  Run(const About& about, const CLI::App& app, int fd)
      : about_(about), app_(app), lesson_(Tell(), Machine::Look()) {
    shows_.push_back(MakeShow(fd));
    Save("--save", MakeJsonRenderer());
    Save("--cast", MakeCastRenderer());
  }

  int Teach(const std::function<void(Lesson&)>& teach) {
    return Guard([&] {
      Begin(true);
      teach(lesson_);
      if (Has("--dot") || Has("--svg")) lesson_.Draw(home_);
      ShowAll(lesson_.verdict());
      if (Has("--shell")) {
        // If it is PID 1, it adopts what the shell leaves: the kernel reaps
        // the children of a process that ignores SIGCHLD.
        lesson_.kept().value().Run([] { std::signal(SIGCHLD, SIG_IGN); });
        ShellIn({"inside", lesson_.kept()->pid()});
      } else {
        ShowAll(Hint{"Look around inside:",
                     {"bazel run //lessons:" + about_.name + " -- --shell"}});
      }
      return lesson_.verdict().exit_status;
    });
  }

  int Serve(const Task& task, const std::vector<std::string>& words) {
    return Guard([&] {
      Begin(false);
      const int status = task.run(lesson_, words);
      ShowAll(lesson_.verdict());
      return status;
    });
  }

 private:
  bool Has(const char* option) const { return app_.count(option) > 0; }

  // The exit status that `work` gives, or that of what it throws.
  int Guard(const std::function<int()>& work) {
    try {
      return work();
    } catch (const Contradiction&) {
      ShowAll(lesson_.verdict());
      return kFailed;
    } catch (const std::exception& error) {
      if (dynamic_cast<const UsageError*>(&error) != nullptr) throw;
      const std::optional<Advice> advice = Explain(error, lesson_.machine());
      const Verdict verdict = {.outcome = advice ? "cannot run" : "failed",
                               .exit_status = advice ? kCannotRun : kFailed,
                               .error = error.what(),
                               .advice = advice};
      ShowAll(verdict);
      Complain(fmt::format("{}: {}", about_.name, Report(verdict)));
      return verdict.exit_status;
    }
  }

  void Save(const char* option, Renderer renderer) {
    if (!Has(option)) return;
    try {
      files_.push_back(Open(app_[option]->as<std::string>(),
                            O_WRONLY | O_CREAT | O_TRUNC, 0666));
    } catch (const CallError& error) {
      throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
    shows_.push_back(To(files_.back().get(), std::move(renderer)));
  }

  Show MakeShow(int fd) {
    if (Has("--json")) return To(fd, MakeJsonRenderer());
    if (Has("--dot")) return To(fd, MakeDotRenderer(false));
    if (Has("--svg")) return To(fd, MakeDotRenderer(true));
    if (Has("--markdown")) return To(fd, MakeMarkdownRenderer());
    const bool color = WantsColor(app_, fd);
    if (!Has("--step") && !Has("--auto")) {
      return To(fd, MakeTextRenderer(color));
    }
    StepperOptions options = {
        .color = color,
        .where = [] { return Where(Inside().first); },
        .run_shell = [this] { ShellIn(Inside()); },
    };
    if (Has("--auto")) {
      options.pause =
          static_cast<int>(std::lround(app_["--auto"]->as<double>() * 1000));
    } else if (isatty(STDIN_FILENO) == 0 || isatty(fd) == 0) {
      throw UsageError("--step is for a terminal. Without: --auto SECONDS");
    }
    return MakeStepper(fd, std::move(options));
  }

  void ShowAll(const Event& event) {
    for (const Show& show : shows_) show(event);
  }

  Show Tell() {
    const Show tell = [this](const Event& event) { ShowAll(event); };
    return Has("--code") ? WithCode(tell) : tell;
  }

  // Says where the lesson runs and as whom. To teach, it may make a user
  // namespace for what it needs.
  void Begin(bool teaches) {
    const bool is_able = HasCapabilities(about_.needs);
    Opening opening = {about_.name,     about_.title, about_.man_page,
                       Uname().release, uid_,         "none"};
    if (is_able && lesson_.machine().Is(kPrivileged))
      opening.privilege = "root";
    try {
      CheckProc();
      home_ = NamespacesOf(getpid());
      if (teaches && !is_able) {
        EnterUserNamespaceAsRoot();
        opening.privilege = "user namespace";
      }
    } catch (const std::exception&) {
      ShowAll(opening);
      throw;
    }
    ShowAll(opening);
  }

  // Where the reader may look around now: in the process "inside", or the last
  // in other namespaces that stands in for no host. Without a name: nowhere.
  static std::pair<std::string, pid_t> Inside() {
    std::pair<std::string, pid_t> inside;
    for (const auto& process : Process::All()) {
      const auto& [name, pid] = process;
      if (name == "inside") return process;
      // One that has ended has left it.
      const std::string link = ProcPath(pid, "ns/uts");
      if (name == "host" || access(link.c_str(), F_OK) == -1) continue;
      if (Difference(pid) != 0) inside = process;
    }
    return inside;
  }

  // Where a shell in the process with this name is: "inside", "in child".
  static std::string Where(const std::string& name) {
    return name.empty() || name == "inside" ? name : "in " + name;
  }

  void ShellIn(const std::pair<std::string, pid_t>& process) {
    const auto& [name, pid] = process;
    const int flags = Difference(home_, NamespacesOf(pid));
    const std::string user = uid_ == 0 ? "root" : fmt::format("uid {}", uid_);
    ShowAll(Hint{
        fmt::format("A shell {}: `exit` ends it, and all that it started.\n"
                    "In a second terminal, as {}:",
                    Where(name), user),
        SecondTerminal(about_.name, pid, flags)});
    RunShell(pid, fmt::format("[{} {}] \\u@\\h:\\w\\$ ", name, about_.name));
  }

  const About& about_;
  const CLI::App& app_;
  const uid_t uid_ = geteuid();
  std::map<int, NamespaceId> home_;  // Where the reader is.
  std::vector<Descriptor> files_;
  std::vector<Show> shows_;
  Lesson lesson_;
};

}  // namespace

int RunLesson(const About& about, const std::function<void(Lesson&)>& teach,
              int argc, char** argv, const std::optional<Task>& task) {
  CLI::App app(Header(about, task),
               fmt::format("bazel run //lessons:{} -- [OPTIONS]{}", about.name,
                           task ? fmt::format(" [{}]", task->words) : ""));
  app.footer(
      "Exit status: 0 every claim holds, 1 one does not or the lesson failed,\n"
      "2 wrong usage, 77 this machine does not allow it, 130 interrupted.");
  // The first word ends the options: what follows may be another program's.
  if (task) app.prefix_command();
  if (task && task->option) {
    const auto& [name, value_name, help, value] = *task->option;
    app.add_option(name, *value, help)->option_text(value_name);
  }
  const auto work = [&](const std::vector<std::string>& words) {
    if (words.empty() && !(task && task->option && *task->option->value)) {
      return Run(about, app, STDOUT_FILENO).Teach(teach);
    }
    CheckOptions(app, *task, words.empty() ? task->option->name : task->words);
    const int fd = task->runs_command ? STDERR_FILENO : STDOUT_FILENO;
    return Run(about, app, fd).Serve(*task, words);
  };
  return RunProgram(about.name, app, {}, argc, argv, work);
}

}  // namespace steps
