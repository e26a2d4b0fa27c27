#ifndef COMMON_PROGRAM_H_
#define COMMON_PROGRAM_H_

#include <functional>
#include <string>

#include "common/lesson.h"

namespace steps {

/// What a lesson is called.
struct About {
  std::string name;      // "uts", for //lessons:uts
  std::string title;     // At most 50 columns.
  std::string man_page;  // "uts_namespaces(7)"
};

/// The main() of a lesson: reads its command line, becomes root in a user
/// namespace where it is not privileged, runs `teach`, and gives the exit
/// status: 0 every claim holds; 1 a claim does not, or the lesson failed; 2
/// wrong usage; 77 this machine does not allow it; 130 interrupted.
int RunLesson(int argc, char** argv, const About& about,
              const std::function<void(Lesson&)>& teach);

}  // namespace steps

#endif  // COMMON_PROGRAM_H_
