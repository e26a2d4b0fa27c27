#ifndef LESSONS_DOCTOR_DIAGNOSIS_H_
#define LESSONS_DOCTOR_DIAGNOSIS_H_

#include <optional>
#include <string>
#include <vector>

#include "common/lesson/advice.h"
#include "common/lesson/event.h"
#include "lessons/tour/visit.h"

namespace steps {

/// An operation that lessons need, tried.
struct Trial {
  std::string operation;        // "a new uts namespace"
  std::string result;           // "works", "refused", "failed", "not tried"
  std::string needs = {};       // For want of which it was not tried.
  std::string error = {};       // What went wrong,
  std::string call = {};        // in which call, if in any,
  std::string errno_name = {};  // with which errno,
  std::optional<Advice> advice = {};  // and why, when it was refused.
};

/// A tool whose output lessons show.
struct ToolOnPath {
  std::string name;
  std::string package;  // Debian's.
  bool found;
};

/// A lesson, run.
struct LessonVisit {
  std::string lesson;
  Visit visit;
};

/// What this machine allows.
struct Diagnosis {
  Opening opening;
  bool in_container = false;
  std::vector<Trial> trials;
  std::vector<ToolOnPath> tools;
  std::vector<LessonVisit> lessons;
};

/// The doctor's exit status: 0 when all lessons run, 77 when the machine
/// does not allow some, 1 when one failed otherwise.
int ExitStatus(const Diagnosis& diagnosis);

/// For people, on stdout: a cause is told once, however much it refuses.
/// Throws CallError.
void ShowText(const Diagnosis& diagnosis, bool color);

/// For programs, on stdout; docs/doctor.schema.json describes it. Throws
/// CallError.
void ShowJson(const Diagnosis& diagnosis);

}  // namespace steps

#endif  // LESSONS_DOCTOR_DIAGNOSIS_H_
