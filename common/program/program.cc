#include "common/program/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

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
#include "common/program/options.h"
#include "common/program/shell.h"
#include "common/show/graphviz.h"
#include "common/show/renderer.h"
#include "common/show/source.h"
#include "common/show/stepper.h"
#include "common/show/wording.h"

namespace steps {
namespace {

// What is shown, and the documents that may be saved beside it. Throws
// UsageError where there is no such file.
class Output : public Renderer {
 public:
  Output(const Options& options, std::unique_ptr<Renderer> shown) {
    renderers_.push_back(std::move(shown));
    Save("--save", options.save, MakeJsonRenderer);
    Save("--cast", options.cast, MakeCastRenderer);
  }

  void Render(const Event& event) override {
    for (const auto& renderer : renderers_) renderer->Render(event);
  }

 private:
  void Save(std::string_view option, const std::string& path,
            std::unique_ptr<Renderer> (*make)(Write)) {
    if (path.empty()) return;
    try {
      files_.push_back(Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666));
    } catch (const CallError& error) {
      throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
    renderers_.push_back(make(To(files_.back().get())));
  }

  std::vector<Descriptor> files_;
  std::vector<std::unique_ptr<Renderer>> renderers_;
};

// One run of the lesson. Throws OutputError and UsageError.
class Run {
 public:
  Run(const About& about, const Options& options)
      : about_(about),
        options_(options),
        output_(options, MakeRenderer()),
        listing_(options.code ? std::optional(Listing()) : std::nullopt),
        lesson_([this](const Event& event) { Show(event); }, machine_) {}

  int Teach(const std::function<void(Lesson&)>& teach) {
    return Guarded([&] {
      try {
        CheckProc();
        home_ = NamespacesOf(getpid());
      } catch (const std::exception&) {
        OpenAsItIs();
        throw;
      }
      if (!about_.needs.empty()) {
        Open();
      } else {
        OpenAsItIs();
      }
      TryToDraw();
      teach(lesson_);
      if (options_.dot || options_.svg) lesson_.Draw(home_);
      if (options_.shell) {
        output_.Render(lesson_.verdict());
        // If it is PID 1, it adopts what the shell leaves: the kernel reaps
        // the children of a process that ignores SIGCHLD.
        lesson_.kept().value().Run([] { std::signal(SIGCHLD, SIG_IGN); });
        ShellIn(lesson_.kept()->pid());
      } else {
        output_.Render(lesson_.verdict());
        output_.Render(Hint{
            "Look around inside:",
            {fmt::format("bazel run //lessons:{} -- --shell", about_.name)}});
      }
      return lesson_.verdict().exit_status;
    });
  }

  int Serve(const Task& task) {
    return Guarded([&] {
      OpenAsItIs();
      TryToDraw();
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
    } catch (const Quit&) {
      return kInterrupted;
    } catch (const Contradiction&) {
      output_.Render(lesson_.verdict());
      return kFailed;
    } catch (const std::exception& error) {
      return Fail(error, Explain(error, machine_));
    }
  }

  std::unique_ptr<Renderer> MakeRenderer() {
    if (options_.json) return MakeJsonRenderer(To(options_.fd));
    if (options_.dot) return MakeDotRenderer(To(options_.fd));
    if (options_.svg) {
      return MakeDotRenderer([fd = options_.fd](std::string_view graph) {
        WriteOutput(fd, ToSvg(graph));
      });
    }
    if (options_.markdown) return MakeMarkdownRenderer(To(options_.fd));
    if (!options_.step) {
      return MakeTextRenderer(To(options_.fd), options_.color);
    }
    return std::make_unique<Stepper>(
        options_.fd,
        Stepper::Options{
            .color = options_.color,
            .keys = isatty(STDIN_FILENO) == 1 && isatty(options_.fd) == 1,
            .pause = options_.pause,
            .has_inside = [] { return Inside().has_value(); },
            .run_shell = [this] { ShellIn(Inside().value()); }});
  }

  Opening Begin(const std::string& privilege) const {
    utsname names = {};
    Check(uname(&names), "uname()");
    return {about_.name,   about_.title, about_.man_page,
            names.release, uid_,         privilege};
  }

  void OpenAsItIs() {
    output_.Render(Begin(machine_.Is(kPrivileged) ? "root" : "none"));
  }

  // Becomes root where it is not privileged, and says so.
  void Open() {
    Opening opening = Begin("root");
    std::exception_ptr refusal;
    if (!HasCapabilities(about_.needs)) {
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

  // Before the lesson runs, not when it is over.
  void TryToDraw() const {
    if (options_.svg) ToSvg("graph {}");
  }

  // Shows an event, and above it the lines of source that led to it.
  void Show(Event event) {
    if (listing_) {
      if (auto* step = std::get_if<Step>(&event)) {
        step->code = listing_->Step(step->place);
      }
      Code code;
      if (const auto* called = std::get_if<Called>(&event)) {
        code = listing_->Lead(called->call.place);
      } else if (const auto* shown = std::get_if<Shown>(&event)) {
        code = listing_->Lead(shown->place);
      }
      if (!code.lines.empty()) output_.Render(std::move(code));
    }
    output_.Render(event);
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
    output_.Render(
        Hint{"A shell inside: `exit` ends it, and all that it started.", {}});
    output_.Render(
        Hint{fmt::format("In a second terminal, as {}:",
                         uid_ == 0 ? "root" : fmt::format("uid {}", uid_)),
             SecondTerminal(about_.name, pid, Difference(home_, there))});
    RunShell(pid, Difference(NamespacesOf(getpid()), there),
             fmt::format("[inside {}] \\u@\\h:\\w\\$ ", about_.name));
  }

  int Fail(const std::exception& error, std::optional<Advice> advice) {
    Verdict verdict;
    verdict.outcome = advice ? "cannot run" : "failed";
    verdict.exit_status = advice ? kCannotRun : kFailed;
    verdict.error = error.what();
    verdict.advice = std::move(advice);
    output_.Render(verdict);
    Complain(Report(about_.name, verdict));
    return verdict.exit_status;
  }

  const About& about_;
  const Options& options_;
  const uid_t uid_ = geteuid();
  const Machine machine_ = Machine::Look();
  std::map<int, NamespaceId> home_;  // Where the reader is.
  Output output_;
  std::optional<Listing> listing_;  // Where the source is shown.
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
