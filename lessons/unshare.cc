// unshare: the caller itself moves.                              unshare(2)
//
// A process leaves the UTS namespace that it shares with a sibling, and
// takes a new name in another. Then the exception: a PID namespace takes in
// only the caller's children. The lesson claims:
//
//   1. clone(2) puts the child in a new namespace; its caller stays.
//   2. unshare(2) puts the caller in a new namespace; it keeps its PID.
//   3. Its sibling does not follow.
//   4. After unshare(CLONE_NEWPID) the caller stays; its next child is
//      PID 1.
//   5. When PID 1 has ended, the caller can have no more children (ENOMEM).
//   6. A process with two threads may not unshare its user namespace
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
#include <string>
#include <thread>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

// The evidence: which process this is, where it is, and its name there.
Finding Pid() { return {"PID", fmt::to_string(getpid()), "getpid(2)"}; }

Finding Link(const std::string& kind) {
  return FromLink("namespace", "/proc/self/ns/" + kind);
}

Finding Hostname() {
  return FromFile("hostname", "/proc/sys/kernel/hostname");
}

Finding NextChild() {
  return FromLinkForChildren("next child",
                             "/proc/self/ns/pid_for_children");
}

Finding Threads() { return FromField("Threads", "/proc/self/status"); }

// A child that looks where it is, and stays there.
void Look(Line& line, const std::string& name, const std::string& kind) {
  Side(name, line).Show({Pid(), Link(kind)});
  line.Checkpoint();
}

// Starts a child and passes on what it finds. A Side shows the calls that
// it checks: here is what they returned.
Evidence Start(Side& side, Child& child, int flags) {
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  side.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  return side.Hear(child);
}

// The act: a plain child moves itself.
void Inside(Line& line, const std::string& name) {
  Side inside("inside", line);
  inside.Show({Pid(), Link("uts")});
  int result = unshare(CLONE_NEWUTS);
  inside.Check(result, "unshare(CLONE_NEWUTS)");
  result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());
  inside.Show({Pid(), Link("uts"), Hostname()});
  line.Checkpoint();
}

// The exception: the caller stays, and its children go.
void Exception(Line& line) {
  Side caller("caller", line);
  caller.Show({Pid(), Link("pid"), NextChild()});
  const int result = unshare(CLONE_NEWPID);
  caller.Check(result, "unshare(CLONE_NEWPID)");
  caller.Show({NextChild()});

  Child first([](Line& to_parent) { Look(to_parent, "first", "pid"); });
  Start(caller, first, SIGCHLD);
  // The control for what follows: while PID 1 lives, there may be more.
  Child second([](Line& to_parent) { Look(to_parent, "second", "pid"); });
  Start(caller, second, SIGCHLD);
  second.Finish();
  caller.Show({Pid(), Link("pid"), NextChild()});

  first.Release();
  caller.Show({{"PID 1", DescribeStatus(first.Wait()), "waitpid(2)"}});
  Child third([](Line&) {});
  const pid_t pid = clone(Child::Main, third.stack_top(), SIGCHLD, &third);
  const int error = caller.Try(third.Started(pid), "clone(SIGCHLD)");
  caller.Show({{"errno", ErrnoName(error), "clone(2)"}});
}

// One process, before and after it has a second thread. Not after the end
// of that thread: for a moment after join() the kernel may still count it.
void User(Line& line) {
  const Ids ids = Ids::OfCaller();
  Side process("process", line);
  int result = unshare(CLONE_NEWUSER);
  process.Check(result, "unshare(CLONE_NEWUSER)");
  process.Show({Threads()});
  // Or the next one would be refused even without a thread.
  MapToRoot(ids);

  std::thread(pause).detach();  // It ends with the process.
  result = unshare(CLONE_NEWUSER);
  const int error = process.Try(result, "unshare(CLONE_NEWUSER)");
  process.Show({Threads(), {"errno", ErrnoName(error), "unshare(2)"}});
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the UTS namespace of this process");
  const Evidence before = outside.Show({Link("uts"), Hostname()});
  const std::string& home = before.Value("namespace");

  lesson.Begin("Control: clone(2) moves the child, and the caller stays");
  Child elsewhere([](Line& line) { Look(line, "child", "uts"); });
  const Evidence cloned = Start(outside, elsewhere, CLONE_NEWUTS | SIGCHLD);
  const Evidence stayed = outside.Show({Link("uts")});

  lesson.Begin(
      "Inside: unshare(2) moves the caller, and its sibling stays");
  // A new name, even where this is the shell of another run of this lesson.
  const bool taken = before.Value("hostname") == "container_001";
  const std::string name = taken ? "container_002" : "container_001";
  Child sibling([](Line& line) {
    line.Checkpoint();  // Until the caller has moved.
    Side("sibling", line).Show({Pid(), Link("uts"), Hostname()});
  });
  sibling.Fork();
  Child caller([&](Line& line) { Inside(line, name); });
  caller.Fork();
  const Evidence at_first = outside.Hear(caller);
  const Evidence inside = outside.Hear(caller);
  sibling.Release();
  const Evidence left = outside.Hear(sibling);
  lesson.Predict(
      "Next, a process calls unshare(CLONE_NEWPID), and its first child "
      "comes and ends. Which errno has its next clone(2), or is it 0?",
      {ErrnoName(0), ErrnoName(EPERM), ErrnoName(ENOMEM)});

  lesson.Begin("The exception: CLONE_NEWPID is for the caller's children");
  Child exception(Exception);
  exception.Fork();
  const Evidence was = outside.Hear(exception);
  outside.Hear(exception);  // There is no next child yet.
  const Evidence first = outside.Hear(exception);
  const Evidence second = outside.Hear(exception);
  const Evidence is = outside.Hear(exception);
  outside.Hear(exception);  // PID 1 has ended.
  const Evidence third = outside.Hear(exception);
  exception.Finish();
  lesson.Answer(
      third.Value("errno"),
      "The first child is PID 1, and without its PID 1 a namespace "
      "takes nobody in.");

  lesson.Begin("A process with a second thread keeps its user namespace");
  const Outcome thread_decides = lesson.Attempt([&] {
    Child process(User);
    process.Fork();
    const Evidence alone = outside.Hear(process);
    const Evidence threaded = outside.Hear(process);
    process.Finish();
    return alone.Value("Threads") == "1" &&
           threaded.Value("Threads") == "2" &&
           threaded.Value("errno") == "EINVAL";
  });

  lesson.Begin("Outside again, with the caller still where it went");
  const Evidence after = outside.Show({Link("uts"), Hostname()});
  lesson.Compare(before, inside, after);

  lesson.Claim(
      "clone(2) puts the child in a new namespace; its caller stays.",
      cloned.Value("namespace") != home &&
          stayed.Value("namespace") == home);
  lesson.Claim(
      "unshare(2) puts the caller in a new namespace; it keeps its PID.",
      inside.Value("namespace") != at_first.Value("namespace") &&
          inside.Value("PID") == at_first.Value("PID"));
  lesson.Claim("Its sibling does not follow.",
               left.Value("namespace") == at_first.Value("namespace") &&
                   left.Value("hostname") == before.Value("hostname"));
  lesson.Claim(
      "After unshare(CLONE_NEWPID) the caller stays; its next child is "
      "PID 1.",
      is.Value("namespace") == was.Value("namespace") &&
          is.Value("PID") == was.Value("PID") &&
          first.Value("PID") == "1" &&
          first.Value("namespace") == is.Value("next child") &&
          is.Value("next child") != was.Value("next child"));
  lesson.Claim(
      "When PID 1 has ended, the caller can have no more children "
      "(ENOMEM).",
      second.Value("PID") == "2" && third.Value("errno") == "ENOMEM");
  lesson.Claim(
      "A process with two threads may not unshare its user namespace "
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
