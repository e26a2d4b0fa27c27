// The tour: every lesson, in the order in which each builds on those before it,
// and at the end what they have shown.
//
// A lesson that fails, or that this machine does not allow, does not stop the
// others.
//
//   bazel run //lessons:tour

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/renderer.h"
#include "common/tool.h"

namespace steps {
namespace {

using nlohmann::json;

constexpr std::array kLessons = {"inspect", "clone", "unshare", "setns", "uts",
                                 "ipc",     "pid",   "mount",   "chroot"};

struct Visit {
  int exit_status;
  json document;  // As --json prints it; null when the lesson left none.
  std::chrono::milliseconds time;
};

// Runs one lesson, which writes its document to a file beside the screen.
Visit Take(const std::string& lesson, bool color) {
  const auto start = std::chrono::steady_clock::now();
  const Descriptor document(
      Check(memfd_create("document", 0), "memfd_create(\"document\", 0)"));
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / lesson;
  const std::vector<std::string> argv = {
      program, color ? "--color=always" : "--color=never", "--save",
      fmt::format("/proc/self/fd/{}", document.get())};
  Child child([&](Line&) {
    Check(execv(program.c_str(), ExecArguments(argv).data()), "execv(\"{}\")",
          program);
  });
  child.Fork();
  try {
    child.Receive();
  } catch (const CallError& error) {
    fmt::print(stderr, "tour: {}\n", error.what());  // It has not begun.
  }
  const int status = child.Wait();
  // Nobody reads any more: to go on would be to no purpose.
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) raise(SIGPIPE);

  Check(lseek(document.get(), 0, SEEK_SET), "lseek()");
  return {ExitStatus(status),
          json::parse(ReadAll(document.get()), nullptr, false),
          std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::steady_clock::now() - start)};
}

// What a lesson has shown, in a cell of the table.
std::string Claims(const Visit& visit) {
  if (visit.exit_status == kCannotRun) return "cannot run here";
  if (visit.document.is_discarded() || visit.document.contains("error")) {
    return fmt::format("failed with {}", visit.exit_status);
  }
  int held = 0;
  int skipped = 0;
  for (const json& claim : visit.document["claims"]) {
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

int Tour(bool color) {
  Table table = {{"lesson", "what it is about", "claims that hold", "time"},
                 {}};
  int failed = 0;
  std::chrono::milliseconds total{0};
  for (const std::string lesson : kLessons) {
    const Visit visit = Take(lesson, color);
    WriteOutput(STDOUT_FILENO, "\n\n");
    const std::string title = visit.document.is_discarded()
                                  ? ""
                                  : visit.document["title"].get<std::string>();
    table.rows.push_back({lesson, title, Claims(visit),
                          fmt::format("{} ms", visit.time.count())});
    if (visit.exit_status != 0 && visit.exit_status != kCannotRun) ++failed;
    total += visit.time;
  }
  MakeTextRenderer(STDOUT_FILENO, color)->Render(table);
  WriteOutput(STDOUT_FILENO,
              fmt::format("{} lessons in {} ms, {} failed.\n",
                          table.rows.size(), total.count(), failed));
  return failed == 0 ? EXIT_SUCCESS : kFailed;
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunProgram("tour", [&] {
    CLI::App app("The tour: all lessons, in order",
                 "bazel run //lessons:tour --");
    app.footer("Exit status: 1 when a lesson failed, otherwise 0.");
    std::string color = "auto";
    steps::AddColorOption(app, color);
    return steps::Parse(app, argc, argv, "tour")
               ? steps::Tour(steps::WantsColor(color, STDOUT_FILENO))
               : EXIT_SUCCESS;
  });
}
