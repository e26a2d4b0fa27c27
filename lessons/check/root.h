#ifndef LESSONS_CHECK_ROOT_H_
#define LESSONS_CHECK_ROOT_H_

#include "lessons/check/order.h"

namespace steps {

/// In a new mount namespace that a new user namespace owns: goes to a root
/// in memory, in which there is nothing of the machine's that could be
/// changed, and puts the files of the order there. Throws CallError.
void MakeThrowawayRoot(const Order& order);

}  // namespace steps

#endif  // LESSONS_CHECK_ROOT_H_
