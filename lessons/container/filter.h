#ifndef LESSONS_CONTAINER_FILTER_H_
#define LESSONS_CONTAINER_FILTER_H_

namespace steps {

/// Has the kernel refuse this process, and all that it starts, the calls that
/// engines refuse: with EPERM, and clone3(2) with ENOSYS. Throws CallError.
/// seccomp(2).
void FilterCalls();

/// Whether a filter is at work: "filtered" or "unfiltered".
/// prctl(PR_GET_SECCOMP).
const char* DescribeFilter();

}  // namespace steps

#endif  // LESSONS_CONTAINER_FILTER_H_
