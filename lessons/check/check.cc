// Check: what a program of the reader's isolates, by the kernel's evidence.
//
// The program runs in a throwaway host. When it waits for input it is
// looked at from outside, and then killed with everything that it started.
//
//   bazel run //lessons:check -- ./a.out
//   bazel run //lessons:check -- --exercise uts ./a.out
//   bazel run //lessons:check -- --all DIRECTORY
//   bazel run //lessons:check -- --help     all options

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/lesson/advice.h"
#include "common/program/command_line.h"
#include "common/show/show.h"
#include "lessons/check/exercises.h"
#include "lessons/check/mistakes.h"
#include "lessons/check/order.h"
#include "lessons/check/report.h"
#include "lessons/check/xray.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct Options {
  std::string exercise = {};
  std::string all = {};
  bool json = false;
  bool color = false;
  std::vector<std::string> words = {};
};

// What the machine refuses.
struct Refused {
  std::string error;
  Advice advice;
};

// Runs `work`; what the machine refuses, if it is that.
std::optional<Refused> Guarded(const Machine& machine,
                               const std::function<void()>& work) {
  try {
    CheckProc();
    work();
    return std::nullopt;
  } catch (const ExplainedError& error) {
    return Refused{error.what(), error.advice};
  } catch (const CallError& error) {
    const std::optional<Advice> advice = Explain(error, machine);
    if (!advice) throw;
    return Refused{error.what(), *advice};
  }
}

Assessment Check(const std::vector<std::string>& words,
                 const Exercise* exercise) {
  Order order = MakeOrder(words);
  if (exercise != nullptr) {
    order.as_user = exercise->as_user;
    order.with_target = exercise->with_target;
  }
  Assessment report = {.program = words.at(0), .exercise = exercise};
  report.xray = TakeXRay(order);
  report.mistakes = FindMistakes(report.xray);
  if (exercise != nullptr) {
    report.why = Judge(*exercise, report.xray, report.mistakes);
  }
  return report;
}

void WriteDocument(const ordered_json& document) {
  WriteAll(
      STDOUT_FILENO,
      document.dump(2, ' ', false, ordered_json::error_handler_t::replace) +
          "\n");
}

int Fail(const Options& options, const Refused& refused) {
  if (options.json) {
    WriteDocument({{"error", refused.error},
                   {"cause", refused.advice.cause},
                   {"remedy", refused.advice.remedy},
                   {"exit_status", kCannotRun}});
  }
  Complain(fmt::format("check: {}\n  cause:  {}\n  remedy: {}\n",
                       refused.error, refused.advice.cause,
                       refused.advice.remedy));
  return kCannotRun;
}

int CheckOne(const Options& options, const Machine& machine) {
  const Exercise* exercise =
      options.exercise.empty() ? nullptr : &ExerciseOf(options.exercise);
  Assessment report;
  if (const auto refused = Guarded(
          machine, [&] { report = Check(options.words, exercise); })) {
    return Fail(options, *refused);
  }
  const int status = report.Done() ? EXIT_SUCCESS : kFailed;
  if (options.json) {
    ordered_json document = Document(report);
    document["exit_status"] = status;
    WriteDocument(document);
  } else {
    ShowText(report, options.color);
  }
  return status;
}

// The program of a learner, if there is one.
std::string FindProgram(const fs::path& directory, const std::string& name) {
  for (const char* ending : {"", ".cc", ".cpp", ".c", ".sh"}) {
    const fs::path path = directory / (name + ending);
    if (fs::is_regular_file(path)) return path;
  }
  return "";
}

int CheckAll(const Options& options, const Machine& machine) {
  const Show show = To(STDOUT_FILENO, MakeTextRenderer(options.color));
  ordered_json results = ordered_json::array();
  std::size_t done = 0;
  for (const Exercise& exercise : Exercises()) {
    const std::string program = FindProgram(options.all, exercise.name);
    Assessment report = {.program = program, .exercise = &exercise};
    report.why = "There is no program for it.";
    if (!program.empty()) {
      try {
        if (const auto refused = Guarded(
                machine, [&] { report = Check({program}, &exercise); })) {
          return Fail(options, *refused);
        }
      } catch (const UsageError& error) {
        report.why = error.what();  // The others may be fine.
      }
    }
    if (report.Done()) ++done;
    if (options.json) {
      results.push_back(Document(report));
    } else {
      show(Item{report.Done() ? "done" : "not yet", report.Done(),
                fmt::format("{:<10} {}", exercise.name,
                            report.Done() ? exercise.title : report.why)});
    }
  }
  const int status = done == Exercises().size() ? EXIT_SUCCESS : kFailed;
  if (options.json) {
    WriteDocument({{"results", results},
                   {"done", done},
                   {"of", Exercises().size()},
                   {"exit_status", status}});
  } else {
    WriteAll(STDOUT_FILENO, fmt::format("\n{} of {} exercises done.\n", done,
                                        Exercises().size()));
  }
  return status;
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  CLI::App app(
      "Check: what your program isolates, leaks, and gets wrong\n\n"
      "Examples:\n"
      "  bazel run //lessons:check -- ./a.out                    any "
      "program\n"
      "  bazel run //lessons:check -- unshare -u sh              a "
      "command\n"
      "  bazel run //lessons:check -- --exercise uts uts.cc      an "
      "exercise\n"
      "  bazel run //lessons:check -- --all lessons/exercises    all of "
      "them\n",
      "bazel run //lessons:check -- [OPTIONS] [PROGRAM [ARGUMENT…]]");
  app.footer(
      "Exit status: 0 done, or no mistake found; 1 not yet, or a mistake;\n"
      "2 wrong usage, 77 this machine does not allow it, 130 interrupted.");
  steps::Options options;
  auto* exercise =
      app.add_option("--exercise", options.exercise,
                     "Judge PROGRAM, or a C++ source, by this exercise")
          ->option_text("NAME");
  app.add_option("--all", options.all,
                 "Judge DIR/uts or DIR/uts.cc, and so on, by its exercise")
      ->option_text("DIR")
      ->excludes(exercise)
      ->check(CLI::ExistingDirectory);
  app.prefix_command();
  return steps::RunProgram(
      "check", app, {"--json", "--color"}, argc, argv,
      [&](const std::vector<std::string>& words) {
        options.json = app.count("--json") > 0;
        options.color = steps::WantsColor(app, STDOUT_FILENO);
        options.words = words;
        if (words.empty() == options.all.empty()) {
          throw steps::UsageError("takes either a program or --all DIR");
        }
        const steps::Machine machine = steps::Machine::Look();
        return options.all.empty() ? steps::CheckOne(options, machine)
                                   : steps::CheckAll(options, machine);
      });
}
