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
#include <filesystem>
#include <thread>

#include "common/program/program.h"

namespace steps {
namespace {

const Probe kPid{"PID", "getpid(2)", [] { return std::to_string(getpid()); }};
const Probe kHostname{"hostname", "/proc/sys/kernel/hostname",
                      [] { return ReadText("/proc/sys/kernel/hostname"); }};
// Where a link of this process in /proc leads.
auto Link(const char* label, const char* path) {
  return Probe{label, path, [path] { return ReadLink(path); }};
}
const auto kUts = Link("UTS namespace", "/proc/self/ns/uts");
const auto kPids = Link("PID namespace", "/proc/self/ns/pid");
const Probe kNext{"its children's", "pid_for_children",
                  [] { return ReadLink("/proc/self/ns/pid_for_children"); }};
const Probe kThreads{
    "of each thread", "/proc/self/task/TID/ns/uts", [] {
      std::string links;
      for (const auto& task :
           std::filesystem::directory_iterator("/proc/self/task")) {
        links += "\n" + ReadLink(task.path() / "ns/uts");
      }
      return links.substr(1);
    }};

int TryToClone(Process& caller) {
  try {
    caller.Clone("third", 0);
    return 0;
  } catch (const CallError& error) {
    return error.error();
  }
}

void Kill(Process& parent, pid_t pid) {
  parent.Run([pid] {
    CALL(kill, pid, SIGKILL);
    CALL(waitpid, pid, nullptr, 0);
  });
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: clone(2) moves the child, and its caller stays");
  const Evidence before = outside.Ask(kUts, kHostname);
  Process child = outside.Clone("child", CLONE_NEWUTS);
  const std::string cloned = child.Ask(kUts);
  lesson.Claim(
      "clone(2) puts the child in a new namespace; its caller stays.",
      cloned != before[kUts] && outside.Ask(kUts) == before[kUts]);

  lesson.Step(
      "unshare(2) moves the caller, and its sibling stays",
      "Two plain children start in the same namespace. `inside` calls "
      "unshare(2).");
  Process sibling = outside.Clone("sibling", 0);
  Process inside = outside.Clone("inside", 0);
  const Evidence first_at = inside.Ask(kPid, kUts);
  inside.Run([] { CALL(unshare, CLONE_NEWUTS); });
  const Evidence then_at = inside.Ask(kPid, kUts);
  lesson.Claim(
      "unshare(2) puts the caller in a new namespace; it keeps its PID.",
      then_at[kUts] != first_at[kUts] && then_at[kPid] == first_at[kPid]);
  inside.Run([] { CALL(sethostname, "container_001", 13); });
  const Evidence renamed = inside.Ask(kUts, kHostname);
  lesson.Claim("Its sibling does not follow.",
               sibling.Ask(kUts, kHostname) == before &&
                   renamed[kHostname] == "container_001");

  // In a namespace that the lesson owns: it goes back there in the end.
  Process host = outside.Clone("host", CLONE_NEWPID);
  Process caller = host.Clone("caller", 0);
  const Evidence was = caller.Ask(kPid, kPids);
  lesson.Predict(
      "A process calls unshare(CLONE_NEWPID), then getpid(2). What is the "
      "answer?",
      {was[kPid], "1", "0", "-1, and errno is EINVAL"});

  lesson.Step("The exception: CLONE_NEWPID is for the caller's children");
  caller.Run([] { CALL(unshare, CLONE_NEWPID); });
  const Evidence is = caller.Ask(kPid, kPids);
  lesson.Answer(
      is[kPid],
      "A process keeps its PID, and so its PID namespace, for life. "
      "Only its next children go.");
  Process first = caller.Clone("first", 0);
  const Evidence born = first.Ask(kPid, kPids);
  lesson.Claim(
      "After unshare(CLONE_NEWPID) the caller stays; its next child is PID "
      "1.",
      is == was && born[kPid] == "1" && caller.Ask(kNext) == born[kPids] &&
          born[kPids] != was[kPids]);

  lesson.Step(
      "A PID namespace without its PID 1 takes in no child",
      "While PID 1 lives, there may be a second child. When PID 1 has "
      "ended, there is no third.");
  Process second = caller.Clone("second", 0);
  const bool joined = second.Ask(kPid) == "2";
  Kill(caller, 4);
  Kill(caller, 3);
  lesson.Claim("When PID 1 has ended, clone(2) fails in its parent (ENOMEM).",
               joined && TryToClone(caller) == ENOMEM);
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
  process.Run([] { std::thread(pause).detach(); });
  process.Run([] { CALL(unshare, CLONE_NEWUTS); });
  const std::string each = process.Ask(kThreads);
  lesson.Claim(
      "unshare(2) moves the thread that calls it; the other one stays.",
      !each.starts_with(before[kUts]) && each.ends_with("\n" + before[kUts]));
  const int error = process.Run([] { return TRY(unshare, CLONE_NEWUSER); });
  const Outcome threads = lesson.Attempt([&] {
    Process alone = outside.Clone("alone", 0);
    alone.Run([] { CALL(unshare, CLONE_NEWUSER); });
    return error == EINVAL;
  });
  lesson.Claim(
      "A process with two threads may not unshare its user namespace "
      "(EINVAL).",
      threads);

  lesson.Compare(before, renamed, outside.Ask(kUts, kHostname));
  lesson.Remember(
      "clone(2) puts a child in a new namespace, unshare(2) its caller; "
      "but "
      "of a PID namespace only the caller's next children.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"unshare", "unshare: the caller itself moves", "unshare(2)"},
      steps::Teach, argc, argv);
}
