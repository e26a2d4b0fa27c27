#ifndef LESSONS_CHECK_EXERCISES_H_
#define LESSONS_CHECK_EXERCISES_H_

#include <functional>
#include <string>
#include <vector>

#include "lessons/check/mistakes.h"
#include "lessons/check/xray.h"

namespace steps {

/// A task for the learner: lessons/exercises/NAME.cc.
struct Exercise {
  /// What has to be so, and what to say where it is not.
  struct Need {
    std::function<bool(const XRay&)> met;
    std::string otherwise;
  };

  std::string name;                // "uts"
  std::string title;               // "Rename yourself, and not the host"
  std::string lesson;              // "uts"
  std::vector<std::string> wrong;  // The mistakes that are wrong here.
  std::vector<Need> needs;
  bool as_user = false;      // The program runs as an ordinary user.
  bool with_target = false;  // Its argument is a UTS namespace to join.
};

/// All of them, in their order.
const std::vector<Exercise>& Exercises();

/// The one of this name. Throws UsageError.
const Exercise& ExerciseOf(const std::string& name);

/// Why the program does not solve the exercise yet; empty where it does.
std::string Judge(const Exercise& exercise, const XRay& xray,
                  const std::vector<Mistake>& mistakes);

}  // namespace steps

#endif  // LESSONS_CHECK_EXERCISES_H_
