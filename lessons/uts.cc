// UTS namespaces: a private hostname.                     uts_namespaces(7)
//
//   bazel run //lessons:uts                the lesson
//   bazel run //lessons:uts -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "common/program/program.h"

namespace steps {

const Probe kHostname{
    "hostname", "uname(2), /proc, " + ToolSource("hostname"), [] {
      return Agreed({Uname().nodename, RunTool({"hostname"}),
                     ReadText("/proc/sys/kernel/hostname")});
    }};
const auto kDomain = FileProbe("NIS domain", "/proc/sys/kernel/domainname");
const auto kNamespace = LinkProbe("UTS namespace", "/proc/self/ns/uts");

static void Rename() { CALL(sethostname, "container_001", 13); }

static void Teach(Lesson& lesson) {
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
      "Which hostname does a new UTS namespace have, before one is set?",
      {before[kHostname], "(none)", "localhost", "a random ID"});

  lesson.Step("With CLONE_NEWUTS, a child starts with a copy of the names");
  Process inside = outside.Clone("inside", CLONE_NEWUTS);
  const Evidence copy = inside.Ask(kHostname, kDomain, kNamespace);
  lesson.Answer(copy[kHostname],
                "The kernel copies it. A random hostname is Docker's habit.");
  lesson.Claim("With CLONE_NEWUTS, a child is in a new UTS namespace.",
               copy[kNamespace] != before[kNamespace]);
  lesson.Claim("The namespace starts with a copy of its parent's names.",
               copy[kHostname] == before[kHostname] &&
                   copy[kDomain] == before[kDomain]);

  lesson.Step("The child renames itself, and only itself");
  inside.Run(Rename);
  inside.Run([] { CALL(setdomainname, "domain_001", 10); });
  const Evidence renamed = inside.Ask(kHostname, kDomain, kNamespace);
  lesson.Claim("Inside, the hostname and the NIS domain are the new ones.",
               renamed[kHostname] == "container_001" &&
                   renamed[kDomain] == "domain_001");
  const Evidence after = outside.Ask(kHostname, kDomain, kNamespace);
  lesson.Claim("Outside, they are the old ones.", after == before);

  lesson.Step("Being root is not enough: a UTS namespace has an owner",
              "`root` is uid 0 in a new user namespace, a child of `host`.");
  lesson.Claim(
      "Root in a user namespace may rename only a UTS namespace it owns.",
      [&] {
        Process root = host.Clone("root", CLONE_NEWUSER);
        root.MapRoot();
        const int refused =
            root.Run([] { return TRY(sethostname, "root", 4); });
        root.Run([] { CALL(unshare, CLONE_NEWUTS); });
        root.Run([] { CALL(sethostname, "root", 4); });
        return refused == EPERM && root.Ask(kHostname) == "root";
      });

  lesson.Compare(before, renamed, after);
  lesson.Remember(
      "A UTS namespace is a hostname and a NIS domain, copied at first.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"uts", "UTS namespaces: a private hostname", "uts_namespaces(7)"},
      steps::Teach, argc, argv);
}
