// UTS namespace: a hostname of one's own.                 uts_namespaces(7)
//
// Two children call the machine by a new name: one shares the UTS namespace
// of its parent, the other has one of its own. The lesson claims:
//
//   1. Without CLONE_NEWUTS, a child's new names are its parent's too.
//   2. With it, the child is in another UTS namespace.
//   3. That namespace begins with a copy of the old names.
//   4. Inside, uname(2) and /proc give the new names.
//   5. Outside, all of them give the old ones, before and after.
//   6. Root of a user namespace may not rename (EPERM) in a UTS namespace
//      that it does not own.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:uts                the lesson
//   bazel run //lessons:uts -- --shell     and a shell inside
//   bazel run //lessons:uts -- --help      all options

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>

#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

struct Names {
  std::string host;
  std::string domain;
};

// Whether every source of `evidence` answers with these names.
bool Says(const Evidence& evidence, const Names& names) {
  return evidence.AllSay("hostname", names.host) &&
         evidence.AllSay("domain name", names.domain);
}

// The evidence: what a process is told when it asks for its names.
Evidence Ask() {
  utsname names = {};
  Check(uname(&names), "uname()");
  const Finding file = FromFile("hostname", "/proc/sys/kernel/hostname");
  return {
      {"hostname", names.nodename, "uname(2)"},
      FromTool({"hostname"}, file),
      file,
      {"domain name", names.domainname, "uname(2)"},
      FromFile("domain name", "/proc/sys/kernel/domainname"),
      FromLink("namespace", "/proc/self/ns/uts"),
  };
}

// The act: the same in every child, whatever its flags were. A Side shows
// the calls that it checks: here is what they returned.
void Rename(Side& side, const Names& names) {
  int result = sethostname(names.host.data(), names.host.size());
  side.Check(result, "sethostname(\"{}\", {})", names.host,
             names.host.size());

  result = setdomainname(names.domain.data(), names.domain.size());
  side.Check(result, "setdomainname(\"{}\", {})", names.domain,
             names.domain.size());
}

// The control. This process stands in for the host, in a UTS namespace that
// is thrown away, and its child, cloned without CLONE_NEWUTS, shares it.
void Control(Line& line, const Names& names) {
  Child child([&](Line& to_parent) {
    Side side("child", to_parent);
    Rename(side, names);
    side.Show({FromLink("namespace", "/proc/self/ns/uts")});
  });
  const int flags = SIGCHLD;
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  Side parent("parent", line);
  parent.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  parent.Hear(child);
  child.Finish();
  parent.Show(Ask());
  line.Checkpoint();
}

// The experiment, in a UTS namespace of its own.
void Inside(Line& line, const Names& names) {
  Side inside("inside", line);
  inside.Show(Ask());
  Rename(inside, names);
  inside.Show(Ask());
  line.Checkpoint();
}

// Root of a new user namespace: in the host's UTS namespace, where it sets
// the name that the host has already, and then in one of its own.
void Root(Line& line, const Ids& ids, const Names& old,
          const Names& names) {
  MapToRoot(ids);
  Side root("root", line);
  int result = sethostname(old.host.data(), old.host.size());
  const int refusal = root.Try(result, "sethostname(\"{}\", {})", old.host,
                               old.host.size());
  root.Show({{"uid", fmt::to_string(geteuid()), "geteuid(2)"},
             {"errno", ErrnoName(refusal), "sethostname(2)"},
             FromLink("user", "/proc/self/ns/user"),
             FromOwner("UTS owner", "/proc/self/ns/uts")});

  result = unshare(CLONE_NEWUTS);
  root.Check(result, "unshare({})", CloneFlags(CLONE_NEWUTS));
  Rename(root, names);
  root.Show({FromOwner("UTS owner", "/proc/self/ns/uts")});
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the names of this machine");
  const Evidence before = outside.Show(Ask());
  const Names old = {before.Value("hostname"), before.Value("domain name")};
  // New names, even where this is the shell of another run of this lesson.
  const Names names = old.host == "container_001"
                          ? Names{"container_002", "domain_002"}
                          : Names{"container_001", "domain_001"};

  lesson.Begin("Control: without CLONE_NEWUTS a child renames its parent");
  lesson.Note(
      "The parent stands in for the host, so it gets a namespace of its "
      "own; its child does not.");
  const int flags = CLONE_NEWUTS | SIGCHLD;
  Child control([&](Line& line) { Control(line, names); });
  const pid_t parent =
      clone(Child::Main, control.stack_top(), flags, &control);
  outside.Check(control.Started(parent), "clone({})", CloneFlags(flags));
  // Hear() passes on what the child tells, its next evidence included.
  const Evidence shared_child = outside.Hear(control);
  const Evidence shared_parent = outside.Hear(control);
  lesson.Predict(
      fmt::format("Next, a child in a new UTS namespace takes the name {}. "
                  "What does `hostname` print outside after that?",
                  names.host),
      {names.host, old.host});

  lesson.Begin("Inside: with CLONE_NEWUTS a child renames only itself");
  Child child([&](Line& line) { Inside(line, names); });
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  outside.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  const Evidence copy = outside.Hear(child);
  const Evidence inside = outside.Hear(child);

  lesson.Begin("Being root is not enough: a UTS namespace has an owner");
  const Ids ids = Ids::OfCaller();
  const Outcome owner_decides = lesson.Attempt([&] {
    const int user = CLONE_NEWUSER | SIGCHLD;
    Child root([&](Line& line) { Root(line, ids, old, names); });
    const pid_t root_pid =
        clone(Child::Main, root.stack_top(), user, &root);
    outside.Check(root.Started(root_pid), "clone({})", CloneFlags(user));
    const Evidence refused = outside.Hear(root);
    const Evidence allowed = outside.Hear(root);
    root.Finish();
    return refused.Value("uid") == "0" &&
           refused.Value("errno") == "EPERM" &&
           refused.Value("UTS owner") != refused.Value("user") &&
           allowed.Value("UTS owner") == refused.Value("user");
  });

  lesson.Begin("Outside again, with the renamed child still there");
  const Evidence after = outside.Show(Ask());
  lesson.Answer(after.Value("hostname"),
                "Each UTS namespace has names of its own.");
  lesson.Compare(before, inside, after);

  const Kind& uts = KindOf(CLONE_NEWUTS);
  lesson.Claim(
      "Without CLONE_NEWUTS, a child's new names are its parent's too.",
      shared_child.Value("namespace") == shared_parent.Value("namespace") &&
          Says(shared_parent, names));
  lesson.Claim("With it, the child is in another UTS namespace.",
               NamespaceOf(child.pid(), uts) != NamespaceOf(getpid(), uts));
  lesson.Claim("That namespace begins with a copy of the old names.",
               Says(copy, old));
  lesson.Claim("Inside, uname(2) and /proc give the new names.",
               Says(inside, names));
  lesson.Claim("Outside, all of them give the old ones, before and after.",
               Says(before, old) && Says(after, old));
  lesson.Claim(
      "Root of a user namespace may not rename (EPERM) in a UTS namespace "
      "that it does not own.",
      owner_decides);

  // Not sooner: when a namespace ends, its inode number is free again.
  control.Finish();
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {.name = "uts",
       .title = "UTS namespace: a hostname of one's own",
       .man_page = "uts_namespaces(7)"},
      steps::Teach);
}
