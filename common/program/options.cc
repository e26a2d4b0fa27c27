#include "common/program/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "common/program/command_line.h"

namespace steps {
namespace {

struct Example {
  std::string line;
  std::string help;
};

// What stands above the options.
std::string Header(const About& about, const std::vector<Example>& examples) {
  std::size_t width = 0;
  for (const Example& each : examples)
    width = std::max(width, each.line.size());
  std::string header =
      fmt::format("{}, {}\n\nExamples:\n", about.title, about.man_page);
  for (const Example& each : examples) {
    header += fmt::format("  {:<{}}    {}\n", each.line, width, each.help);
  }
  return header;
}

// Throws UsageError where the words, which are for the task, do not go with the
// options.
void CheckWords(const Options& options, const Task& task) {
  if (!options.words.empty() && options.words.front().starts_with("-")) {
    throw UsageError(
        fmt::format("there is no option {}", options.words.front()));
  }
  const std::string& given =
      options.words.empty() ? task.option->name : task.words;
  for (const auto& [option, is_set] :
       {std::pair("--shell", options.shell), std::pair("--step", options.step),
        std::pair("--code", options.code)}) {
    if (is_set) throw UsageError(fmt::format("{} takes no {}", option, given));
  }
  const bool leaves_document = options.json || options.markdown ||
                               !options.save.empty() || !options.cast.empty();
  if (leaves_document && task.runs_command) {
    throw UsageError("what runs a command leaves no document");
  }
  if ((options.dot || options.svg) && task.runs_command) {
    throw UsageError("what runs a command leaves no drawing");
  }
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv, const About& about,
                                    const std::optional<Task>& task) {
  const std::string run = "bazel run //lessons:" + about.name;
  std::vector<Example> examples = {
      {run, "run the lesson"},
      {run + " -- --step", "a step at a time"},
      {run + " -- --shell", "and look around inside"},
      {run + " -- --json", "for a program to read"}};
  if (task) examples.push_back({run + " -- " + task->example, task->help});
  CLI::App app(Header(about, examples), run + " --");
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
  const auto flag = [&app](const std::string& name, bool& value,
                           const std::string& help) {
    return app.add_flag(name, value, help)->option_text(" ");
  };
  CLI::Option* step = flag("--step", options.step,
                           "Stop before each step, until Enter is pressed");
  std::string seconds;
  CLI::Option* automatic = AddAutoOption(app, seconds);
  flag("--code", options.code, "Show the lines of source that run");
  CLI::Option* shell =
      flag("--shell", options.shell, "Start a shell inside when it is over");
  // One form at a time, and nobody at the keyboard of any of these.
  std::vector<CLI::Option*> others = {shell, step, automatic};
  for (CLI::Option* form :
       {flag("--json", options.json, "Print one JSON document instead"),
        flag("--markdown", options.markdown,
             "Print Markdown instead, for an article"),
        flag("--dot", options.dot, "Draw what is shared instead, for Graphviz"),
        flag("--svg", options.svg,
             "The same drawing as SVG, made by Graphviz")}) {
    for (CLI::Option* other : others) form->excludes(other);
    others.push_back(form);
  }
  const auto is_named = [](const std::string& file) {
    return std::string(file.empty() ? "takes the name of a file" : "");
  };
  app.add_option("--save", options.save, "Write the JSON to FILE as well")
      ->option_text("FILE")
      ->check(is_named);
  app.add_option("--cast", options.cast,
                 "Write a recording to FILE as well, for asciinema play")
      ->option_text("FILE")
      ->check(is_named);
  const bool has_own = task && task->option;
  if (has_own) {
    app.add_option(task->option->name, *task->option->value, task->option->help)
        ->option_text(task->option->value_name);
  }
  AddColorOption(app, color);
  // The first word ends the options: what follows may be another program's.
  app.prefix_command(task.has_value());
  if (!Parse(app, argc, argv, about.name)) return std::nullopt;
  if (automatic->count() > 0) {
    options.pause =
        std::chrono::milliseconds(static_cast<int>(std::stod(seconds) * 1000));
    options.step = true;
  }
  options.words = app.remaining();
  // Only `bazel run` takes away the "--" between its options and the lesson's.
  if (!options.words.empty() && options.words.front() == "--") {
    options.words.erase(options.words.begin());
  }
  options.serve = !options.words.empty() || (has_own && *task->option->value);
  if (options.serve) {
    CheckWords(options, *task);
    // stdout is the command's alone.
    if (task->runs_command) options.fd = STDERR_FILENO;
  }
  if (options.step && !options.pause &&
      (isatty(STDIN_FILENO) == 0 || isatty(options.fd) == 0)) {
    throw UsageError(
        "--step is for a terminal: keys, and a screen. Without: --auto "
        "SECONDS");
  }
  options.color = WantsColor(color, options.fd);
  return options;
}

}  // namespace steps
