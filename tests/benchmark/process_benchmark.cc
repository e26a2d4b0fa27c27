// What Child costs. Bare: clone(2) and waitpid(2), and nothing else. ByHand:
// the same with what any correct program adds, a pipe for the result, a
// checkpoint, and death with the parent. WithChild: that, as a lesson writes
// it.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

constexpr std::array<int, 3> kFlags = {SIGCHLD, CLONE_NEWUTS | SIGCHLD,
                                       CLONE_NEWUSER | SIGCHLD};

std::array<std::byte, 1 << 16> stack;

int FlagsOf(benchmark::State& state) {
  const int flags = kFlags.at(static_cast<std::size_t>(state.range(0)));
  state.SetLabel(CloneFlags(flags));
  return flags;
}

void Bare(benchmark::State& state) {
  const int flags = FlagsOf(state);
  for (auto _ : state) {
    const pid_t pid = clone([](void*) { return EXIT_SUCCESS; },
                            stack.data() + stack.size(), flags, nullptr);
    Check(pid, "clone()");
    int status = 0;
    Check(waitpid(pid, &status, 0), "waitpid()");
  }
}

void ByHand(benchmark::State& state) {
  const int flags = FlagsOf(state);
  for (auto _ : state) {
    std::array<int, 2> ends = {};
    Check(pipe2(ends.data(), O_CLOEXEC), "pipe2()");
    const int releases = Check(eventfd(0, EFD_CLOEXEC), "eventfd()");
    const auto main = [](void* argument) {
      const auto& line = *static_cast<std::array<int, 2>*>(argument);
      close(line[0]);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      pollfd parent = {.fd = line[1], .events = 0, .revents = 0};
      poll(&parent, 1, 0);
      return parent.revents == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    };
    const pid_t pid =
        clone(main, stack.data() + stack.size(), flags, ends.data());
    Check(pid, "clone()");
    close(ends[1]);
    eventfd_write(releases, 1);
    int status = 0;
    Check(waitpid(pid, &status, 0), "waitpid()");
    char result = 0;
    Check(read(ends[0], &result, 1), "read()");
    close(ends[0]);
    close(releases);
  }
}

void WithChild(benchmark::State& state) {
  const int flags = FlagsOf(state);
  for (auto _ : state) {
    Child child([](Line&) {});
    const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
    Check(child.Started(pid), "clone()");
    child.Finish();
  }
}

BENCHMARK(Bare)->DenseRange(0, kFlags.size() - 1)->UseRealTime();
BENCHMARK(ByHand)->DenseRange(0, kFlags.size() - 1)->UseRealTime();
BENCHMARK(WithChild)->DenseRange(0, kFlags.size() - 1)->UseRealTime();

}  // namespace
}  // namespace steps
