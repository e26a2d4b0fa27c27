// leaks: what no namespace hides.                             namespaces(7)
//
//   bazel run //lessons:leaks                the lesson
//   bazel run //lessons:leaks -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/program/program.h"

namespace steps {

const std::string kShm = access("/dev/shm", F_OK) == 0 ? "/dev/shm" : "/tmp";
const std::string kFile = kShm + "/file";
const std::string kSocket = kShm + "/socket";

const Probe kPid{"PID", "getpid(2)", getpid};
const auto kHostname = FileProbe("hostname", "/proc/sys/kernel/hostname");
const auto kKernel = FileProbe("kernel", "/proc/sys/kernel/osrelease");
const Probe kCpus{"CPUs", "sysconf(3)",
                  [] { return sysconf(_SC_NPROCESSORS_ONLN); }};
const auto kMemory = FieldProbe("memory", "/proc/meminfo", "MemTotal");
const auto kThreads =
    FileProbe("threads at most", "/proc/sys/kernel/threads-max");
const Probe kLoad{"load", "/proc/loadavg", [] {
                    const std::string load = ReadText("/proc/loadavg");
                    return load.substr(0, load.find(' '));
                  }};
const Probe kDate{
    "CLOCK_REALTIME", "time(2)",
    [] { return fmt::format("{:%F %T}", fmt::gmtime(std::time(nullptr))); }};

// The kinds of namespaces in which the process that asks differs from
// `pid`.
static auto DiffersFrom(pid_t pid) {
  const auto read = [pid] { return KindNames(Difference(pid)); };
  return Probe{"not shared", ProcPath(pid, "ns"), read};
}

// Whether this has the file and the socket of `host` end with `error`.
static bool Reach(int error) {
  return TRY(open, kFile.c_str(), O_RDONLY) == error &&
         TRY(sendto, DatagramSocket(), "hello", kSocket.c_str()) == error;
}

static void Teach(Lesson& lesson) {
  lesson.Step("Control: without a flag, a child shares every namespace",
              "`host` stands in for your machine, with its own hostname.");
  Process host = lesson.outside().StandIn("host", CLONE_NEWNS | CLONE_NEWUTS);
  host.Run([] { CALL(sethostname, "host", 4); });
  host.Run([] { MountTmpfs(kShm.c_str()); });
  const Evidence before = host.Ask(kKernel, kCpus, kMemory, kThreads);
  Process child = host.Clone("child", 0);
  lesson.Claim("Without a flag, a child shares every namespace.",
               host.Ask(DiffersFrom(child.pid())) == "(none)");

  lesson.Predict(
      "All namespaces are new. Which of these is still the machine's?",
      {"the memory in /proc/meminfo", "the hostname",
       "the list of processes in a new /proc", "the network interfaces"});

  lesson.Step("With all flags it shares no namespace, but the same machine");
  const int all = KnownFlags();
  Process inside = host.Clone("inside", all);
  lesson.Claim("With all flags, a child shares no namespace.",
               host.Ask(DiffersFrom(inside.pid())) == KindNames(all));
  inside.MapRoot();
  inside.Run([] { CALL(sethostname, "container_001", 13); });
  const Evidence own = inside.Ask(kPid, kHostname);
  lesson.Claim("With all flags, a child is PID 1 and has its own hostname.",
               own[kPid] == "1" && own[kHostname] == "container_001" &&
                   host.Ask(kHostname) == "host");
  const Evidence made = inside.Ask(kKernel, kCpus, kMemory, kThreads);
  lesson.Answer(made[kMemory] == before[kMemory]
                    ? "the memory in /proc/meminfo"
                    : made[kMemory],
                "A cgroup can only limit it.");
  lesson.Claim(
      "Kernel, CPUs, memory and threads-max are still the machine's.",
      made == before);

  lesson.Step("The load and the date change: `host` reads them twice");
  const Evidence earlier = host.Ask(kLoad, kDate);
  const Evidence now = inside.Ask(kLoad, kDate);
  const Evidence later = host.Ask(kLoad, kDate);
  lesson.Claim(
      "The load and the date (CLOCK_REALTIME) are the machine's, too.",
      (now[kLoad] == earlier[kLoad] || now[kLoad] == later[kLoad]) &&
          earlier[kDate] <= now[kDate] && now[kDate] <= later[kDate]);

  lesson.Step("A file and a socket with a path, on a mount of `host`",
              "A new mount namespace starts with a copy of its mounts.");
  host.Run([] { CALL(open, kFile.c_str(), O_CREAT, 0600); });
  host.Run([] { CALL(bind, DatagramSocket(), kSocket.c_str()); });
  lesson.Claim("A mount that both sides have leads to its files and sockets.",
               inside.Run([] { return Reach(0); }));
  inside.Run([] { MountTmpfs(kShm.c_str()); });
  lesson.Claim("Another mount in the same place hides them: ENOENT.",
               inside.Run([] { return Reach(ENOENT); }));

  lesson.Compare(before, made,
                 Process::Quiet().Ask(kKernel, kCpus, kMemory, kThreads));
  lesson.Remember(
      "A container is no virtual machine: it shares the machine's kernel.");
  inside.Run(OutliveParent);  // `host` ends with this function.
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"leaks", "leaks: what no namespace hides", "namespaces(7)"},
      steps::Teach, argc, argv);
}
