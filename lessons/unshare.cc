// unshare: the caller itself moves.                                  unshare(2)
//
// A process leaves the UTS namespace that it shares with a sibling, and takes a
// new name in another. Then the exception: a PID namespace takes in only the
// caller's children. The lesson claims:
//
//   1. clone(2) puts the child in a new namespace; its caller stays.
//   2. unshare(2) puts the caller in a new namespace; it keeps its PID.
//   3. Its sibling does not follow.
//   4. unshare(CLONE_NEWPID) does not move the caller: its next child is the
//      first in the new namespace, PID 1.
//   5. When PID 1 has ended, the caller can have no more children (ENOMEM).
//   6. A process with a second thread may not unshare its user namespace
//      (EINVAL).
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:unshare                the lesson
//   bazel run //lessons:unshare -- --shell     and a shell inside
//   bazel run //lessons:unshare -- --help      all options

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

// The evidence: which process this is, where it is, and what it is called
// there.
Finding Pid() { return {"PID", fmt::to_string(getpid()), "getpid(2)"}; }

Finding Link(const std::string& kind) {
  return FromLink("namespace", "/proc/self/ns/" + kind);
}

Finding Hostname() { return FromFile("hostname", "/proc/sys/kernel/hostname"); }

// A process that looks, and stays.
void Look(Line& line, const std::string& name) {
  Side(name, line).Show({Pid(), Link("uts"), Hostname()});
  line.Checkpoint();
}

// The act: a plain child moves itself. A Side shows the calls that it checks:
// here is what they returned.
void Inside(Line& line, const std::string& name) {
  Side inside("inside", line);
  inside.Show({Pid(), Link("uts"), Hostname()});
  int result = unshare(CLONE_NEWUTS);
  inside.Check(result, "unshare({})", CloneFlags(CLONE_NEWUTS));
  result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());
  inside.Show({Pid(), Link("uts"), Hostname()});
  line.Checkpoint();
}

// The exception: the caller stays, and its children go.
void Exception(Line& line) {
  Side caller("caller", line);
  caller.Show({Pid(), Link("pid")});
  const int result = unshare(CLONE_NEWPID);
  caller.Check(result, "unshare({})", CloneFlags(CLONE_NEWPID));

  Child first([](Line& to_parent) {
    Side("first", to_parent).Show({Pid(), Link("pid")});
  });
  pid_t pid = clone(Child::Main, first.stack_top(), SIGCHLD, &first);
  caller.Check(first.Started(pid), "clone({})", CloneFlags(SIGCHLD));
  caller.Hear(first);
  caller.Show({Pid(), Link("pid"),
               FromLink("next child", "/proc/self/ns/pid_for_children")});
  first.Finish();

  Child second([](Line&) {});
  pid = clone(Child::Main, second.stack_top(), SIGCHLD, &second);
  const int error =
      caller.Try(second.Started(pid), "clone({})", CloneFlags(SIGCHLD));
  caller.Show({{"errno", ErrnoName(error), "clone(2)"}});
}

// Whether a process of so many threads may unshare its user namespace.
void TryUser(Line& line, const std::string& name) {
  Side side(name, line);
  const int result = unshare(CLONE_NEWUSER);
  const int error = side.Try(result, "unshare({})", CloneFlags(CLONE_NEWUSER));
  // Anything else is the machine's refusal, and tells nothing of threads.
  if (error != 0 && error != EINVAL)
    throw CallError(error, "unshare(CLONE_NEWUSER)");
  const auto threads = std::filesystem::directory_iterator("/proc/self/task");
  side.Show({{"threads", fmt::to_string(std::distance(begin(threads), {})),
              "/proc/self/task"},
             {"errno", error == 0 ? "0" : ErrnoName(error), "unshare(2)"}});
}

// The second thread only waits; it ends with the process.
void TryUserWithTwoThreads(Line& line) {
  std::thread(pause).detach();
  TryUser(line, "threaded");
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the UTS namespace of this process");
  const Evidence before = outside.Show({Link("uts"), Hostname()});

  lesson.Begin("Control: clone(2) moves the child, and the caller stays");
  const int flags = CLONE_NEWUTS | SIGCHLD;
  Child elsewhere([](Line& line) { Look(line, "child"); });
  const pid_t pid =
      clone(Child::Main, elsewhere.stack_top(), flags, &elsewhere);
  outside.Check(elsewhere.Started(pid), "clone({})", CloneFlags(flags));
  const Evidence cloned = outside.Hear(elsewhere);
  const Evidence stayed = outside.Show({Link("uts")});

  lesson.Begin("Inside: unshare(2) moves the caller, and its sibling stays");
  const std::string name = before.Value("hostname") == "container_001"
                               ? "container_002"
                               : "container_001";
  Child sibling([](Line& line) {
    line.Checkpoint();  // Until the caller has moved.
    Look(line, "sibling");
  });
  sibling.Fork();
  Child caller([&](Line& line) { Inside(line, name); });
  caller.Fork();
  const Evidence at_first = outside.Hear(caller);
  const Evidence inside = outside.Hear(caller);
  sibling.Release();
  const Evidence left = outside.Hear(sibling);

  lesson.Begin("The exception: CLONE_NEWPID is for the caller's children");
  Child exception(Exception);
  exception.Fork();
  const Evidence was = outside.Hear(exception);
  const Evidence first = outside.Hear(exception);
  const Evidence is = outside.Hear(exception);
  const Evidence second = outside.Hear(exception);
  exception.Finish();

  lesson.Begin("A process with a second thread keeps its user namespace");
  const Outcome thread_decides = lesson.Attempt([&] {
    Child one([](Line& line) { TryUser(line, "alone"); });
    one.Fork();
    const Evidence alone = outside.Hear(one);
    one.Finish();
    Child two(TryUserWithTwoThreads);
    two.Fork();
    const Evidence threaded = outside.Hear(two);
    two.Finish();
    return alone.Value("threads") == "1" && alone.Value("errno") == "0" &&
           threaded.Value("threads") == "2" &&
           threaded.Value("errno") == "EINVAL";
  });

  lesson.Begin("Outside again, with the caller still where it went");
  const Evidence after = outside.Show({Link("uts"), Hostname()});
  lesson.Compare(before, inside, after);

  const Kind& uts = KindOf(CLONE_NEWUTS);
  const NamespaceId home = NamespaceOf(getpid(), uts);
  lesson.Claim("clone(2) puts the child in a new namespace; its caller stays.",
               NamespaceOf(elsewhere.pid(), uts) != home &&
                   cloned.Value("namespace") != stayed.Value("namespace") &&
                   stayed.Value("namespace") == before.Value("namespace"));
  lesson.Claim(
      "unshare(2) puts the caller in a new namespace; it keeps its PID.",
      NamespaceOf(caller.pid(), uts) != home &&
          at_first.Value("namespace") == before.Value("namespace") &&
          inside.Value("hostname") == name &&
          inside.Value("PID") == at_first.Value("PID"));
  lesson.Claim("Its sibling does not follow.",
               NamespaceOf(sibling.pid(), uts) == home &&
                   left.Value("hostname") == before.Value("hostname"));
  lesson.Claim(
      "unshare(CLONE_NEWPID) does not move the caller: its next child is the "
      "first in the new namespace, PID 1.",
      is.Value("namespace") == was.Value("namespace") &&
          is.Value("PID") == was.Value("PID") && first.Value("PID") == "1" &&
          first.Value("namespace") == is.Value("next child") &&
          first.Value("namespace") != was.Value("namespace"));
  lesson.Claim(
      "When PID 1 has ended, the caller can have no more children (ENOMEM).",
      second.Value("errno") == "ENOMEM");
  lesson.Claim(
      "A process with a second thread may not unshare its user namespace "
      "(EINVAL).",
      thread_decides);

  elsewhere.Finish();
  sibling.Finish();
  lesson.Keep(std::move(caller));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "unshare",
                           .title = "unshare: the caller itself moves",
                           .man_page = "unshare(2)"},
                          steps::Teach);
}
