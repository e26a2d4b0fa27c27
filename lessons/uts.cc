// UTS namespaces: a private hostname.                     uts_namespaces(7)
//
//   bazel run //lessons:uts                the lesson
//   bazel run //lessons:uts -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/program/program.h"

namespace steps {
namespace {

utsname Names() {
  utsname names = {};
  MUST(uname, &names);
  return names;
}

const Probe kHostname{
    "hostname", "uname(2), /proc, " + ToolSource("hostname"), [] {
      return Agreed({Names().nodename, RunTool({"hostname"}),
                     ReadText("/proc/sys/kernel/hostname")});
    }};
const Probe kDomain{"NIS domain", "uname(2)",
                    [] { return std::string(Names().domainname); }};
const Probe kNamespace{"UTS namespace", "/proc/self/ns/uts",
                       [] { return ReadLink("/proc/self/ns/uts"); }};

void Rename() {
  CALL(sethostname, "container_001", 13);
  CALL(setdomainname, "domain_001", 10);
}

// The name that the machine has already: nothing changes, even if this
// works.
int RenameMachine() {
  const utsname names = Names();
  return TRY(sethostname, names.nodename, std::strlen(names.nodename));
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Before: the names of this machine");
  const Evidence before = outside.Ask(kHostname, kDomain, kNamespace);

  lesson.Step("Control: without CLONE_NEWUTS, a child renames its parent",
              "`host` stands in for your machine. Its child shares its "
              "UTS namespace.");
  Process host = outside.StandIn("host", CLONE_NEWUTS);
  Process child = host.Clone("child", 0);
  child.Run(Rename);
  lesson.Claim(
      "Without CLONE_NEWUTS, a child's new name is its parent's, too.",
      host.Ask(kHostname) == "container_001");

  lesson.Predict(
      "A child is cloned with CLONE_NEWUTS. Which hostname does its new "
      "UTS namespace have before anybody sets one?",
      {before[kHostname], "(none)", "localhost", "a random ID"});

  lesson.Step("With CLONE_NEWUTS, a child starts with a copy of the names");
  Process inside = outside.Clone("inside", CLONE_NEWUTS);
  const Evidence copy = inside.Ask(kHostname, kDomain, kNamespace);
  lesson.Answer(copy[kHostname],
                "clone(2) copies the names. A random hostname is what "
                "Docker sets, not what the kernel does.");
  lesson.Claim("With CLONE_NEWUTS, a child is in a new UTS namespace.",
               copy[kNamespace] != before[kNamespace]);
  lesson.Claim("The namespace starts with a copy of its parent's names.",
               copy[kHostname] == before[kHostname] &&
                   copy[kDomain] == before[kDomain]);

  lesson.Step("The child renames itself, and only itself");
  inside.Run(Rename);
  const Evidence renamed = inside.Ask(kHostname, kDomain, kNamespace);
  lesson.Claim("Inside, the hostname and the NIS domain are the new ones.",
               renamed[kHostname] == "container_001" &&
                   renamed[kDomain] == "domain_001");
  const Evidence after = outside.Ask(kHostname, kDomain, kNamespace);
  lesson.Claim("Outside, they are the old ones.", after == before);

  lesson.Step(
      "Being root is not enough: a UTS namespace has an owner",
      "`root` is uid 0 in a new user namespace, still in the old UTS "
      "namespace.");
  const Outcome owner = lesson.Attempt([&] {
    Process root = outside.Clone("root", CLONE_NEWUSER);
    root.MapRoot();
    const int refused = root.Run(RenameMachine);
    root.Run([] { CALL(unshare, CLONE_NEWUTS); });
    root.MustDiffer(outside, CLONE_NEWUTS);
    root.Run(Rename);
    return refused == EPERM && root.Ask(kHostname) == "container_001";
  });
  lesson.Claim(
      "Root in a user namespace may rename only a UTS namespace it owns.",
      owner);

  lesson.Compare(before, renamed, after);
  lesson.Remember(
      "A UTS namespace holds a hostname and a NIS domain. It starts as a "
      "copy of its parent's.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {"uts", "UTS namespaces: a private hostname", "uts_namespaces(7)"},
      steps::Teach);
}
