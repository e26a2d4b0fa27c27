#ifndef COMMON_SHOW_SHOW_H_
#define COMMON_SHOW_SHOW_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/lesson/event.h"

namespace steps {

/// Turns the events of one lesson, in their order, into text: gives what each
/// of them adds to it.
using Renderer = std::function<std::string(const Event&)>;

/// For people: at most 80 columns.
Renderer MakeTextRenderer(bool color);

/// For programs: one JSON document, at the verdict. Its schema is
/// docs/lesson.schema.json. Bytes that are not UTF-8 become U+FFFD.
Renderer MakeJsonRenderer();

/// For articles: Markdown as GitHub reads it. What is no heading, list or table
/// is a block of the text; tables are whole.
Renderer MakeMarkdownRenderer();

/// All drawings, one below the other, at the verdict of a lesson that came to
/// its end: for Graphviz, or as its SVG. That throws CallError, ENOENT where
/// Graphviz is not installed, or std::runtime_error, with the opening. dot(1).
Renderer MakeDotRenderer(bool as_svg);

/// For a player: a recording of the text in colour, an asciicast (version 2)
/// with its own clock and a marker at each step.
/// https://docs.asciinema.org/manual/asciicast/v2/
Renderer MakeCastRenderer();

/// Shows the events of one lesson to somebody.
using Show = std::function<void(const Event&)>;

/// Writes what `renderer` makes of an event to a descriptor, as it comes and
/// with one call. Throws CallError, and what the renderer throws.
Show To(int fd, Renderer renderer);

struct StepperOptions {
  bool color = false;
  int pause = -1;  // Milliseconds, then it goes on; -1: never, on a terminal.
  // Where a shell can be run now: "inside", "in child" or "", nowhere; and how.
  std::function<std::string()> where;
  std::function<void()> run_shell;
};

/// Shows a lesson as text on a descriptor, and stops before each step, after
/// each question and when the screen is full, until the reader presses Enter.
/// The terminal keeps its settings: what is typed before Enter is a line as
/// always. A reader who quits interrupts the program: SIGINT. Throws CallError
/// and what the shell throws.
Show MakeStepper(int fd, StepperOptions options);

/// Shows events, and with them the lines of the lesson's source that belong to
/// them. With a step come at most ten: those up to the next step, question or
/// comparison, without the statements in which the lesson speaks. Before a call
/// and evidence comes what led to it: the paragraph up to that statement,
/// without what was listed since the step began. It goes by the form that
/// clang-format gives: a function begins and ends in the first column, a
/// statement with its line.
Show WithCode(Show show);

/// A source file as it was when the program was built, for WithCode:
/// lessons/lessons.bzl writes one for each file of a lesson. `path` is as the
/// compiler was given it.
struct EmbeddedSource {
  EmbeddedSource(const std::string& path, std::string_view text);
};

/// Why a lesson has ended early: the error, and below it cause and remedy.
std::string Report(const Verdict& verdict);

/// Where it runs and as whom: "Linux 6.1.0, as root."
std::string Setting(const Opening& opening);

/// What it says, and why it was skipped.
std::string Sentence(const Item& item);

/// "5 of 6 claims hold, 1 skipped."; empty when there was nothing to judge.
std::string Count(const Verdict& verdict);

/// Text that may hold anything, as UTF-8 that a terminal does not obey: each
/// byte of what is no printable character becomes "\x1b". wcwidth(3).
std::string Printable(std::string_view text);

/// How many columns printable text takes.
std::size_t Width(std::string_view text);

/// The longest beginning of printable text that is no wider than `width`.
std::string_view Head(std::string_view text, std::size_t width);

/// Printable text, cut in the middle where it is wider than `width`:
/// "begin…end".
std::string Shorten(std::string_view text, std::size_t width);

/// The lines of `text`, without their newlines.
std::vector<std::string_view> Lines(std::string_view text);

}  // namespace steps

#endif  // COMMON_SHOW_SHOW_H_
