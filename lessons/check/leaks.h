#ifndef LESSONS_CHECK_LEAKS_H_
#define LESSONS_CHECK_LEAKS_H_

#include <vector>

#include "lessons/check/mistakes.h"
#include "lessons/check/xray.h"

namespace steps {

/// What the program has changed on its host.
std::vector<Mistake> FindLeaks(const XRay& xray);

}  // namespace steps

#endif  // LESSONS_CHECK_LEAKS_H_
