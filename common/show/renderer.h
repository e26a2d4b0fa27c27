#ifndef COMMON_SHOW_RENDERER_H_
#define COMMON_SHOW_RENDERER_H_

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/lesson/event.h"

namespace steps {

/// The output could not be written: a full disk, a closed pipe.
class OutputError : public std::runtime_error {
 public:
  explicit OutputError(int error);
  int error() const { return error_; }

 private:
  int error_;
};

/// Writes all of `text` to a descriptor. Throws OutputError.
void WriteOutput(int fd, std::string_view text);

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

/// All drawings, each beside the one before, at the verdict of a lesson that
/// came to its end: for Graphviz, or as the SVG that Graphviz makes of it. That
/// throws CallError, ENOENT where Graphviz is not installed, and
/// std::runtime_error where it fails; both with the opening. dot(1).
Renderer MakeDotRenderer();
Renderer MakeSvgRenderer();

/// For a player: a recording of the text in colour, an asciicast (version 2)
/// with its own clock and a marker at each step.
/// https://docs.asciinema.org/manual/asciicast/v2/
Renderer MakeCastRenderer();

/// Shows the events of one lesson to somebody.
using Show = std::function<void(const Event&)>;

/// Writes what `renderer` makes of an event to a descriptor, as it comes and
/// with one call. Throws OutputError, and what the renderer throws.
Show To(int fd, Renderer renderer);

// What several renderers say in the same words.

/// Where it runs and as whom: "Linux 6.1.0, as root."
std::string Setting(const Opening& opening);

/// A claim and its verdict: "holds", "FAILS" or "skipped".
Item ItemOf(const Claim& claim);

/// "5 of 6 claims hold, 1 skipped."; empty when there was nothing to judge.
std::string Count(const Verdict& verdict);

/// What a program says on stderr when its lesson has ended early: the error,
/// and below it the cause and the remedy, when they are known.
std::string Report(const std::string& lesson, const Verdict& verdict);

}  // namespace steps

#endif  // COMMON_SHOW_RENDERER_H_
