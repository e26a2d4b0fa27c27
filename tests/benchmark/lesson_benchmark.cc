// How long each lesson takes, beside a shell script that gathers the same
// evidence with util-linux and proves nothing; and how long the tour takes.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

// A whole process, from its start to its end.
void Run(benchmark::State& state, const std::vector<std::string>& argv) {
  const Descriptor nowhere = Open("/dev/null", O_RDWR);
  for (auto _ : state) {
    const pid_t pid = vfork();
    if (pid == 0) {
      dup2(nowhere.get(), STDOUT_FILENO);
      dup2(nowhere.get(), STDERR_FILENO);
      execvp(argv[0].c_str(), ExecArguments(argv).data());
      _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) state.SkipWithError("it failed");
  }
}

void Register(const std::string& name, const std::vector<std::string>& argv) {
  benchmark::RegisterBenchmark(
      name.c_str(), [argv](benchmark::State& state) { Run(state, argv); })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  std::set<std::string> lessons;
  for (const auto& script :
       std::filesystem::directory_iterator("tests/benchmark/by_hand")) {
    lessons.insert(script.path().stem());
  }
  for (const std::string& lesson : lessons) {
    steps::Register(lesson + "/lesson", {"lessons/" + lesson});
    steps::Register(lesson + "/by_hand",
                    {"sh", "tests/benchmark/by_hand/" + lesson + ".sh"});
  }
  steps::Register("tour", {"lessons/tour"});
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
