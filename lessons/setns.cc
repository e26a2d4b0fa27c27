// setns: join a namespace that exists.                             setns(2)
//
//   bazel run //lessons:setns                the lesson
//   bazel run //lessons:setns -- --shell     and a shell inside
//   bazel run //lessons:setns -- /proc/4242/ns/uts [COMMAND…]
//
// The last form is a tool: lessons/setns_join.cc.
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/kernel/mounts.h"
#include "common/program/program.h"
#include "lessons/setns_join.h"

namespace steps {
namespace {

const Probe kHostname{"hostname", "/proc/sys/kernel/hostname",
                      [] { return ReadText("/proc/sys/kernel/hostname"); }};
const Probe kUts{"UTS namespace", "/proc/self/ns/uts",
                 [] { return ReadLink("/proc/self/ns/uts"); }};
const Probe kPid{"PID namespace", "/proc/self/ns/pid",
                 [] { return ReadLink("/proc/self/ns/pid"); }};

// glibc 2.36 declares it for C only.
int pidfd_open(pid_t pid, unsigned flags) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}

std::string Uts(pid_t pid) { return fmt::format("/proc/{}/ns/uts", pid); }

int OpenFile(const std::string& path) {
  return CALL(open, path.c_str(), O_RDONLY);
}

void Kill(Process& parent, pid_t pid) {
  parent.Run([pid] {
    CALL(kill, pid, SIGKILL);
    CALL(waitpid, pid, nullptr, 0);
  });
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without setns, a child stays with its parent",
              "`target` is in two new namespaces. `control` does not join "
              "them.");
  const Evidence before = outside.Ask(kHostname, kUts, kPid);
  // A new name, even in the shell of another run of this lesson.
  const bool taken = before[kHostname] == "container_001";
  const char* name = taken ? "container_002" : "container_001";
  Process target = outside.StandIn("target", CLONE_NEWUTS | CLONE_NEWPID);
  const pid_t pid = target.pid();
  target.Run([name] { CALL(sethostname, name, 13); });
  const Evidence there = target.Ask(kHostname, kUts, kPid);
  Process control = outside.Clone("control", 0);
  lesson.Claim("A child that does not join has its parent's hostname.",
               control.Ask(kHostname) == before[kHostname]);

  lesson.Step("setns(2) moves its caller into a namespace that exists");
  Process joiner = outside.Clone("joiner", 0);
  joiner.Run([pid] { CALL(setns, OpenFile(Uts(pid)), CLONE_NEWUTS); });
  const Evidence joined = joiner.Ask(kHostname, kUts, kPid);
  lesson.Claim(
      "setns(2) moves its caller into the namespace it names, and no "
      "other.",
      joined[kUts] == there[kUts] && joined[kHostname] == name &&
          joined[kPid] == before[kPid]);

  lesson.Step("The second argument, nstype, checks the kind");
  const int wrong = control.Run(
      [pid] { return TRY(setns, OpenFile(Uts(pid)), CLONE_NEWIPC); });
  const int none =
      control.Run([] { return TRY(setns, OpenFile("/dev/null"), 0); });
  lesson.Claim("A wrong nstype, or a file that is no namespace, is EINVAL.",
               wrong == EINVAL && none == EINVAL);
  control.Run([pid] { CALL(setns, OpenFile(Uts(pid)), 0); });
  lesson.Claim("For a link in /proc/PID/ns, nstype 0 takes any kind.",
               control.Ask(kUts) == there[kUts]);

  lesson.Step("A pidfd joins several kinds; a PID namespace takes children",
              "A pidfd stands for a process, and nstype says which of its "
              "namespaces to join.");
  Process mover = outside.Clone("mover", 0);
  const int zero = mover.Run([pid] {
    const int fd = CALL(pidfd_open, pid, 0);
    const int error = TRY(setns, fd, 0);
    CALL(setns, fd, CLONE_NEWUTS | CLONE_NEWPID);
    return error;
  });
  const Evidence moved = mover.Ask(kUts, kPid);
  Process child = mover.Clone("child", 0);
  const std::string born = child.Ask(kPid);
  lesson.Claim("With a pidfd, nstype 0 is EINVAL.", zero == EINVAL);
  lesson.Claim("A pidfd joins several kinds in one call.",
               moved[kUts] == there[kUts] && born == there[kPid]);
  lesson.Claim("Joining a PID namespace moves the children, not the caller.",
               moved[kPid] == before[kPid] && born != before[kPid]);
  // Its orphan would be left to the PID 1 of the mover's own PID namespace.
  Kill(mover, child.pid());

  lesson.Predict(
      "A process has joined a UTS namespace. Then the process that made "
      "the "
      "namespace ends. Which hostname does the first one see?",
      {name, before[kHostname], "(none)", "none: it is killed, too"});

  lesson.Step("A namespace outlives the process that made it");
  Process maker = outside.StandIn("maker", CLONE_NEWUTS);
  maker.Run([name] { CALL(sethostname, name, 13); });
  Process guest = outside.Clone("guest", 0);
  guest.Run([maker = maker.pid()] {
    CALL(setns, OpenFile(Uts(maker)), CLONE_NEWUTS);
  });
  Kill(outside, maker.pid());
  const std::string seen = guest.Ask(kHostname);
  lesson.Answer(
      seen,
      "A namespace ends when nothing holds it any more: no process, "
      "descriptor or mount.");
  lesson.Claim("A namespace lives on while a process is in it.",
               seen == name);

  lesson.Step("A bind mount or a descriptor keeps it without a process",
              "`ip netns add` leaves such a mount in /run/netns.");
  const Outcome kept = lesson.Attempt([&] {
    Process keeper = outside.StandIn("keeper", CLONE_NEWNS);
    keeper.Run([guest = guest.pid()] {
      MountTmpfs("/tmp");
      CALL(open, "/tmp/uts", O_CREAT, 0600);
      CALL(mount, Uts(guest).c_str(), "/tmp/uts", nullptr, MS_BIND, nullptr);
    });
    Kill(outside, guest.pid());
    const bool joins = keeper.Run([] {
      const int fd = OpenFile("/tmp/uts");
      return TRY(umount2, "/tmp/uts", MNT_DETACH) == 0 &&
             !MountOn("/tmp/uts") && TRY(setns, fd, CLONE_NEWUTS) == 0;
    });
    return joins && keeper.Ask(kHostname) == name;
  });
  lesson.Claim(
      "A bind mount or descriptor keeps a namespace with no process.", kept);

  const Evidence after = outside.Ask(kHostname, kUts, kPid);
  lesson.Claim("Outside, nothing has changed.", after == before);
  lesson.Compare(before, joined, after, "joiner");
  lesson.Remember(
      "setns(2) moves its caller into a namespace that exists; of a PID "
      "namespace, only its next children.");
  lesson.Keep(std::move(joiner));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"setns", "setns: join a namespace that exists", "setns(2)"},
      steps::Teach, argc, argv, steps::JoinTask());
}
