#ifndef COMMON_PROGRAM_OPTIONS_H_
#define COMMON_PROGRAM_OPTIONS_H_

#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/program/program.h"

namespace steps {

/// What the reader asks of a lesson.
struct Options {
  bool shell = false;
  bool json = false;
  bool dot = false;
  bool svg = false;
  bool markdown = false;
  bool step = false;
  std::optional<std::chrono::milliseconds> pause = {};  // Of --auto.
  bool code = false;
  bool color = false;
  int fd = STDOUT_FILENO;               // Where the lesson shows itself.
  std::string save = {};                // A file, or empty.
  std::string cast = {};                // The same.
  bool serve = false;                   // Whether to do the lesson's task,
  std::vector<std::string> words = {};  // and the words for it.
};

/// Reads the command line of a lesson. Nothing when it only asked for help or
/// the version. Throws CLI::ParseError, UsageError and OutputError.
std::optional<Options> ParseOptions(int argc, char** argv, const About& about,
                                    const std::optional<Task>& task);

}  // namespace steps

#endif  // COMMON_PROGRAM_OPTIONS_H_
