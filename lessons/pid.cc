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
namespace {

const Probe kPid{"PID", "getpid(2)",
                 [] { return std::to_string(getpid()); }};
const Probe kParent{"parent's PID", "getppid(2)",
                    [] { return std::to_string(getppid()); }};
const Probe kLevels{"PID per level", "NSpid in /proc/self/status",
                    [] { return ReadField("/proc/self/status", "NSpid"); }};
const Probe kNamespace{"PID namespace", "/proc/self/ns/pid",
                       [] { return ReadLink("/proc/self/ns/pid"); }};
const Probe kProc{"PID in /proc", "/proc/self",
                  [] { return ReadLink("/proc/self"); }};

// What ps(1) says of the process `pid`. ps looks for its own PID in /proc,
// which has the PIDs of outside. As PID 1 of one more namespace it is
// found: every /proc has a 1.
auto Ps(pid_t pid) {
  return Probe{
      "", "$ ps -o pid,ppid,comm -p " + std::to_string(pid), [pid] {
        MUST(unshare, CLONE_NEWPID);
        return RunTool(
            {"ps", "-o", "pid,ppid,comm", "-p", std::to_string(pid)});
      }};
}

// Asks with signal 0, which is never sent, whether there is such a process.
int Find(Process& process, pid_t pid) {
  return process.Run([pid] { return TRY(kill, pid, 0); });
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWPID, a child has one PID");
  const Evidence before = outside.Ask(kPid, kParent, kNamespace);
  Process plain = outside.Clone("child", 0);
  const std::string pid = plain.Ask(kPid);
  lesson.Claim("Without CLONE_NEWPID, a child has one PID.",
               plain.Ask(kLevels) == pid);

  lesson.Predict(
      "A child in a new PID namespace asks getppid(2) for its parent's "
      "PID. What is the answer?",
      {"0", before[kPid], "1", "-1, and errno is ESRCH"});

  lesson.Step("With CLONE_NEWPID, it has two: 1 inside, another outside");
  Process inside = outside.Clone("inside", CLONE_NEWPID);
  const Evidence ids = inside.Ask(kPid, kParent, kNamespace);
  lesson.Answer(ids[kParent],
                "The parent has no PID in the child's namespace, so "
                "getppid(2) has none to return.");
  lesson.Claim("Inside, the child is PID 1, and its parent's PID is 0.",
               ids[kPid] == "1" && ids[kParent] == "0");
  const std::string outer = std::to_string(inside.pid());
  lesson.Claim("Outside, the same process has an ordinary PID.",
               inside.Ask(kLevels) == outer + " 1");
  const std::string ps = inside.Ask(Ps(inside.pid()));
  lesson.Claim(
      "Inside, /proc still has the PIDs of outside, and so has ps.",
      inside.Ask(kProc) == outer &&
          (IsMissing(ps) || ps.find(outer) != std::string::npos));

  lesson.Step("Namespaces nest: a process has one PID per level");
  Process init = outside.Clone("init", CLONE_NEWPID);
  Process inner = init.Clone("inner", CLONE_NEWPID);
  lesson.Claim("Two levels down, a process has three PIDs.",
               inner.Ask(kLevels) == std::to_string(inner.pid()) + " 2 1");
  lesson.Claim("An outer level sees in.", Find(outside, inner.pid()) == 0);
  lesson.Claim("An inner level does not see out.",
               Find(inner, init.pid()) == ESRCH);

  lesson.Step("Inside, kill(2) cannot end PID 1",
              "kill(2) returns 0, but the kernel drops a signal for which "
              "PID 1 has no handler.");
  Process parent = init.Clone("parent", 0);
  parent.Run([] {
    CALL(kill, 1, SIGTERM);
    CALL(kill, 1, SIGKILL);
  });
  lesson.Claim("From inside, not even SIGKILL ends PID 1.",
               init.Ask(kPid) == "1");

  lesson.Step("PID 1 adopts orphans, and must reap them");
  // In their namespace, inner is PID 2, parent 3 and orphan 4.
  Process orphan = parent.Clone("orphan", 0);
  orphan.Run(
      OutliveParent);  // A child is killed with its parent otherwise.
  init.Run([] { CALL(kill, 3, SIGKILL); });
  lesson.Claim("The new parent of an orphan is PID 1.",
               parent.Ends() && orphan.Ask(kParent) == "1");
  init.Run([] { CALL(kill, 4, SIGKILL); });
  const bool zombie =
      orphan.Ends() &&
      outside.Ask(StatusOf(orphan.pid(), "State")) == "Z (zombie)";
  init.Run([] { CALL(waitpid, 4, nullptr, WNOHANG); });
  lesson.Claim("Killed, the orphan stays a zombie until PID 1 reaps it.",
               zombie && Find(outside, orphan.pid()) == ESRCH);

  lesson.Step("From outside, SIGKILL ends PID 1, and the rest with it");
  CALL(kill, init.pid(), SIGKILL);  // In Teach itself: outside.
  lesson.Claim("When PID 1 ends, so does every process in its namespace.",
               init.Ends() && Find(outside, inner.pid()) == ESRCH);

  lesson.Compare(before, ids, outside.Ask(kPid, kParent, kNamespace));
  lesson.Remember(
      "A process in a PID namespace has one PID there and another outside. "
      "For ps, it needs a new /proc: lesson mount.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {"pid", "PID namespaces: private process IDs", "pid_namespaces(7)"},
      steps::Teach);
}
