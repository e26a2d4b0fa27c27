#ifndef LESSONS_TOUR_VISIT_H_
#define LESSONS_TOUR_VISIT_H_

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"

namespace steps {

/// One run of a lesson.
struct Visit {
  int exit_status = 0;                   // As a shell has it.
  nlohmann::ordered_json document = {};  // What --json prints; discarded
                                         // where it left none.
  std::optional<CallError> error = {};   // Why it could not even begin.
  std::chrono::milliseconds time{0};

  bool HasDocument() const { return !document.is_discarded(); }

  /// A text of the document, such as its "title"; empty where it has none.
  std::string Text(const char* member) const;
};

/// Runs the lesson that is beside this program, with these `arguments`;
/// what it shows goes where this program's output goes. Throws CallError.
Visit Take(const std::string& lesson, std::vector<std::string> arguments);

/// The same, and nothing is shown.
Visit TakeUnseen(const std::string& lesson);

/// What it has shown, for a cell of a table: "7 of 7, 1 skipped", "cannot
/// run here" or "failed with 1".
std::string Summary(const Visit& visit);

}  // namespace steps

#endif  // LESSONS_TOUR_VISIT_H_
