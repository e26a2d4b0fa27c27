// PID namespaces: private process IDs.                    pid_namespaces(7)
//
//   bazel run //lessons:pid                the lesson
//   bazel run //lessons:pid -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/program/program.h"

namespace steps {

const Probe kPid{"PID", "getpid(2)", getpid};
const Probe kParent{"parent's PID", "getppid(2)", getppid};
const auto kLevels = FieldProbe("PID by level", "/proc/self/status", "NSpid");
const auto kNamespace = LinkProbe("PID namespace", "/proc/self/ns/pid");
const auto kProc = LinkProbe("PID in /proc", "/proc/self");

// What ps(1) says of the process `pid`. ps looks for its own PID in /proc,
// which has the PIDs of outside. As PID 1 of one more namespace it is
// found: every /proc has a 1.
static auto Ps(pid_t pid) {
  const auto read = [pid] {
    MUST(unshare, CLONE_NEWPID);
    return RunTool({"ps", "-o", "pid,ppid,comm", "-p", std::to_string(pid)});
  };
  return Probe{"", "$ ps -o pid,ppid,comm -p " + std::to_string(pid), read};
}

// Asks with signal 0, which is never sent, whether there is such a process.
static int Find(Process& process, pid_t pid) {
  return process.Run([pid] { return TRY(kill, pid, 0); });
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWPID, a child has one PID");
  const Evidence before = outside.Ask(kPid, kParent, kNamespace);
  Process plain = outside.Clone("child", 0);
  const std::string pid = plain.Ask(kPid);
  lesson.Claim("Without CLONE_NEWPID, a child has one PID.",
               plain.Ask(kLevels) == pid);

  lesson.Predict("What does getppid(2) return in a new PID namespace?",
                 {"0", before[kPid], "1", "-1, and errno is ESRCH"});

  lesson.Step("With CLONE_NEWPID, it has two: 1 inside, another outside");
  Process inside = outside.Clone("inside", CLONE_NEWPID);
  const Evidence ids = inside.Ask(kPid, kParent, kNamespace);
  lesson.Answer(ids[kParent], "The parent has no PID inside.");
  lesson.Claim("Inside, the child is PID 1, and its parent's PID is 0.",
               ids[kPid] == "1" && ids[kParent] == "0");
  const std::string outer = std::to_string(inside.pid());
  lesson.Claim("Outside, the same process has an ordinary PID.",
               inside.Ask(kLevels) == outer + " 1");
  const std::string ps = inside.Ask(Ps(inside.pid()));
  lesson.Claim("Inside, /proc still has the PIDs of outside.",
               inside.Ask(kProc) == outer &&
                   (IsMissing(ps) || ps.find(outer) != std::string::npos));

  lesson.Step("Namespaces nest: a process has one PID per level");
  Process init = outside.Clone("init", CLONE_NEWPID);
  Process inner = init.Clone("inner", CLONE_NEWPID);
  lesson.Claim("Two levels down, a process has three PIDs.",
               inner.Ask(kLevels) == std::to_string(inner.pid()) + " 2 1");
  lesson.Claim("An outer level sees in.", Find(outside, inner.pid()) == 0);
  lesson.Claim("No inner level sees out.", Find(inner, init.pid()) == ESRCH);

  lesson.Step("Inside, kill(2) cannot end PID 1",
              "The kernel drops a signal for which PID 1 has no handler.");
  Process parent = init.Clone("parent", 0);
  parent.Run([] { CALL(kill, 1, SIGTERM); });
  parent.Run([] { CALL(kill, 1, SIGKILL); });
  lesson.Claim("Inside, not even SIGKILL ends PID 1.", init.Ask(kPid) == "1");

  lesson.Step("PID 1 adopts orphans, and must reap them");
  // In their namespace, inner is PID 2, parent 3 and orphan 4.
  Process orphan = parent.Clone("orphan", 0);
  orphan.Run(OutliveParent);  // Otherwise it is killed with its parent.
  init.Run([] { CALL(kill, 3, SIGKILL); });
  lesson.Claim("The new parent of an orphan is PID 1.",
               parent.Ends() && orphan.Ask(kParent) == "1");
  init.Run([] { CALL(kill, 4, SIGKILL); });
  orphan.Ends();
  const std::string state = outside.Ask(StatusOf(orphan.pid(), "State"));
  init.Run([] { CALL(waitpid, 4, nullptr, WNOHANG); });
  lesson.Claim("Killed, the orphan stays a zombie until PID 1 reaps it.",
               state == "Z (zombie)" && Find(outside, orphan.pid()) == ESRCH);

  lesson.Step("From outside, SIGKILL ends PID 1, and the rest with it");
  CALL(kill, init.pid(), SIGKILL);  // In Teach itself: outside.
  lesson.Claim("When PID 1 ends, so does every process in its namespace.",
               init.Ends() && Find(outside, inner.pid()) == ESRCH);

  lesson.Compare(before, ids,
                 Process::Quiet().Ask(kPid, kParent, kNamespace));
  lesson.Remember("A process has a PID in its PID namespace and each above.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"pid", "PID namespaces: private process IDs", "pid_namespaces(7)"},
      steps::Teach, argc, argv);
}
