#ifndef LESSONS_USER_ORDINARY_H_
#define LESSONS_USER_ORDINARY_H_

#include "common/lesson/advice.h"

namespace steps {

/// Makes this process, if it is root, an ordinary user, whom the machine
/// need not know. It stays what it is in a user namespace that has no such
/// user, and where ordinary users may make no user namespace. Throws
/// CallError.
void BecomeOrdinary(const Machine& machine);

}  // namespace steps

#endif  // LESSONS_USER_ORDINARY_H_
