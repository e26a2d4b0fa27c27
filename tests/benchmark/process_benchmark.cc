// What a Process costs beside a bare clone(2) and waitpid(2).

#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "common/kernel/process.h"

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

}  // namespace
}  // namespace steps
