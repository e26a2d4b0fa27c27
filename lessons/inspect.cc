// inspect: which namespaces is a process in?                  namespaces(7)
//
// The links in /proc/PID/ns tell. The lesson looks at those of this
// process, of a forked child, of a child in a new UTS namespace, and of a
// process that stays while its children go elsewhere. It claims:
//
//   1. A process has a link for each kind in /proc/PID/ns.
//   2. A forked child shares all its namespaces with its parent.
//   3. With CLONE_NEWUTS a child differs in uts, and in nothing else.
//   4. The same device and inode means the same namespace.
//   5. pid_for_children says where the next child will be.
//   6. So does time_for_children.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:inspect                the lesson
//   bazel run //lessons:inspect -- --shell     and a shell inside
//   bazel run //lessons:inspect -- --help      all options
//   bazel run //lessons:inspect -- 1 4242      compare these processes

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/process_table.h"
#include "common/program.h"

namespace steps {
namespace {

// In which kinds the process `pid` and this one are in the same namespace,
// by device and inode.
Evidence Compare(pid_t pid) {
  const auto here = NamespacesOf(getpid());
  const auto there = NamespacesOf(pid);
  return {{"same", KindNames(Agreement(here, there)), "stat(2)"},
          {"different", KindNames(Difference(here, there)), "stat(2)"}};
}

// What a UTS namespace holds, and which one it is.
Evidence Uts() {
  utsname names = {};
  Check(uname(&names), "uname()");
  const auto [device, inode] = NamespaceOf(getpid(), KindOf(CLONE_NEWUTS));
  return {{"hostname", names.nodename, "uname(2)"},
          {"namespace", fmt::format("device {}, inode {}", device, inode),
           "stat(2)"}};
}

Finding Own(const Kind& kind) {
  return FromLink("own", fmt::format("/proc/self/ns/{}", kind.proc_name));
}

Finding Next(const Kind& kind) {
  return FromLinkForChildren(
      "next child",
      fmt::format("/proc/self/ns/{}_for_children", kind.proc_name));
}

// The act: a child, in new namespaces where `flags` say so.
pid_t Start(Side& side, Child& child, int flags) {
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  return side.Check(child.Started(pid), "clone({})", CloneFlags(flags));
}

// In a new UTS namespace: a forked child sees what is changed here.
void Inside(Line& line) {
  line.Checkpoint();  // Until its parent has looked at it.
  Side inside("inside", line);
  const Evidence old = inside.Show(Uts());
  // A new name, even where this is the shell of another run of this lesson.
  const std::string name = old.Value("hostname") == "container_001"
                               ? "container_002"
                               : "container_001";
  const int result = sethostname(name.data(), name.size());
  inside.Check(result, "sethostname(\"{}\", {})", name, name.size());

  Child member(
      [](Line& to_parent) { Side("member", to_parent).Show(Uts()); });
  Start(inside, member, SIGCHLD);
  inside.Hear(member);
  member.Finish();
  line.Checkpoint();
}

// After unshare(2) of this `kind` the caller stays where it is, and its
// children go elsewhere.
void Caller(Line& line, const Kind& kind) {
  Side caller("caller", line);
  caller.Show({Next(kind)});
  const int result = unshare(kind.flag);
  caller.Check(result, "unshare({})", CloneFlags(kind.flag));
  caller.Show({Own(kind), Next(kind)});

  const auto look = [&kind](Line& to_parent) {
    Side("child", to_parent).Show({Own(kind)});
    to_parent.Checkpoint();
  };
  Child first(look);
  Start(caller, first, SIGCHLD);
  caller.Hear(first);
  caller.Show({Next(kind)});
  Child second(look);
  Start(caller, second, SIGCHLD);
  caller.Hear(second);
  second.Finish();
  first.Finish();
}

// Whether the link says where the next child will be: at once, or, in a new
// PID namespace, when the first child is there.
bool Foretells(Side& outside, const Kind& kind) {
  Child caller([&kind](Line& line) { Caller(line, kind); });
  caller.Fork();
  const Evidence before = outside.Hear(caller);
  const Evidence unshared = outside.Hear(caller);
  const Evidence first = outside.Hear(caller);
  const Evidence later = outside.Hear(caller);
  const Evidence second = outside.Hear(caller);
  caller.Finish();
  const std::string& own = unshared.Value("own");
  const bool at_once = unshared.Value("next child") != "ENOENT";
  const std::string& next =
      (at_once ? unshared : later).Value("next child");
  return before.Value("next child") == own && first.Value("own") == next &&
         second.Value("own") == next && next != own;
}

// Whether each link gives the inode number that stat(2) gives.
bool HaveInodes(const Evidence& links, pid_t pid) {
  return std::ranges::all_of(NamespacesOf(pid), [&](const auto& entry) {
    const Kind& kind = KindOf(entry.first);
    return links.Value(kind.name) ==
           fmt::format("{}:[{}]", kind.proc_name, entry.second.inode);
  });
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: a link for each kind of namespace");
  const Evidence before = outside.Show(FromLinks("self"));
  lesson.Predict(
      "Next, a child is forked. In which kinds does it get a namespace of "
      "its own?",
      {"all of them", KindNames(CLONE_NEWPID), KindNames(0)});

  lesson.Begin("Control: a forked child shares them all");
  Child control([](Line& line) { line.Checkpoint(); });
  const Evidence all =
      outside.Show(Compare(Start(outside, control, SIGCHLD)));
  lesson.Answer(all.Value("different"),
                "A child is where its parent is, unless a flag says "
                "otherwise.");

  lesson.Begin("Inside: with CLONE_NEWUTS a child differs in uts alone");
  Child child(Inside);
  const pid_t pid = Start(outside, child, CLONE_NEWUTS | SIGCHLD);
  const Evidence all_but_uts = outside.Show(Compare(pid));
  child.Release();

  lesson.Begin("The same device and inode: the same namespace");
  const Evidence inside = outside.Hear(child);
  const Evidence member = outside.Hear(child);
  const Evidence other = outside.Show(Uts());

  lesson.Begin(
      "The next child: pid_for_children knows after the first one");
  const Outcome pid_link = lesson.Attempt(
      [&] { return Foretells(outside, KindOf(CLONE_NEWPID)); });

  lesson.Begin("The next child: time_for_children knows at once");
  const Outcome time_link = lesson.Attempt(
      [&] { return Foretells(outside, KindOf(CLONE_NEWTIME)); });

  lesson.Begin("Outside again, with the renamed child still there");
  const Evidence links = FromLinks(fmt::to_string(pid));
  lesson.Compare(before, links, FromLinks("self"));

  lesson.Claim("A process has a link for each kind in /proc/PID/ns.",
               HaveInodes(before, getpid()) && HaveInodes(links, pid));
  lesson.Claim("A forked child shares all its namespaces with its parent.",
               all.Value("different") == KindNames(0));
  lesson.Claim(
      "With CLONE_NEWUTS a child differs in uts, and in nothing else.",
      all_but_uts.Value("different") == KindNames(CLONE_NEWUTS));
  lesson.Claim("The same device and inode means the same namespace.",
               member.Value("namespace") == inside.Value("namespace") &&
                   member.Value("hostname") != inside.Value("hostname") &&
                   other.Value("namespace") != inside.Value("namespace") &&
                   other.Value("hostname") == inside.Value("hostname"));
  lesson.Claim("pid_for_children says where the next child will be.",
               pid_link);
  lesson.Claim("So does time_for_children.", time_link);

  control.Finish();
  lesson.Keep(std::move(child));
}

// What the lesson does instead where the reader names processes.
int CompareNamed(Lesson& lesson, const std::vector<std::string>& pids) {
  const std::vector<NamedProcess> processes = LookAt(pids);
  lesson.Begin("The inode numbers of their namespaces");
  for (const Table& table : CompareProcesses(processes)) lesson.Show(table);
  lesson.Show(DrawProcesses(processes));
  return 0;
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {.name = "inspect",
       .title = "inspect: which namespaces is a process in?",
       .man_page = "namespaces(7)"},
      steps::Teach,
      steps::Task{.words = "PID…",
                  .help = "compare these processes",
                  .example = "1 4242",
                  .run = steps::CompareNamed});
}
