#include <algorithm>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/lesson/event.h"
#include "common/show/show.h"

namespace steps {
namespace {

using Source = std::vector<std::string_view>;  // The first line is at 1.

// A static object of another file may come here before any of this file's own.
Source& SourceOf(std::string_view file) {
  static std::map<std::string, Source> sources;
  return sources[std::string(file)];
}

std::size_t IndentOf(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// Of the statement, or the head of the block, that begins in this line.
int StatementEnd(const Source& source, int line) {
  while (line + 1 < std::ssize(source) &&
         source[line].find_last_of(";{}") + 1 != source[line].size()) {
    ++line;
  }
  return line;
}

class Listing {
 public:
  explicit Listing(Show show) : show_(std::move(show)) {}

  void operator()(Event event) {
    if (auto* step = std::get_if<Step>(&event)) {
      listed_.clear();
      step->code = OfStep(step->place);
    } else if (const auto* called = std::get_if<Called>(&event)) {
      LeadTo(called->call.place);
    } else if (const auto* shown = std::get_if<Shown>(&event)) {
      LeadTo(shown->place);
    }
    show_(event);
  }

 private:
  Code OfStep(const Place& place) {
    static const std::regex end("}| *lesson\\.(Step|Predict|Compare)\\(.*");
    const Source& source = SourceOf(place.file);
    const int first = StatementEnd(source, place.line) + 1;
    int last = first;
    while (last < std::ssize(source) &&
           !std::regex_match(source[last].begin(), source[last].end(), end)) {
      ++last;
    }
    // A screen has 24 lines. The others come with what they lead to.
    return List(place.file, first, last - 1, 10);
  }

  void LeadTo(const Place& place) {
    const Source& source = SourceOf(place.file);
    if (place.line >= std::ssize(source)) return;
    int first = place.line;
    // A comment in the first column is about the function below it.
    while (first > 1 && !source[first - 1].empty() &&
           !source[first - 1].starts_with("//")) {
      --first;
    }
    const int last = StatementEnd(source, place.line);
    const Code code = List(place.file, first, last, source.size());
    if (!code.lines.empty()) show_(code);
  }

  // Of these lines as many whole statements as are no more than `most`, but for
  // those in which the lesson speaks and what was listed since the step began.
  Code List(const std::string& file, int first, int last, std::size_t most) {
    const Source& source = SourceOf(file);
    Code code = {file, {}};
    auto& lines = code.lines;
    std::size_t indent = std::string::npos;
    // Of a claim's experiment, which ends as it begins: in the claim.
    std::size_t experiment = std::string::npos;
    for (int line = first; line <= last; ++line) {
      const std::string_view text = source[line];
      if (text.substr(IndentOf(text)).starts_with("lesson.")) {
        line = StatementEnd(source, line);
        if (source[line].ends_with('{')) experiment = IndentOf(source[line]);
      } else if (text.ends_with("});") && IndentOf(text) == experiment) {
        experiment = std::string::npos;
      } else if (!listed_.contains({file, line}) &&
                 !(text.empty() && lines.empty())) {
        lines.emplace_back(line, text);
        if (!text.empty()) indent = std::min(indent, IndentOf(text));
      }
    }
    while (!lines.empty() && lines.back().second.empty()) lines.pop_back();
    if (lines.size() > most) {
      const auto end = std::find_if(lines.rend() - most, lines.rend(),
                                    [indent](const auto& line) {
                                      return line.second.ends_with(';') &&
                                             IndentOf(line.second) == indent;
                                    });
      lines.erase(end.base(), lines.end());
    }
    for (auto& [line, text] : lines) {
      text.erase(0, std::min(indent, text.size()));
      listed_.emplace(file, line);
    }
    return code;
  }

  Show show_;
  std::set<std::pair<std::string, int>> listed_;  // File and line, this step.
};

}  // namespace

EmbeddedSource::EmbeddedSource(const std::string& path, std::string_view text) {
  SourceOf(path) = Lines(text);
  SourceOf(path).insert(SourceOf(path).begin(), "");
}

Show WithCode(Show show) { return Listing(std::move(show)); }

}  // namespace steps
