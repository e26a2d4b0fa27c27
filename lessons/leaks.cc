// leaks: what no namespace hides.                             namespaces(7)
//
//   bazel run //lessons:leaks                the lesson
//   bazel run //lessons:leaks -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/program/program.h"

namespace steps {
namespace {

const std::string kShm = access("/dev/shm", F_OK) == 0 ? "/dev/shm" : "/tmp";
const std::string kFile = kShm + "/file";
const std::string kSocket = kShm + "/socket";

std::string ReadDate() {
  return fmt::format("{:%F %T}", fmt::gmtime(std::time(nullptr)));
}

const Probe kPid{"PID", "getpid(2)", [] { return std::to_string(getpid()); }};
const Probe kHostname{"hostname", "/proc/sys/kernel/hostname",
                      [] { return ReadText("/proc/sys/kernel/hostname"); }};
const Probe kKernel{"kernel", "/proc/sys/kernel/osrelease",
                    [] { return ReadText("/proc/sys/kernel/osrelease"); }};
const Probe kCpus{"CPUs", "sysconf(3)", [] {
                    return std::to_string(sysconf(_SC_NPROCESSORS_ONLN));
                  }};
const Probe kMemory{"memory", "/proc/meminfo",
                    [] { return ReadField("/proc/meminfo", "MemTotal"); }};
const Probe kThreads{"threads at most", "/proc/sys/kernel/threads-max",
                     [] { return ReadText("/proc/sys/kernel/threads-max"); }};
const Probe kLoad{"load", "/proc/loadavg", [] {
                    const std::string load = ReadText("/proc/loadavg");
                    return load.substr(0, load.find(' '));
                  }};
const Probe kDate{"CLOCK_REALTIME", "time(2)", ReadDate};

// The kinds of namespaces in which the process that asks differs from
// `pid`.
auto DiffersFrom(pid_t pid) {
  return Probe{"not shared", fmt::format("/proc/{}/ns", pid), [pid] {
                 return KindNames(
                     Difference(NamespacesOf(getpid()), NamespacesOf(pid)));
               }};
}

// Whether this has the file and the socket of `host` end with `error`.
bool Reach(int error) {
  return TRY(open, kFile.c_str(), O_RDONLY) == error &&
         TRY(sendto, DatagramSocket(), "hello", kSocket.c_str()) == error;
}

void Teach(Lesson& lesson) {
  lesson.Step("Control: without a flag, a child shares every namespace",
              "`host` stands in for your machine. Only its mounts are its "
              "own.");
  Process host = lesson.outside().StandIn("host", CLONE_NEWNS);
  const Evidence before = host.Ask(kKernel, kCpus, kMemory, kThreads);
  Process child = host.Clone("child", 0);
  lesson.Claim("Without a flag, a child shares every namespace.",
               host.Ask(DiffersFrom(child.pid())) == "(none)");

  lesson.Predict(
      "A process has new namespaces of every kind. Which of these is still "
      "the machine's?",
      {"the memory in /proc/meminfo", "the hostname",
       "the list of processes in a new /proc", "the network interfaces"});

  lesson.Step("With all flags it shares no namespace, but the same machine");
  host.Run([] {
    MountTmpfs(kShm.c_str());
    CALL(bind, DatagramSocket(), kSocket.c_str());
    CALL(open, kFile.c_str(), O_CREAT, 0600);
  });
  const auto home = NamespacesOf(host.pid());
  const int all = Agreement(home, home);  // The kinds that this kernel has.
  Process inside = host.Clone("inside", all);
  lesson.Claim("With all flags, a child shares no namespace.",
               host.Ask(DiffersFrom(inside.pid())) == KindNames(all));
  inside.MapRoot();
  const std::string name = host.Ask(kHostname);
  inside.Run([again = name == "container_001"] {
    CALL(sethostname, again ? "container_002" : "container_001", 13);
  });
  const Evidence own = inside.Ask(kPid, kHostname);
  lesson.Claim("With all flags, a child is PID 1 and has its own hostname.",
               own[kPid] == "1" && own[kHostname] != name);
  const Evidence made = inside.Ask(kKernel, kCpus, kMemory, kThreads);
  lesson.Answer(made[kMemory] == before[kMemory]
                    ? "the memory in /proc/meminfo"
                    : made[kMemory],
                "The others belong to a UTS, PID or network namespace. There "
                "is none for memory: a cgroup limits it, and hides nothing.");
  lesson.Claim(
      "Kernel, CPUs, memory and threads-max are still the machine's.",
      made == before);

  lesson.Step("The load and the date",
              "They change by themselves: `host` reads them before and after "
              "`inside` does.");
  const Evidence earlier = host.Ask(kLoad, kDate);
  const Evidence now = inside.Ask(kLoad, kDate);
  const Evidence later = host.Ask(kLoad, kDate);
  lesson.Claim(
      "The load and the date (CLOCK_REALTIME) are the machine's, too.",
      (now[kLoad] == earlier[kLoad] || now[kLoad] == later[kLoad]) &&
          earlier[kDate] <= now[kDate] && now[kDate] <= later[kDate]);

  lesson.Step("A file and a socket with a path, on a mount of `host`",
              "A new mount namespace starts with a copy of the mounts, and "
              "these are the same file systems.");
  lesson.Claim("A mount that both sides have leads to its files and sockets.",
               inside.Run([] { return Reach(0); }));
  inside.Run([] { MountTmpfs(kShm.c_str()); });
  lesson.Claim("Another mount in the same place hides them: ENOENT.",
               inside.Run([] { return Reach(ENOENT); }));

  lesson.Compare(before, made, host.Ask(kKernel, kCpus, kMemory, kThreads));
  lesson.Remember(
      "Namespaces hide much, but not the kernel, the CPUs, the memory, the "
      "load or the date. A container is not a virtual machine.");
  // The orphans of --shell come to PID 1: the kernel reaps them then.
  inside.Run([] { std::signal(SIGCHLD, SIG_IGN); });
  inside.Run(OutliveParent);
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"leaks", "leaks: what no namespace hides", "namespaces(7)"},
      steps::Teach, argc, argv);
}
