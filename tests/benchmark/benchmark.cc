// What a Process costs beside a bare clone(2); how long each lesson takes,
// beside a shell script that gathers the same evidence and proves nothing.

#include <benchmark/benchmark.h>

#include "tests/support/lessons.h"

namespace steps {
namespace {

void Bare(benchmark::State& state) {
  const long flags = state.range(0);
  for (auto _ : state) {
    const auto pid = static_cast<pid_t>(syscall(
        SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (pid == 0) _exit(0);
    waitpid(pid, nullptr, 0);
  }
}

void Whole(benchmark::State& state) {
  Process outside = Process::Quiet();
  for (auto _ : state) {
    Process child = outside.Clone("child", static_cast<int>(state.range(0)));
    benchmark::DoNotOptimize(child.Run([] { return getpid(); }));
  }
}

// It uses __COUNTER__, which clang 22 takes for an extension of the language.
#pragma GCC diagnostic ignored "-Wpedantic"
BENCHMARK(Bare)->Arg(0)->Arg(CLONE_NEWUSER)->UseRealTime();
BENCHMARK(Whole)->Arg(0)->Arg(CLONE_NEWUSER)->UseRealTime();

// A whole program, from its start to its end.
void Run(benchmark::State& state, const Words& argv) {
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

void Register(const std::string& name, const Words& argv) {
  benchmark::RegisterBenchmark(name.c_str(), Run, argv)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  for (const std::string& lesson : steps::LessonNames()) {
    steps::Register(lesson + "/lesson", {"lessons/" + lesson});
    steps::Register(lesson + "/by_hand",
                    {"sh", "tests/benchmark/by_hand/" + lesson + ".sh"});
  }
  steps::Register("tour", {"lessons/tour"});
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
