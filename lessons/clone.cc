// clone: a child in a new namespace.                               clone(2)
//
// A child shares the namespaces of its parent, but for the kinds whose
// flags clone(2) was given. The lesson claims:
//
//   1. Without a flag, a child shares every namespace.
//   2. With one flag, it differs in that kind and in no other.
//   3. With all flags at once, it shares none.
//   4. To clone(2), CLONE_NEWTIME is a part of the exit signal.
//   5. clone3(2) takes it for a flag.
//   6. A stack is handed over by its top, because it grows down.
//   7. CLONE_FS excludes a new mount or user namespace, and CLONE_SYSVSEM
//      a new IPC namespace: EINVAL.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:clone                the lesson
//   bazel run //lessons:clone -- --shell     and a shell inside
//   bazel run //lessons:clone -- --help      all options

#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

// A row for each child, whose name and difference this takes, and a column
// for each kind: "new" where the child is not where its parent is.
Table Matrix(const std::vector<std::pair<std::string, int>>& children) {
  Table table = {{"flag"}, {}};
  for (const Kind& kind : Kinds()) table.header.emplace_back(kind.name);
  for (const auto& [name, differs] : children) {
    table.rows.push_back({name});
    for (const Kind& kind : Kinds()) {
      table.rows.back().emplace_back((differs & kind.flag) != 0 ? "new"
                                                                : "-");
    }
  }
  return table;
}

// The signal that the end of a process will send: proc(5), field 38.
Finding ExitSignal(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  std::ifstream fields(path);
  std::string field;
  std::getline(fields, field, ')');  // "4711 (name": the first two.
  for (int number = 3; number <= 38; ++number) fields >> field;
  return {"exit signal", field, path + ", field 38"};
}

// Where this function's part of the stack is: below that of its caller.
[[gnu::noinline]] void* Callee() { return __builtin_frame_address(0); }

void ShowStack(Line& line) {
  const std::string caller = fmt::to_string(__builtin_frame_address(0));
  const std::string callee = fmt::to_string(Callee());
  Side child("child", line);
  child.Show({{"caller", caller, "its frame address"},
              {"callee", callee, "its frame address"}});
  line.Checkpoint();
}

// What a child does: it is there, so that its parent can look at it.
void Stay(Line& line) { line.Checkpoint(); }

// The act. Gives the flags of the kinds in which the child differs. A Side
// shows the calls that it checks: here is what they returned.
int Clone(Side& side, Child& child, int flags) {
  flags |= SIGCHLD;
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  side.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  return Difference(NamespacesOf(getpid()), NamespacesOf(pid));
}

// The same with the younger call, in which the exit signal has a place of
// its own. glibc does not wrap it. Without a stack it works like fork(2):
// the child goes on right here, on a copy of its parent's.
int Clone3(Side& side, Child& child, int flags) {
  clone_args args = {};
  args.flags = static_cast<unsigned>(flags);
  args.exit_signal = SIGCHLD;
  const auto pid =
      static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) Child::Main(&child);  // It never comes back.
  side.Check(child.Started(pid),
             "clone3({{flags={}, exit_signal=SIGCHLD}}, {})",
             CloneFlags(flags), sizeof args);
  return Difference(NamespacesOf(getpid()), NamespacesOf(pid));
}

// The errno with which clone(2) refuses these flags, or 0. EPERM is not
// about the flags: a filter does not let them through.
int Refusal(Side& side, int flags) {
  Child child(Stay);
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  const std::string call = fmt::format("clone({})", CloneFlags(flags));
  const int error = side.Try(child.Started(pid), "{}", call);
  if (error == EPERM) throw CallError(error, call);
  return error;
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: eight kinds of namespace, and a flag for each");
  Table kinds = {{"kind", "flag", "isolates", "since", "manual"}, {}};
  for (const Kind& kind : Kinds()) {
    const auto cells = {kind.name, kind.flag_name, kind.isolates,
                        kind.since, kind.man_page};
    kinds.rows.emplace_back(cells.begin(), cells.end());
  }
  lesson.Show(std::move(kinds));
  const Evidence before = outside.Show(FromLinks("self"));

  lesson.Begin("Control: without a flag a child shares every namespace");
  Child control(Stay);
  const int none = Clone(outside, control, 0);
  lesson.Show(Matrix({{"(none)", none}}));

  lesson.Begin("Inside: with one flag a child differs in one kind");
  std::vector<std::pair<std::string, int>> rows;
  int allowed = 0;
  Outcome each = {true, ""};
  Outcome eighth = {true, ""};
  for (const Kind& kind : Kinds()) {
    const Outcome one = lesson.Attempt([&] {
      Child child(Stay);
      const auto call = kind.flag == CLONE_NEWTIME ? Clone3 : Clone;
      rows.emplace_back(kind.flag_name, call(outside, child, kind.flag));
      allowed |= kind.flag;
      return rows.back().second == kind.flag;
    });
    Outcome& outcome = kind.flag == CLONE_NEWTIME ? eighth : each;
    if (outcome.holds != false && one.holds != true) outcome = one;
  }
  lesson.Show(Matrix(rows));

  lesson.Begin("All flags at once: a child that shares none");
  Child inside(Stay);
  const int differs =
      (eighth.holds ? Clone3 : Clone)(outside, inside, allowed);
  const std::string pid = fmt::to_string(inside.pid());
  // So that a shell inside is root.
  if ((allowed & CLONE_NEWUSER) != 0) {
    MapToRoot(Ids::OfCaller(), fmt::format("/proc/{}", inside.pid()));
  }
  lesson.Keep(std::move(inside));
  lesson.Show(Matrix({{"(all)", differs}}));
  lesson.Predict(
      "Next, clone(2) is called with CLONE_NEWTIME | SIGCHLD. Which new "
      "namespace does the child get, or which errno the caller?",
      {KindNames(CLONE_NEWTIME), ErrnoName(EINVAL), KindNames(0)});

  lesson.Begin("Why the eighth flag needs clone3(2)");
  const std::string both = fmt::to_string(CLONE_NEWTIME | SIGCHLD);
  lesson.Note(fmt::format(
      "To clone(2), the lowest eight bits of its flags are the exit "
      "signal. CLONE_NEWTIME, {}, is one of them: with SIGCHLD, {}, it "
      "makes {}.",
      CLONE_NEWTIME, SIGCHLD, both));
  Child odd(Stay);
  const int nothing = Clone(outside, odd, CLONE_NEWTIME);
  const Evidence end = outside.Show({ExitSignal(odd.pid())});
  lesson.Show(Matrix({{"CLONE_NEWTIME", nothing}}));
  lesson.Answer(KindNames(nothing),
                "clone(2) takes that bit for a part of the exit signal.");

  lesson.Begin("A stack is handed over by its top, because it grows down");
  Child deep(ShowStack);
  const std::string top = fmt::to_string(deep.stack_top());
  outside.Show({{"stack top", top, "Child::stack_top()"}});
  Clone(outside, deep, 0);
  const Evidence stack = outside.Hear(deep);

  lesson.Begin("Flags that exclude each other");
  const Outcome exclusive = lesson.Attempt([&] {
    const std::vector<int> refusals = {
        Refusal(outside, CLONE_FS | CLONE_SYSVSEM | SIGCHLD),
        Refusal(outside, CLONE_NEWNS | CLONE_FS | SIGCHLD),
        Refusal(outside, CLONE_NEWUSER | CLONE_FS | SIGCHLD),
        Refusal(outside, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD)};
    return refusals == std::vector<int>{0, EINVAL, EINVAL, EINVAL};
  });

  lesson.Begin("Outside again, with the child of all flags still there");
  lesson.Compare(before, FromLinks(pid), FromLinks("self"));

  lesson.Claim("Without a flag, a child shares every namespace.",
               none == 0);
  lesson.Claim("With one flag, it differs in that kind and in no other.",
               each);
  const Outcome& tried = each.holds ? eighth : each;
  lesson.Claim("With all flags at once, it shares none.",
               tried.holds ? Outcome{differs == allowed, ""} : tried);
  lesson.Claim("To clone(2), CLONE_NEWTIME is a part of the exit signal.",
               nothing == 0 && end.Value("exit signal") == both);
  lesson.Claim("clone3(2) takes it for a flag.", eighth);
  // In hexadecimal, numbers of the same length sort as text.
  lesson.Claim("A stack is handed over by its top, because it grows down.",
               stack.Value("callee") < stack.Value("caller") &&
                   stack.Value("caller") < top);
  lesson.Claim(
      "CLONE_FS excludes a new mount or user namespace, and CLONE_SYSVSEM "
      "a new IPC namespace: EINVAL.",
      exclusive);
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "clone",
                           .title = "clone: a child in a new namespace",
                           .man_page = "clone(2)"},
                          steps::Teach);
}
