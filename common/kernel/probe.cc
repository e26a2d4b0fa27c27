#include "common/kernel/probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {

std::string ProcPath(pid_t pid, const std::string& file) {
  return fmt::format("/proc/{}/{}", pid, file);
}

std::string ReadText(const std::string& path) {
  std::string text = ReadFile(path);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

utsname Uname() {
  utsname names = {};
  MUST(uname, &names);
  return names;
}

std::string ReadLink(const std::string& path) {
  std::array<char, 4096> target;
  const ssize_t size =
      MUST(readlink, path.c_str(), target.data(), target.size());
  return {target.data(), static_cast<std::size_t>(size)};
}

std::string ReadField(const std::string& path, const std::string& field) {
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(field + ":")) continue;
    std::istringstream words(line.substr(field.size() + 1));
    using Word = std::istream_iterator<std::string>;
    return fmt::format("{}", fmt::join(Word(words), Word(), " "));
  }
  throw std::out_of_range(fmt::format("no field {} in {}", field, path));
}

std::string ReadColumn(const std::string& path) {
  std::istringstream lines(ReadFile(path));
  std::string line;
  std::getline(lines, line);
  std::string words;
  for (std::string word; lines >> word && std::getline(lines, line);) {
    words += (words.empty() ? "" : " ") + word;
  }
  return words.empty() ? "none" : words;
}

std::string RunTool(const std::vector<std::string>& argv) {
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_CLOEXEC);
  const Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  const std::vector<char*> pointers = ExecArguments(argv);
  const pid_t pid = MUST(fork);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(input.get(), STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    setenv("LC_ALL", "C", 1);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  input.Close();
  std::string text = ReadAll(output.get());
  int status = 0;
  MUST(waitpid, pid, &status, 0);
  if (status != 0) {
    const bool found = !FindProgram(argv[0]).empty();
    return "(" + argv[0] + (found ? " failed)" : " is not installed)");
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool IsMissing(const std::string& output) {
  return output.starts_with('(') && (output.ends_with(" failed)") ||
                                     output.ends_with(" is not installed)"));
}

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = getenv("PATH");
  std::istringstream directories(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    std::string found = (directory.empty() ? "." : directory) + "/" + name;
    // A probe's source asks before main(), where nobody would catch an error.
    std::error_code ignored;
    if (access(found.c_str(), X_OK) == 0 &&
        !std::filesystem::is_directory(found, ignored)) {
      return found;
    }
  }
  return "";
}

std::string ToolSource(const std::string& tool) {
  return (FindProgram(tool).empty() ? "no " : "") + tool + "(1)";
}

std::string TrimTable(const std::string& table, std::size_t columns) {
  std::istringstream lines(table);
  std::string trimmed;
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, columns);
    line.erase(line.find_last_not_of(' ') + 1);
    if (line.empty()) continue;
    trimmed += (trimmed.empty() ? "" : "\n") + line;
  }
  return trimmed;
}

std::string Agreed(const std::vector<std::string>& values) {
  std::vector<std::string> different;
  for (const std::string& value : values) {
    if (IsMissing(value) || std::ranges::count(different, value) > 0) continue;
    different.push_back(value);
  }
  return fmt::format("{}", fmt::join(different, " / "));
}

}  // namespace steps
