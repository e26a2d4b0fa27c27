#include "lessons/visit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <utility>

#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/tool.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

void GoOutOfSight() {
  const Descriptor nowhere = Open("/dev/null", O_WRONLY);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    Check(dup2(nowhere.get(), fd), "dup2({}, {})", nowhere.get(), fd);
  }
}

// What is typed on the terminal is for the lesson that is seen there.
// system(3).
int AwaitSeen(Child& child) {
  auto* const on_interrupt = std::signal(SIGINT, SIG_IGN);
  const int status = child.Wait();
  std::signal(SIGINT, on_interrupt);
  return status;
}

// The lesson writes its document to a file beside the screen.
Visit Take(const std::string& lesson, std::vector<std::string> arguments,
           bool seen) {
  const auto start = std::chrono::steady_clock::now();
  const Descriptor document(
      Check(memfd_create("document", 0), "memfd_create(\"document\", 0)"));
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() /
      lesson;
  arguments.insert(arguments.begin(), program);
  arguments.insert(
      arguments.end(),
      {"--save", fmt::format("/proc/self/fd/{}", document.get())});
  Child child([&](Line&) {
    if (!seen) GoOutOfSight();
    Check(execv(program.c_str(), ExecArguments(arguments).data()),
          "execv(\"{}\")", program);
  });
  Visit visit;
  try {
    child.Fork();
    child.Receive();
    const int status = seen ? AwaitSeen(child) : child.Wait();
    // Nobody reads any more: to go on would be to no purpose.
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) raise(SIGPIPE);
    visit.exit_status = ExitStatus(status);
  } catch (const CallError& error) {
    visit.error = error;
    visit.exit_status = kFailed;
  }
  Check(lseek(document.get(), 0, SEEK_SET), "lseek()");
  visit.document =
      ordered_json::parse(ReadAll(document.get()), nullptr, false);
  visit.time = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  return visit;
}

}  // namespace

Visit Take(const std::string& lesson, std::vector<std::string> arguments) {
  return Take(lesson, std::move(arguments), true);
}

Visit TakeUnseen(const std::string& lesson) {
  return Take(lesson, {}, false);
}

std::string Summary(const Visit& visit) {
  if (visit.exit_status == kCannotRun) return "cannot run here";
  if (!visit.HasDocument() || visit.document.contains("error")) {
    return fmt::format("failed with {}", visit.exit_status);
  }
  int held = 0;
  int skipped = 0;
  for (const ordered_json& claim : visit.document["claims"]) {
    if (claim["holds"].is_null()) {
      ++skipped;
    } else if (claim["holds"].get<bool>()) {
      ++held;
    }
  }
  const std::size_t tried = visit.document["claims"].size() - skipped;
  return fmt::format("{} of {}", held, tried) +
         (skipped == 0 ? "" : fmt::format(", {} skipped", skipped));
}

}  // namespace steps
