#include "common/tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"

namespace steps {

std::optional<std::string> RunTool(const std::vector<std::string>& argv) {
  std::array<int, 2> ends = {};
  Check(pipe2(ends.data(), O_CLOEXEC), "pipe2(O_CLOEXEC)");
  const Descriptor output(ends[0]);
  Descriptor input(ends[1]);

  Child child([&](Line&) {
    const Descriptor nothing = Open("/dev/null", O_RDONLY);
    Check(dup2(nothing.get(), STDIN_FILENO), "dup2({}, 0)", nothing.get());
    Check(dup2(input.get(), STDOUT_FILENO), "dup2({}, 1)", input.get());
    Check(setenv("LC_ALL", "C", 1), "setenv(\"LC_ALL\", \"C\")");
    Check(execvp(argv[0].c_str(), ExecArguments(argv).data()), "execvp(\"{}\")",
          argv[0]);
  });
  child.Fork();
  input.Close();

  std::string text = ReadAll(output.get());
  try {
    child.Finish();
  } catch (const CallError& error) {
    if (error.error() == ENOENT) return std::nullopt;
    throw;
  } catch (const ChildError& error) {
    throw ChildError(fmt::format("{}: {}", fmt::join(argv, " "), error.what()));
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<char*> ExecArguments(const std::vector<std::string>& argv) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (const std::string& argument : argv) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace steps
