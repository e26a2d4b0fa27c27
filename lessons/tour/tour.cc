// The tour: every lesson, in the order in which each builds on those before
// it, and at the end what they have shown.
//
// A lesson that fails, or that this machine does not allow, does not stop
// the others.
//
//   bazel run //lessons:tour
//   bazel run //lessons:tour -- --step --lesson uts pid
//   bazel run //lessons:tour -- --help     all options

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/program/command_line.h"
#include "common/show/show.h"
#include "lessons/lesson_names.h"
#include "lessons/tour/visit.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::string> lessons = {kLessonNames.begin(),
                                      kLessonNames.end()};
  std::vector<std::string> handed_on = {};  // To each lesson.
  bool json = false;
  bool markdown = false;
  bool color = false;
};

// The options of the command line that `app` has read.
void ReadOptions(const CLI::App& app, Options& options) {
  options.json = app.count("--json") > 0;
  options.markdown = app.count("--markdown") > 0;
  options.color = WantsColor(app, STDOUT_FILENO);
  options.handed_on = {options.color ? "--color=always" : "--color=never"};
  for (const char* option : {"--step", "--code", "--markdown"}) {
    if (app.count(option) > 0) options.handed_on.emplace_back(option);
  }
  if (app.count("--auto") > 0) {
    options.handed_on.insert(options.handed_on.end(),
                             {"--auto", app["--auto"]->as<std::string>()});
  }
}

// What a lesson leaves in the tour's own document.
ordered_json Document(const std::string& lesson, const Visit& visit) {
  if (visit.HasDocument()) return visit.document;
  return {{"lesson", lesson}, {"exit_status", visit.exit_status}};
}

// What a lesson is about, without its name, which stands beside it: of "UTS
// namespaces: a private hostname" it is "a private hostname".
std::string Subject(const std::string& title) {
  const std::size_t colon = title.find(": ");
  return colon == std::string::npos ? title : title.substr(colon + 2);
}

// How the lessons of a tour went.
class Tally {
 public:
  void Add(const std::string& lesson, const Visit& visit) {
    table_.rows.push_back({lesson, Subject(visit.Text("title")),
                           Summary(visit),
                           fmt::format("{} ms", visit.time.count())});
    total_ += visit.time;
    if (visit.exit_status == kCannotRun) {
      ++refused_;
      refused_by_[visit.Text("cause")].push_back(lesson);
    } else if (visit.exit_status != EXIT_SUCCESS) {
      ++failed_;
    }
  }

  int exit_status() const {
    if (failed_ > 0) return kFailed;
    return refused_ == count() && refused_ > 0 ? kCannotRun : EXIT_SUCCESS;
  }

  // The table, a line for each cause that kept lessons from running, and
  // one for the whole.
  void Show(const Options& options) const {
    const steps::Show show =
        To(STDOUT_FILENO, options.markdown ? MakeMarkdownRenderer()
                                           : MakeTextRenderer(options.color));
    show(table_);
    for (const auto& [cause, lessons] : refused_by_) {
      const bool all = lessons.size() > 1 && lessons.size() == count();
      show(Item{"refused", false,
                fmt::format(
                    "{}: {}",
                    all ? "all" : fmt::format("{}", fmt::join(lessons, ", ")),
                    cause)});
    }
    WriteAll(STDOUT_FILENO,
             fmt::format("{}{} lesson{} in {} ms: {} ran, {} could not, {} "
                         "failed.\n",
                         options.markdown || !refused_by_.empty() ? "\n" : "",
                         count(), count() == 1 ? "" : "s", total_.count(),
                         count() - refused_, refused_, failed_));
  }

 private:
  std::size_t count() const { return table_.rows.size(); }

  Table table_ = {{"lesson", "what it is about", "claims that hold", "time"},
                  {}};
  std::map<std::string, std::vector<std::string>> refused_by_;  // By cause.
  std::size_t refused_ = 0;
  int failed_ = 0;
  std::chrono::milliseconds total_{0};
};

int Tour(const Options& options) {
  Tally tally;
  ordered_json document = {{"lessons", ordered_json::array()}};
  for (const std::string& lesson : options.lessons) {
    const Visit visit =
        options.json ? TakeUnseen(lesson) : Take(lesson, options.handed_on);
    // The reader has had enough, or has asked for what no lesson can do.
    if (visit.exit_status == kInterrupted || visit.exit_status == kUsage) {
      return visit.exit_status;
    }
    if (visit.error) Complain(fmt::format("tour: {}\n", visit.error->what()));
    tally.Add(lesson, visit);
    document["lessons"].push_back(Document(lesson, visit));
    if (!options.json) WriteAll(STDOUT_FILENO, "\n\n");
  }
  if (options.json) {
    document["exit_status"] = tally.exit_status();
    WriteAll(STDOUT_FILENO, document.dump(2) + "\n");
  } else {
    tally.Show(options);
  }
  return tally.exit_status();
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  CLI::App app(
      "The tour: all lessons, in order\n\nExamples:\n"
      "  bazel run //lessons:tour\n"
      "  bazel run //lessons:tour -- --lesson uts pid    only these two\n"
      "  bazel run //lessons:tour -- --step              step by step\n",
      "bazel run //lessons:tour -- [OPTIONS]");
  app.footer(
      "Exit status: 0 no lesson failed, 1 one did, 2 wrong usage,\n"
      "77 this machine allows none of them, 130 interrupted.");
  steps::Options options;
  app.add_option("--lesson", options.lessons, "Only these")
      ->option_text("NAME...")
      ->check(CLI::IsMember(options.lessons));
  return steps::RunProgram(
      "tour", app,
      {"--step", "--auto", "--code", "--json", "--markdown", "--color"}, argc,
      argv, [&](const auto&) {
        steps::ReadOptions(app, options);
        return steps::Tour(options);
      });
}
