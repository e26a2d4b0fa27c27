#ifndef LESSONS_CLONE_TABLES_H_
#define LESSONS_CLONE_TABLES_H_

#include <map>

#include "common/lesson/event.h"

namespace steps {

/// The kinds of namespace that there are to choose from.
Table KindTable();

/// A row for each child, a column for each kind. `differs` has the flag
/// with which a child was cloned, and the flags of the kinds in which it
/// differs from its parent.
Table Matrix(const std::map<int, int>& differs);

}  // namespace steps

#endif  // LESSONS_CLONE_TABLES_H_
