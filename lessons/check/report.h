#ifndef LESSONS_CHECK_REPORT_H_
#define LESSONS_CHECK_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lessons/check/exercises.h"
#include "lessons/check/mistakes.h"
#include "lessons/check/xray.h"

namespace steps {

/// What a program came to.
struct Assessment {
  std::string program;                 // As the reader typed it.
  const Exercise* exercise = nullptr;  // Where it was to solve one.
  XRay xray = {};
  std::vector<Mistake> mistakes = {};
  std::string why = {};  // Why the exercise is not solved yet, or empty.

  /// Whether it is solved; without an exercise, whether no mistake was
  /// found.
  bool Done() const;
};

/// Shows it on stdout. Throws CallError.
void ShowText(const Assessment& report, bool color);

/// The same as a document.
nlohmann::ordered_json Document(const Assessment& report);

}  // namespace steps

#endif  // LESSONS_CHECK_REPORT_H_
