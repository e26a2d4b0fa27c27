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
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/kernel/mounts.h"
#include "common/program/program.h"
#include "lessons/setns_join.h"

namespace steps {

const auto kHostname = FileProbe("hostname", "/proc/sys/kernel/hostname");
const auto kUts = LinkProbe("UTS namespace", "/proc/self/ns/uts");
const auto kPid = LinkProbe("PID namespace", "/proc/self/ns/pid");
const Probe kMount{"on /tmp/ns", "/proc/self/mountinfo",
                   [] { return MountedOn("/tmp/ns"); }};

static int OpenUts(pid_t pid) {
  return CALL(open, ProcPath(pid, "ns/uts").c_str(), O_RDONLY);
}

static void Kill(Process& parent, pid_t pid) {
  parent.Run([pid] { CALL(kill, pid, SIGKILL); });
  parent.Run([pid] { CALL(waitpid, pid, nullptr, 0); });
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without setns, a child stays with its parent",
              "`target` is in two new namespaces. `control` does not join.");
  const Evidence before = outside.Ask(kHostname, kUts, kPid);
  Process target = outside.StandIn("target", CLONE_NEWUTS | CLONE_NEWPID);
  const pid_t pid = target.pid();
  target.Run([] { CALL(sethostname, "container_001", 13); });
  const Evidence there = target.Ask(kUts, kPid);
  Process control = outside.Clone("control", 0);
  lesson.Claim("A child that does not join has its parent's hostname.",
               control.Ask(kHostname) == before[kHostname]);

  lesson.Step("setns(2) moves its caller into a namespace that exists",
              "Its second argument, nstype, checks the kind.");
  Process joiner = outside.Clone("joiner", 0);
  joiner.Run([pid] { CALL(setns, OpenUts(pid), CLONE_NEWUTS); });
  const Evidence joined = joiner.Ask(kHostname, kUts, kPid);
  lesson.Claim("setns(2) moves its caller into the one namespace it names.",
               joined[kUts] == there[kUts] &&
                   joined[kHostname] == "container_001" &&
                   joined[kPid] == before[kPid]);
  const int wrong =
      control.Run([pid] { return TRY(setns, OpenUts(pid), CLONE_NEWIPC); });
  control.Run([pid] { CALL(setns, OpenUts(pid), 0); });
  lesson.Claim("For a link, a wrong nstype is EINVAL, and 0 takes any kind.",
               wrong == EINVAL && control.Ask(kUts) == there[kUts]);

  lesson.Step("A pidfd joins several kinds; a PID namespace takes children",
              "nstype says which namespaces of the process are meant.");
  Process mover = outside.Clone("mover", 0);
  const int pidfd = mover.Run([pid] { return CALL(pidfd_open, pid, 0); });
  const int zero = mover.Run([pidfd] { return TRY(setns, pidfd, 0); });
  mover.Run([pidfd] { CALL(setns, pidfd, CLONE_NEWUTS | CLONE_NEWPID); });
  const Evidence moved = mover.Ask(kUts, kPid);
  Process child = mover.Clone("child", 0);
  const std::string born = child.Ask(kPid);
  lesson.Claim(
      "A pidfd joins several kinds in one call; 0 is EINVAL.",
      zero == EINVAL && moved[kUts] == there[kUts] && born == there[kPid]);
  lesson.Claim("Joining a PID namespace moves the children, not the caller.",
               moved[kPid] == before[kPid] && born != before[kPid]);
  Kill(mover, child.pid());  // Its PID 1 cannot end before it is reaped.

  lesson.Predict("`target` ends. Which hostname does `joiner` see?",
                 {"container_001", "the machine's", "(none)", "it's killed"});

  lesson.Step("A namespace outlives the process that made it");
  Kill(outside, pid);
  const std::string seen = joiner.Ask(kHostname);
  lesson.Answer(seen, "A process, descriptor or mount holds it.");
  lesson.Claim("A namespace lives on while a process is in it.",
               seen == "container_001");

  lesson.Step("A bind mount or a descriptor keeps it without a process",
              "`ip netns add` leaves such a mount in /run/netns.");
  lesson.Claim("A bind mount or a descriptor keeps a namespace, too.", [&] {
    Process keeper = outside.StandIn("keeper", CLONE_NEWNS);
    keeper.Run([] { MountTmpfs("/tmp"); });
    Process maker = keeper.StandIn("maker", CLONE_NEWUTS);
    const std::string made = maker.Ask(kUts);
    maker.Run([] {
      CALL(open, "/tmp/ns", O_CREAT, 0600);
      CALL(mount, "/proc/self/ns/uts", "/tmp/ns", nullptr, MS_BIND, nullptr);
    });
    Kill(keeper, maker.pid());
    const int fd = keeper.Run([] { return CALL(open, "/tmp/ns", O_RDONLY); });
    keeper.Run([] { TRY(umount2, "/tmp/ns", MNT_DETACH); });
    keeper.Run([fd] { TRY(setns, fd, CLONE_NEWUTS); });
    return keeper.Ask(kMount) == "nothing" && keeper.Ask(kUts) == made;
  });

  lesson.Compare(before, joined, Process::Quiet().Ask(kHostname, kUts, kPid),
                 "joiner");
  lesson.Remember("setns(2) moves its caller into an existing namespace.");
  lesson.Keep(std::move(joiner));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"setns", "setns: join a namespace that exists", "setns(2)"},
      steps::Teach, argc, argv, steps::JoinTask());
}
