// How a program starts in the throwaway host.

#include "lessons/check/launch.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

void Limit() {
  for (const auto& [resource, limit] :
       std::array<std::pair<__rlimit_resource, rlim_t>, 3>{
           {{RLIMIT_NPROC, 100},
            {RLIMIT_FSIZE, rlim_t{64} << 20},
            {RLIMIT_CORE, 0}}}) {
    const rlimit both = {limit, limit};
    MUST(setrlimit, resource, &both);
  }
}

}  // namespace

pid_t Launch(const std::vector<std::string>& argv,
             const std::string& directory) {
  const pid_t pid = MUST(fork);
  if (pid != 0) return pid;
  try {
    MUST(setpgid, 0, 0);
    std::signal(SIGTTOU, SIG_IGN);
    MUST(tcsetpgrp, STDIN_FILENO, getpid());
    std::signal(SIGTTOU, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    MUST(dup2, STDIN_FILENO, STDOUT_FILENO);
    MUST(dup2, STDIN_FILENO, STDERR_FILENO);
    MUST(close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    Limit();
    MUST(clearenv);
    for (const auto& [name, value] :
         {std::pair("HOME", "/root"), std::pair("TERM", "dumb"),
          std::pair("PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                    "/usr/bin:/sbin:/bin")}) {
      MUST(setenv, name, value, 1);
    }
    MUST(chdir, directory.c_str());
    execv(argv[0].c_str(), ExecArguments(argv).data());
    throw CallError(errno, fmt::format("execv(\"{}\")", argv[0]));
  } catch (const std::exception& error) {
    Complain(fmt::format("{}\n", error.what()));
  }
  _exit(127);
}

}  // namespace steps
