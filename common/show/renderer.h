#ifndef COMMON_SHOW_RENDERER_H_
#define COMMON_SHOW_RENDERER_H_

#include <functional>
#include <memory>
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

/// Where output goes: takes all of a text. Throws OutputError.
using Write = std::function<void(std::string_view)>;

/// Writes all of `text` to a descriptor. Throws OutputError.
void WriteOutput(int fd, std::string_view text);

/// Output to a descriptor.
Write To(int fd);

/// Turns the events of one lesson into output. Render throws OutputError.
class Renderer {
 public:
  virtual ~Renderer() = default;
  virtual void Render(const Event& event) = 0;
};

/// For people: at most 80 columns, each event written as it comes, with one
/// call of `write`.
std::unique_ptr<Renderer> MakeTextRenderer(Write write, bool color);

/// For programs: one JSON document, written with the verdict. Its schema is
/// docs/lesson.schema.json. Bytes that are not UTF-8 become U+FFFD.
std::unique_ptr<Renderer> MakeJsonRenderer(Write write);

/// For articles: Markdown as GitHub reads it, each event written as it comes.
/// What is no heading, list or table is a block of the text; tables are whole.
std::unique_ptr<Renderer> MakeMarkdownRenderer(Write write);

/// All drawings, each beside the one before, written with the verdict of a
/// lesson that came to its end: for Graphviz, or as the SVG that Graphviz makes
/// of it. Render then also throws CallError, ENOENT where Graphviz is not
/// installed, and std::runtime_error where it fails; both with the opening.
/// dot(1).
std::unique_ptr<Renderer> MakeDotRenderer(Write write);
std::unique_ptr<Renderer> MakeSvgRenderer(Write write);

/// For a player: a recording of the text in colour, an asciicast (version 2)
/// with its own clock and a marker at each step, each event written as it
/// comes. https://docs.asciinema.org/manual/asciicast/v2/
std::unique_ptr<Renderer> MakeCastRenderer(Write write);

// What several of them say in the same words.

/// Where it runs and as whom: "Linux 6.1.0, as root."
std::string Setting(const Opening& opening);

/// The comparison in rows and columns; each row ends with its verdict.
Table TableOf(const Comparison& comparison);

/// A claim and its verdict: "holds", "FAILS" or "skipped".
Item ItemOf(const Claim& claim);

/// "5 of 6 claims hold, 1 skipped."; empty when there was nothing to judge.
std::string Count(const Verdict& verdict);

/// What a program says on stderr when its lesson has ended early: the error,
/// and below it the cause and the remedy, when they are known.
std::string Report(const std::string& lesson, const Verdict& verdict);

}  // namespace steps

#endif  // COMMON_SHOW_RENDERER_H_
