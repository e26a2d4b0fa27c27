// clone: a child in a new namespace.                               clone(2)
//
//   bazel run //lessons:clone                the lesson
//   bazel run //lessons:clone -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>

#include "common/program/program.h"
#include "lessons/clone_tables.h"

namespace steps {
namespace {

alignas(16) std::array<char, 1 << 18> stack;
void* const top = stack.data() + stack.size();

// What a child tells: where the frames of two functions are, in bytes below
// the top, and in which kinds it differs from its parent.
struct Report {
  long frame, callee;
  int differs;
};

long BelowTop(void* frame) {
  return static_cast<char*>(top) - static_cast<char*>(frame);
}

[[gnu::noinline]] long Callee() {
  return BelowTop(__builtin_frame_address(0));
}

// The function in which a child begins, and with which it ends. It returns
// no success: where clone(2) answers 0 and makes no child, this is the
// lesson.
int Child(void* pipe) {
  const Report report = {
      BelowTop(__builtin_frame_address(0)), Callee(),
      Difference(NamespacesOf(getppid()), NamespacesOf(getpid()))};
  MUST(write, *static_cast<int*>(pipe), &report, sizeof report);
  return EXIT_FAILURE;
}

// What a child has told when it has ended: zeros if it has told nothing.
Report Await(pid_t child, int pipe) {
  MUST(waitpid, child, nullptr, __WALL);
  Report report = {};
  const ssize_t size = read(pipe, &report, sizeof report);
  return size == sizeof report ? report : Report{};
}

auto Frame(const char* label, long below) {
  return Probe{label, "__builtin_frame_address(0)",
               [below] { return fmt::format("{} bytes below top", below); }};
}

auto Differs(int kinds) {
  return Probe{"differs in", "stat(2)", [kinds] { return KindNames(kinds); }};
}

int DifferenceOf(const Process& child) {
  return Difference(NamespacesOf(getpid()), NamespacesOf(child.pid()));
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();
  const Evidence before = Process::Quiet().Ask(LinksOf(outside.pid()));
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_NONBLOCK | O_CLOEXEC);
  auto [told, fd] = ends;

  lesson.Step(
      "Before: eight kinds of namespace, and a flag for each",
      "`since` is the first kernel in which it isolated all of this.");
  lesson.Show(KindTable());

  lesson.Step("Control: without a flag, a child shares every namespace",
              "`Child` is the function in which it begins, `top` the end of "
              "its stack. A stack grows down: each call is lower.");
  const Report plain = Await(CALL(clone, Child, top, SIGCHLD, &fd), told);
  outside.Ask(Frame("frame of Child", plain.frame));
  outside.Ask(Frame("a callee's", plain.callee));
  lesson.Claim("A stack is handed over by its top, because it grows down.",
               0 < plain.frame && plain.frame < plain.callee);
  outside.Ask(Differs(plain.differs));
  lesson.Claim("Without a flag, a child shares every namespace.",
               plain.differs == 0 && plain.frame != 0);

  lesson.Predict(
      "A child is cloned with CLONE_NEWUTS alone. In which kinds does it "
      "differ from its parent?",
      {"uts", "uts pid", "uts user", "none, until it changes its name"});

  lesson.Step(
      "With one flag, a child differs in one kind",
      "A row for each child. `new`: its namespace of this kind is not "
      "its parent's.");
  std::map<int, int> differs;
  const Outcome each = lesson.Attempt([&] {
    for (const Kind& kind : Kinds()) {
      if (kind.flag == CLONE_NEWTIME) continue;  // The next step.
      differs[kind.flag] = DifferenceOf(outside.Clone("child", kind.flag));
    }
    return std::ranges::all_of(
        differs, [](const auto& row) { return row.first == row.second; });
  });
  lesson.Show(Matrix(differs));
  lesson.Answer(differs.contains(CLONE_NEWUTS)
                    ? KindNames(differs[CLONE_NEWUTS])
                    : "not allowed here",
                "Its PID is new, its PID namespace is not. The new namespace "
                "is owned by the user namespace that both are in.");
  lesson.Claim("With one flag, it differs in that kind and in no other.",
               each);

  lesson.Step("The eighth flag, CLONE_NEWTIME, is for clone3(2)",
              fmt::format("To clone(2), its bit, {}, is part of the exit "
                          "signal: with SIGCHLD, {}, it makes {}. waitpid(2) "
                          "looks for SIGCHLD only.",
                          CLONE_NEWTIME, SIGCHLD, CLONE_NEWTIME | SIGCHLD));
  const pid_t odd = CALL(clone, Child, top, CLONE_NEWTIME | SIGCHLD, &fd);
  const int error = TRY(waitpid, odd, nullptr, 0);
  const Report same = Await(odd, told);
  outside.Ask(Differs(same.differs));
  lesson.Claim("To clone(2), CLONE_NEWTIME is a part of the exit signal.",
               error == ECHILD && same.differs == 0);
  const Outcome eighth = lesson.Attempt([&] {
    const Process child = outside.Clone("child", CLONE_NEWTIME);
    return outside.Ask(Differs(DifferenceOf(child))) == "time";
  });
  lesson.Claim("clone3(2) takes it for a flag.", eighth);

  lesson.Step("With all flags at once, a child shares none");
  int allowed = eighth.holds ? CLONE_NEWTIME : 0;
  for (const auto& [flag, kinds] : differs) allowed |= flag;
  Process inside = outside.Clone("inside", allowed);
  const int all = DifferenceOf(inside);
  outside.Ask(Differs(all));
  const Outcome& tried = each.holds ? eighth : each;
  lesson.Claim("With all flags at once, it shares none.",
               tried.holds ? Outcome{all == AllFlags()} : tried);
  // So that a shell inside is root.
  if ((allowed & CLONE_NEWUSER) != 0) inside.MapRoot();

  lesson.Step(
      "Flags that exclude each other",
      "CLONE_FS shares the root and current directories, CLONE_SYSVSEM "
      "what semop(2) is to undo.");
  Await(CALL(clone, Child, top, CLONE_FS | CLONE_SYSVSEM | SIGCHLD, &fd),
        told);
  const std::array refused = {
      TRY(clone, Child, top, CLONE_NEWNS | CLONE_FS | SIGCHLD, &fd),
      TRY(clone, Child, top, CLONE_NEWUSER | CLONE_FS | SIGCHLD, &fd),
      TRY(clone, Child, top, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, &fd)};
  lesson.Claim(
      "CLONE_FS excludes a new mount or user namespace, and CLONE_SYSVSEM "
      "a "
      "new IPC namespace: EINVAL.",
      each.holds ? Outcome{refused == std::array{EINVAL, EINVAL, EINVAL}}
                 : each);

  lesson.Compare(before, Process::Quiet().Ask(LinksOf(inside.pid())),
                 Process::Quiet().Ask(LinksOf(outside.pid())));
  lesson.Remember(
      "clone(2) starts a child in a new namespace for each flag, and in "
      "its "
      "parent's otherwise. The caller stays where it is.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"clone", "clone: a child in a new namespace", "clone(2)"},
      steps::Teach, argc, argv);
}
