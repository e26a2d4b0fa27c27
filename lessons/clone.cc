// clone: a child in a new namespace.                               clone(2)
//
//   bazel run //lessons:clone                the lesson
//   bazel run //lessons:clone -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <utility>

#include "common/program/program.h"
#include "lessons/clone_tables.h"

namespace steps {

// What a child and its parent both see: in which kinds the child differs, -1
// before it has told, and the stack of the child.
struct Shared {
  int differs = -1;
  alignas(16) std::array<char, 1 << 15> stack;
};
static Shared* shared = nullptr;

static Shared* MakeShared() {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw CallError(errno, "mmap()");
  return new (memory) Shared;
}

// The function in which a child begins, and with which it ends. It returns
// no success: where clone(2) answers 0 and makes no child, this is the
// lesson.
static int Child(void*) {
  shared->differs = Difference(getppid());
  return EXIT_FAILURE;
}

// In which kinds a child differed that has ended.
static int Await(pid_t child) {
  MUST(waitpid, child, nullptr, __WALL);
  return std::exchange(shared->differs, -1);
}

static auto Differs(int kinds) {
  return Probe{"differs in", "stat(2)", [kinds] { return KindNames(kinds); }};
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();
  shared = MakeShared();
  void* const top = shared->stack.end();
  const Evidence before = LinksOf(outside.pid());

  lesson.Step("Before: eight kinds of namespace, and a flag for each",
              "`since` is the first kernel in which it isolated all this.");
  lesson.Show(KindTable());

  lesson.Step("Control: without a flag, a child shares every namespace",
              "`Child` is its function, and `top` is the end of its stack.");
  const int plain = Await(CALL(clone, Child, top, SIGCHLD, nullptr));
  const auto used =
      shared->stack.end() -
      std::ranges::find_if(shared->stack, [](char c) { return c != 0; });
  outside.Ask(Probe{"stack", "bytes below top", [used] { return used; }});
  lesson.Claim("A stack is handed over by its top, because it grows down.",
               0 < used && used < ssize(shared->stack));
  outside.Ask(Differs(plain));
  lesson.Claim("Without a flag, a child shares every namespace.", plain == 0);

  lesson.Predict("With CLONE_NEWUTS, in which kinds does a child differ?",
                 {"uts", "uts pid", "uts user", "none, until renamed"});

  lesson.Step("With one flag, a child differs in one kind",
              "`new`: it is not in its parent's namespace of this kind.");
  std::map<int, int> rows;
  const Outcome each = lesson.Attempt([&] {
    for (const Kind& kind : Kinds()) {
      rows[kind.flag] = Difference(outside.Clone("child", kind.flag).pid());
    }
    return std::ranges::all_of(
        rows, [](const auto& row) { return row.first == row.second; });
  });
  lesson.Show(Matrix(rows));
  const bool tried = rows.contains(CLONE_NEWUTS);
  lesson.Answer(tried ? KindNames(rows[CLONE_NEWUTS]) : "not allowed",
                "Its PID is new, and not its PID namespace.");
  lesson.Claim("With one flag, it differs in that kind and no other.", each);

  lesson.Step("CLONE_NEWTIME is for clone3(2), not for clone(2)",
              "For clone(2), this bit makes another exit signal of SIGCHLD.");
  const pid_t odd = CALL(clone, Child, top, CLONE_NEWTIME | SIGCHLD, nullptr);
  const int error = TRY(waitpid, odd, nullptr, 0);
  const auto same = outside.Ask(Differs(Await(odd)));
  lesson.Claim("To clone(2), CLONE_NEWTIME is a part of the exit signal.",
               error == ECHILD && same == "(none)");

  lesson.Step("With all flags at once, a child shares none");
  int flags = 0;
  for (const auto& [flag, kinds] : rows) flags |= flag;
  Process inside = outside.Clone("inside", flags);
  const auto all = outside.Ask(Differs(Difference(inside.pid())));
  lesson.Claim("With all flags at once, it shares none.",
               each.holds ? Outcome{all == KindNames(flags)} : each);
  // So that a shell inside is root.
  if ((flags & CLONE_NEWUSER) != 0) inside.MapRoot();

  lesson.Step("Flags that exclude each other",
              "CLONE_FS: a child shares its parent's root directory.");
  Await(CALL(clone, Child, top, CLONE_FS | SIGCHLD, nullptr));
  const std::array errors = {
      TRY(clone, Child, top, CLONE_NEWNS | CLONE_FS | SIGCHLD, nullptr),
      TRY(clone, Child, top, CLONE_NEWUSER | CLONE_FS | SIGCHLD, nullptr)};
  lesson.Claim("CLONE_FS excludes a new mount or user namespace (EINVAL).",
               tried ? Outcome{errors == std::array{EINVAL, EINVAL}} : each);

  lesson.Compare(before, LinksOf(inside.pid()), LinksOf(outside.pid()));
  lesson.Remember("clone(2): a child, and a new namespace for each flag.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"clone", "clone: a child in a new namespace", "clone(2)"},
      steps::Teach, argc, argv);
}
