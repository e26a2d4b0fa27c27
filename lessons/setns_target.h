#ifndef LESSONS_SETNS_TARGET_H_
#define LESSONS_SETNS_TARGET_H_

#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/lesson/lesson.h"

namespace steps {

/// A namespace to join: where the reader found it, open, and its kind's flag.
struct Target {
  std::string path;
  Descriptor fd;
  int kind;
};

/// The path that this word names: a bare name is that of a network namespace
/// in /run/netns. ip-netns(8).
std::string PathOf(const std::string& word);

/// Whether this names a further namespace, and not the command. A link in
/// /proc that is gone was meant as one.
bool IsNamespace(const std::string& word);

/// Whether this process is in that namespace; of PID namespaces, whether its
/// next children are.
bool IsIn(int kind, const Descriptor& fd);

/// Opens those that are still to be joined, each once, and says of the others
/// why not. All are opened before one is joined: then /proc may be another.
/// Throws UsageError for what is no namespace, std::runtime_error for what is
/// not there, and CallError.
std::vector<Target> OpenTargets(Lesson& lesson,
                                const std::vector<std::string>& paths);

}  // namespace steps

#endif  // LESSONS_SETNS_TARGET_H_
