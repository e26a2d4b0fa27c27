#include "common/show/source.h"

#include <algorithm>
#include <map>
#include <sstream>

namespace steps {
namespace {

// A static object of another file may come here before any of this file's own.
std::map<std::string, std::vector<std::string>, std::less<>>& Files() {
  static std::map<std::string, std::vector<std::string>, std::less<>> files;
  return files;
}

// The lines of a file; the first is at 1.
const std::vector<std::string>& LinesOf(std::string_view file) {
  static const std::vector<std::string> none = {""};
  const auto found = Files().find(file);
  return found == Files().end() ? none : found->second;
}

std::string_view Trim(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line;
}

// Of a statement that begins in this line, the last line.
int StatementEnd(const std::vector<std::string>& lines, int line) {
  const int last = static_cast<int>(lines.size()) - 1;
  while (line < last && !lines[line].ends_with(';') &&
         !lines[line].ends_with('{')) {
    ++line;
  }
  return line;
}

bool EndsStep(std::string_view line) {
  return line == "}" || Trim(line).starts_with("lesson.Step(") ||
         Trim(line).starts_with("lesson.Predict(") ||
         Trim(line).starts_with("lesson.Compare(");
}

bool Speaks(std::string_view line) { return Trim(line).starts_with("lesson."); }

// Without the blanks that all lines begin with, and empty lines at the ends.
Code Tidy(Code code) {
  auto& lines = code.lines;
  while (!lines.empty() && lines.begin()->second.empty()) {
    lines.erase(lines.begin());
  }
  while (!lines.empty() && lines.rbegin()->second.empty()) {
    lines.erase(std::prev(lines.end()));
  }
  std::size_t indent = std::string::npos;
  for (const auto& [number, line] : lines) {
    if (!line.empty()) indent = std::min(indent, line.find_first_not_of(' '));
  }
  for (auto& [number, line] : lines) {
    if (!line.empty()) line.erase(0, indent);
  }
  return code;
}

}  // namespace

EmbeddedSource::EmbeddedSource(std::string_view path, std::string_view text) {
  std::vector<std::string>& lines = Files()[std::string(path)];
  lines = {""};
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
}

Code Listing::Step(const Place& place) {
  listed_.clear();
  Code code = {place.file, {}};
  const std::vector<std::string>& lines = LinesOf(place.file);
  const int end = static_cast<int>(lines.size());
  int spoken = StatementEnd(lines, place.line);  // The last line that speaks.
  for (int line = place.line; line < end; ++line) {
    if (line > spoken && EndsStep(lines[line])) break;
    listed_.insert({place.file, line});
    if (Speaks(lines[line])) spoken = StatementEnd(lines, line);
    if (line > spoken) code.lines[line] = lines[line];
  }
  return Tidy(std::move(code));
}

Code Listing::Lead(const Place& place) {
  Code code = {place.file, {}};
  const std::vector<std::string>& lines = LinesOf(place.file);
  if (place.line >= static_cast<int>(lines.size())) return code;
  int first = place.line;
  // A comment in the first column is about the function below it.
  while (first > 1 && !lines[first - 1].empty() &&
         !lines[first - 1].starts_with("//")) {
    --first;
  }
  for (int line = first; line <= StatementEnd(lines, place.line); ++line) {
    if (Speaks(lines[line])) {
      line = StatementEnd(lines, line);
    } else if (listed_.insert({place.file, line}).second) {
      code.lines[line] = lines[line];
    }
  }
  return Tidy(std::move(code));
}

}  // namespace steps
