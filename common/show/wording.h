#ifndef COMMON_SHOW_WORDING_H_
#define COMMON_SHOW_WORDING_H_

#include <string>

#include "common/lesson/event.h"

namespace steps {

// What the renderers for people say in the same words.

/// Where it runs and as whom: "Linux 6.1.0, as root."
std::string Setting(const Opening& opening);

/// What the question came to: "2: vm", or "not 1, but 2: vm".
std::string Found(const Answer& answer);

/// The comparison in rows and columns; each row ends with its verdict.
Table TableOf(const Comparison& comparison);

/// "5 of 6 claims hold, 1 skipped."; empty when there was nothing to judge.
std::string Count(const Verdict& verdict);

/// What a program says on stderr when its lesson has ended early: the error,
/// and below it the cause and the remedy, when they are known.
std::string Report(const std::string& lesson, const Verdict& verdict);

}  // namespace steps

#endif  // COMMON_SHOW_WORDING_H_
