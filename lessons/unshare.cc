// unshare: the caller itself moves.                              unshare(2)
//
//   bazel run //lessons:unshare                the lesson
//   bazel run //lessons:unshare -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

#include "common/program/program.h"

namespace steps {

const Probe kPid{"PID", "getpid(2)", getpid};
const auto kUts = LinkProbe("UTS namespace", "/proc/self/ns/uts");
const auto kPids = LinkProbe("PID namespace", "/proc/self/ns/pid");
const Probe kNext{"its children's", "pid_for_children",
                  [] { return ReadLink("/proc/self/ns/pid_for_children"); }};
// Where a second thread is after unshare(2), while the first one waits.
const Probe kThread{"second thread's", "/proc/thread-self/ns/uts", [] {
                      std::string link;
                      std::thread([&link] {
                        TRY(unshare, CLONE_NEWUTS);
                        link = ReadLink("/proc/thread-self/ns/uts");
                      }).join();
                      return link;
                    }};

static int TryToClone(Process& caller) {
  try {
    caller.Clone("next", 0);
    return 0;
  } catch (const CallError& error) {
    return error.error();
  }
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: clone(2) moves the child, and its caller stays");
  const Evidence before = outside.Ask(kUts, kPids);
  Process child = outside.Clone("child", CLONE_NEWUTS);
  const std::string cloned = child.Ask(kUts);
  lesson.Claim("clone(2) puts a child in a new namespace; the caller stays.",
               cloned != before[kUts] && outside.Ask(kUts) == before[kUts]);

  lesson.Step("unshare(2) moves the caller, and its sibling stays",
              "Two plain children: only `inside` calls unshare(2).");
  Process sibling = outside.Clone("sibling", 0);
  Process inside = outside.Clone("inside", 0);
  inside.Run([] { CALL(unshare, CLONE_NEWUTS); });
  const Evidence moved = inside.Ask(kUts, kPids, kPid);
  lesson.Claim("unshare(2) moves its caller itself, which keeps its PID.",
               moved[kUts] != before[kUts] &&
                   moved[kPid] == std::to_string(inside.pid()));
  lesson.Claim("Its sibling does not follow.",
               sibling.Ask(kUts) == before[kUts]);

  // In a namespace that the lesson owns: it goes back there in the end.
  Process host = outside.StandIn("host", CLONE_NEWPID);
  Process caller = host.Clone("caller", 0);
  const Evidence was = caller.Ask(kPid, kPids);
  lesson.Predict("What is getpid(2) after unshare(CLONE_NEWPID)?",
                 {was[kPid], "1", "0", "-1, and errno is EINVAL"});

  lesson.Step("The exception: CLONE_NEWPID is for the caller's children");
  caller.Run([] { CALL(unshare, CLONE_NEWPID); });
  const Evidence is = caller.Ask(kPid, kPids);
  lesson.Answer(is[kPid], "A process keeps its PID for life.");
  Process first = caller.Clone("first", 0);
  const Evidence born = first.Ask(kPid, kPids);
  lesson.Claim("With CLONE_NEWPID the caller stays; its next child is PID 1.",
               is == was && born[kPid] == "1" && born[kPids] != was[kPids] &&
                   caller.Ask(kNext) == born[kPids]);

  lesson.Step("A PID namespace without its PID 1 takes in no child");
  caller.Run([] { CALL(kill, 3, SIGKILL); });
  caller.Run([] { CALL(waitpid, 3, nullptr, 0); });
  lesson.Claim("When PID 1 has ended, clone(2) fails in its parent (ENOMEM).",
               TryToClone(caller) == ENOMEM);
  caller.Run([] {
    const int own = CALL(open, "/proc/self/ns/pid", O_RDONLY);
    CALL(setns, own, CLONE_NEWPID);
  });
  lesson.Claim("Back in its own PID namespace, by setns(2), it succeeds.",
               TryToClone(caller) == 0);

  lesson.Step(
      "Each thread has its own namespaces, but for the user namespace",
      "A process with two threads unshares, and one without: `alone`.");
  Process process = outside.Clone("process", 0);
  const std::string thread = process.Ask(kThread);
  lesson.Claim("unshare(2) moves only the thread that calls it.",
               thread != before[kUts] && process.Ask(kUts) == before[kUts]);
  process.Run([] { std::thread(pause).detach(); });
  lesson.Claim(
      "With two threads, it may not unshare its user namespace (EINVAL).",
      [&] {
        Process alone = outside.Clone("alone", 0);
        alone.Run([] { CALL(unshare, CLONE_NEWUSER); });
        return process.Run([] { return TRY(unshare, CLONE_NEWUSER); }) ==
               EINVAL;
      });

  lesson.Compare(before, moved, Process::Quiet().Ask(kUts, kPids));
  lesson.Remember(
      "clone(2) puts a child, unshare(2) its caller in a new namespace.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"unshare", "unshare: the caller itself moves", "unshare(2)"},
      steps::Teach, argc, argv);
}
