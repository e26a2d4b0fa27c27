#ifndef LESSONS_CHECK_LAUNCH_H_
#define LESSONS_CHECK_LAUNCH_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace steps {

/// Starts a child that becomes `argv` in this `directory`, as a job on the
/// terminal of stdin, with limits and an environment of its own. Where it
/// cannot, it says why on the terminal, and exits with 127. Throws CallError.
pid_t Launch(const std::vector<std::string>& argv,
             const std::string& directory);

}  // namespace steps

#endif  // LESSONS_CHECK_LAUNCH_H_
