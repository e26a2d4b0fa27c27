#ifndef LESSONS_CHECK_ORDER_H_
#define LESSONS_CHECK_ORDER_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace steps {

/// What is to run in the throwaway host.
struct Order {
  /// A file that the host gets a copy of, under its own path.
  struct File {
    std::string path;
    mode_t mode;
    std::string bytes;
  };

  std::vector<std::string> argv;  // The first is a path, from /.
  std::string directory;          // In which it starts.
  std::vector<File> files;        // The program, and those it is given.
  bool is_source = false;         // For g++(1), first.
  bool as_user = false;           // As uid 1000, not as root.
  bool with_target = false;       // The last argument is a namespace to join.
};

/// The order for the words of a command line: a program, or a C++ source,
/// and its arguments. Throws UsageError where it cannot be read.
Order MakeOrder(const std::vector<std::string>& words);

/// Whether the host shows the reader's own `path`: then it needs no copy.
bool IsShown(const std::string& path);

/// The directories of the reader's that the host shows, read-only.
const std::vector<std::string>& ShownDirectories();

}  // namespace steps

#endif  // LESSONS_CHECK_ORDER_H_
