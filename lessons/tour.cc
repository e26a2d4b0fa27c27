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
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/command_line.h"
#include "common/renderer.h"
#include "lessons/visit.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::string> lessons = {kLessons.begin(), kLessons.end()};
  std::vector<std::string> handed_on = {};  // To each lesson.
  bool json = false;
  bool markdown = false;
  bool color = false;
};

// Reads the command line. False when it only asked for help or the version.
// Throws CLI::ParseError and OutputError.
bool ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app(
      "The tour: all lessons, in order\n\nExamples:\n"
      "  bazel run //lessons:tour\n"
      "  bazel run //lessons:tour -- --lesson uts pid    only these two\n"
      "  bazel run //lessons:tour -- --step              step by step\n",
      "bazel run //lessons:tour --");
  app.footer(
      "Exit status: 0 no lesson failed, 1 one did, 2 wrong usage,\n"
      "130 interrupted.");
  const auto flag = [&app](const std::string& name, bool& value,
                           const std::string& help) {
    return app.add_flag(name, value, help)->option_text(" ");
  };
  app.add_option("--lesson", options.lessons, "Only these")
      ->option_text("NAME...")
      ->check(CLI::IsMember(options.lessons));
  bool step = false;
  CLI::Option* by_step =
      flag("--step", step, "Stop before each step, until Enter is pressed");
  std::string seconds;
  CLI::Option* automatic = AddAutoOption(app, seconds);
  bool code = false;
  flag("--code", code, "Show the lines of source that run");
  flag("--json", options.json, "Print one JSON document instead")
      ->excludes(by_step)
      ->excludes(automatic);
  flag("--markdown", options.markdown, "Print Markdown instead")
      ->excludes("--json")
      ->excludes(by_step)
      ->excludes(automatic);
  std::string color = "auto";
  AddColorOption(app, color);
  if (!Parse(app, argc, argv, "tour")) return false;

  options.color = WantsColor(color, STDOUT_FILENO);
  options.handed_on = {options.color ? "--color=always" : "--color=never"};
  if (step) options.handed_on.emplace_back("--step");
  if (*automatic) {
    options.handed_on.insert(options.handed_on.end(), {"--auto", seconds});
  }
  if (code) options.handed_on.emplace_back("--code");
  if (options.markdown) options.handed_on.emplace_back("--markdown");
  return true;
}

// What a lesson leaves in the tour's own document.
ordered_json Document(const std::string& lesson, const Visit& visit) {
  if (visit.HasDocument()) return visit.document;
  return {{"lesson", lesson}, {"exit_status", visit.exit_status}};
}

// The table, and the line below it.
void SumUp(const Options& options, const Table& table,
           const std::string& sentence) {
  if (options.markdown) {
    MakeMarkdownRenderer(To(STDOUT_FILENO))->Render(table);
    WriteOutput(STDOUT_FILENO, "\n");
  } else {
    MakeTextRenderer(To(STDOUT_FILENO), options.color)->Render(table);
  }
  WriteOutput(STDOUT_FILENO, sentence);
}

int Tour(const Options& options) {
  Table table = {{"lesson", "what it is about", "claims that hold", "time"},
                 {}};
  ordered_json document = {{"lessons", ordered_json::array()}};
  int failed = 0;
  std::chrono::milliseconds total{0};
  for (const std::string& lesson : options.lessons) {
    const Visit visit =
        options.json ? TakeUnseen(lesson) : Take(lesson, options.handed_on);
    // The reader has had enough, or has asked for what no lesson can do.
    if (visit.exit_status == kInterrupted || visit.exit_status == kUsage) {
      return visit.exit_status;
    }
    if (visit.error) fmt::print(stderr, "tour: {}\n", visit.error->what());
    if (visit.exit_status != 0 && visit.exit_status != kCannotRun) ++failed;
    total += visit.time;
    document["lessons"].push_back(Document(lesson, visit));
    const std::string title =
        visit.HasDocument() ? visit.document["title"].get<std::string>()
                            : "";
    table.rows.push_back({lesson, title, Summary(visit),
                          fmt::format("{} ms", visit.time.count())});
    if (!options.json) WriteOutput(STDOUT_FILENO, "\n\n");
  }
  const int status = failed == 0 ? EXIT_SUCCESS : kFailed;
  if (options.json) {
    document["exit_status"] = status;
    WriteOutput(STDOUT_FILENO, document.dump(2) + "\n");
  } else {
    SumUp(options, table,
          fmt::format("{} lesson{} in {} ms, {} failed.\n",
                      table.rows.size(), table.rows.size() == 1 ? "" : "s",
                      total.count(), failed));
  }
  return status;
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunProgram("tour", [&] {
    steps::Options options;
    return steps::ParseOptions(argc, argv, options) ? steps::Tour(options)
                                                    : EXIT_SUCCESS;
  });
}
