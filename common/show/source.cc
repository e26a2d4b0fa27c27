#include "common/show/source.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <regex>
#include <string_view>

#include "common/show/printable.h"

namespace steps {
namespace {

constexpr int kMostOfStep = 10;  // Lines; a screen has 24.

using Source = std::vector<std::string>;  // The lines; the first is at 1.

// A static object of another file may come here before any of this file's own.
std::map<std::string, Source, std::less<>>& Sources() {
  static std::map<std::string, Source, std::less<>> sources;
  return sources;
}

// The lines of a file; none but the one at 0 where it was not embedded.
const Source& SourceOf(std::string_view file) {
  static const Source none = {""};
  const auto found = Sources().find(file);
  return found == Sources().end() ? none : found->second;
}

int LastOf(const Source& source) { return static_cast<int>(source.size()) - 1; }

std::size_t IndentOf(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// The last line of the statement, or of the head of the block, that begins in
// this line.
int StatementEnd(const Source& source, int line) {
  const auto ends = [](const std::string& text) {
    return !text.empty() && std::strchr(";{}", text.back()) != nullptr;
  };
  while (line < LastOf(source) && !ends(source[line])) ++line;
  return line;
}

bool Speaks(const std::string& line) {
  return line.substr(IndentOf(line)).starts_with("lesson.");
}

bool EndsStep(const std::string& line) {
  static const std::regex end("}| *lesson\\.(Step|Predict|Compare)\\(.*");
  return std::regex_match(line, end);
}

}  // namespace

EmbeddedSource::EmbeddedSource(const std::string& path, std::string_view text) {
  Source& source = Sources()[path];
  source = {""};
  for (const std::string_view line : Lines(text)) source.emplace_back(line);
}

Code Listing::Step(const Place& place) {
  listed_.clear();
  const Source& source = SourceOf(place.file);
  const int first = StatementEnd(source, place.line) + 1;
  int last = first;
  while (last <= LastOf(source) && !EndsStep(source[last])) ++last;
  Code code = List(place.file, first, last - 1);
  // What is left out comes with what it leads to.
  auto& lines = code.lines;
  auto end = lines.begin();
  auto line = lines.begin();
  for (int count = 0; line != lines.end() && count < kMostOfStep; ++count) {
    const std::string& text = (line++)->second;
    if (IndentOf(text) == 0 && text.ends_with(';')) end = line;
  }
  if (line == lines.end()) return code;
  if (end == lines.begin()) end = line;  // One statement is as long.
  for (auto left = end; left != lines.end(); ++left) {
    listed_.erase({code.file, left->first});
  }
  lines.erase(end, lines.end());
  return code;
}

Code Listing::Lead(const Place& place) {
  const Source& source = SourceOf(place.file);
  int first = std::min(place.line, LastOf(source) + 1);
  // A comment in the first column is about the function below it.
  while (first > 1 && !source[first - 1].empty() &&
         !source[first - 1].starts_with("//")) {
    --first;
  }
  return List(place.file, first, StatementEnd(source, place.line));
}

Code Listing::List(const std::string& file, int first, int last) {
  const Source& source = SourceOf(file);
  Code code = {file, {}};
  std::size_t indent = std::string::npos;
  // Of a claim's experiment, which ends as it begins: in the claim.
  std::size_t experiment = std::string::npos;
  for (int line = first; line <= std::min(last, LastOf(source)); ++line) {
    if (Speaks(source[line])) {
      line = StatementEnd(source, line);
      if (source[line].ends_with('{')) experiment = IndentOf(source[line]);
    } else if (source[line].ends_with("});") &&
               experiment == IndentOf(source[line])) {
      experiment = std::string::npos;
    } else if (listed_.insert({file, line}).second &&
               !(source[line].empty() && code.lines.empty())) {
      code.lines[line] = source[line];
      if (!source[line].empty()) {
        indent = std::min(indent, IndentOf(source[line]));
      }
    }
  }
  while (!code.lines.empty() && code.lines.rbegin()->second.empty()) {
    code.lines.erase(std::prev(code.lines.end()));
  }
  for (auto& [number, line] : code.lines) {
    line.erase(0, std::min(indent, line.size()));
  }
  return code;
}

}  // namespace steps
