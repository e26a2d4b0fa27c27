#ifndef COMMON_SHOW_SOURCE_H_
#define COMMON_SHOW_SOURCE_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/lesson/event.h"

namespace steps {

/// A source file as it was when the program was built. The macro in
/// lessons/lessons.bzl writes one for each file of a lesson; each is for the
/// whole of the program.
class EmbeddedSource {
 public:
  /// `path` as the compiler was given it.
  EmbeddedSource(const std::string& path, std::string_view text);
};

/// Finds the lines of a lesson's source that belong to what the lesson tells.
/// It goes by the form that clang-format gives: a function begins and ends in
/// the first column, a statement ends with its line. Where a file was not
/// embedded, there are no lines.
class Listing {
 public:
  /// The step that begins at `place`: the lines from there up to the next step,
  /// question or claim, without the statements in which the lesson speaks; at
  /// most ten.
  Code Step(const Place& place);

  /// What led to a call or to evidence that was told at `place`: the paragraph
  /// in which that statement stands, up to it, but for what speaks and what was
  /// listed since the step began.
  Code Lead(const Place& place);

 private:
  // These lines, but for what speaks and what was listed since the step began.
  Code List(const std::string& file, int first, int last);

  std::set<std::pair<std::string, int>> listed_;  // File and line, this step.
};

}  // namespace steps

#endif  // COMMON_SHOW_SOURCE_H_
