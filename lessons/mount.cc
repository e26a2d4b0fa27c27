// Mount namespaces: private mounts.                    mount_namespaces(7)
//
//   bazel run //lessons:mount                the lesson
//   bazel run //lessons:mount -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/kernel/mounts.h"
#include "common/program/program.h"

namespace steps {

static auto On(const char* point) {
  return Probe{std::string("on ") + point, "/proc/self/mountinfo",
               [point] { return MountedOn(point); }};
}
const auto kMnt = On("/mnt");
const auto kChild = On("/mnt/child");
const auto kHost = On("/mnt/host");
const Probe kTag{"tag of /mnt", "/proc/self/mountinfo",
                 [] { return PropagationOf("/mnt"); }};
const auto kSelf = LinkProbe("PID in /proc", "/proc/self");
const auto kNamespace = LinkProbe("mount namespace", "/proc/self/ns/mnt");
const Probe kPs{"", "$ ps -e -o pid,comm", [] {
                  return RunTool({"ps", "-e", "-o", "pid,comm"});
                }};
const Probe kCount{"processes", "/proc",
                   [] { return ProcessesIn("/proc").size(); }};

static void MountAt(const char* point) {
  CALL(mount, "tmpfs", point, "tmpfs", 0, nullptr);
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWNS, a child mounts for its parent",
              "`host` stands in for your machine. Its /mnt is shared.");
  const Evidence before = Process::Quiet().Ask(kMnt, kSelf, kNamespace);
  Process host = outside.StandIn("host", CLONE_NEWNS);
  host.Run([] {
    MountTmpfs("/mnt");
    CALL(mount, "none", "/mnt", nullptr, MS_SHARED, nullptr);
    MUST(mkdir, "/mnt/child", 0755);
    MUST(mkdir, "/mnt/host", 0755);
  });
  Process child = host.Clone("child", 0);
  child.Run([] { MountAt("/mnt/child"); });
  lesson.Claim("Without CLONE_NEWNS, a child's mount is its parent's, too.",
               host.Ask(kChild) == "tmpfs");
  child.Run([] { MUST(umount, "/mnt/child"); });

  lesson.Predict(
      "A child with CLONE_NEWNS mounts on /mnt/child. Does `host` see it?",
      {"yes", "no", "only root does", "only after the child ends"});

  lesson.Step(
      "The accident: a copy of a shared mount passes new mounts on",
      "shared:N is peer group N: all members get a mount made in one.");
  Process copy = host.Clone("copy", CLONE_NEWNS);
  copy.MustDiffer(host, CLONE_NEWNS);
  const std::string peers = copy.Ask(kTag);
  copy.Run([] { MountAt("/mnt/child"); });
  const bool leaked = host.Ask(kChild) == "tmpfs";
  lesson.Answer(leaked ? "yes" : "no", "Its mounts are copies, and peers.");
  lesson.Claim(
      "With CLONE_NEWNS alone, a shared mount still passes mounts on.",
      leaked && peers == host.Run(kTag.read));
  host.Run([] { MUST(umount, "/mnt/child"); });

  lesson.Step("The remedy: MS_PRIVATE leaves the peer group");
  Process isolated = host.Clone("private", CLONE_NEWNS);
  isolated.Run([] {
    CALL(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  });
  isolated.Ask(kTag);
  isolated.Run([] { MountTmpfs("/mnt/child"); });
  lesson.Claim("A private mount passes nothing on.",
               host.Ask(kChild) == "nothing");

  lesson.Step("MS_SLAVE receives mounts, and passes none on");
  Process slave = host.Clone("slave", CLONE_NEWNS);
  slave.Run(
      [] { CALL(mount, "none", "/", nullptr, MS_REC | MS_SLAVE, nullptr); });
  slave.Ask(kTag);
  host.Run([] { MountAt("/mnt/host"); });
  lesson.Claim(
      "A slave receives what its master mounts; a private mount does not.",
      slave.Ask(kHost) == "tmpfs" && isolated.Ask(kHost) == "nothing");
  slave.Run([] { MountTmpfs("/mnt/child"); });
  lesson.Claim("A slave passes nothing on.", host.Ask(kChild) == "nothing");

  lesson.Step("A new PID namespace needs a new /proc",
              "`inside` has private mounts, as every stand-in has.");
  Process inside = outside.StandIn("inside", CLONE_NEWNS | CLONE_NEWPID);
  lesson.Claim("In a new PID namespace, the old /proc shows the outside.",
               inside.Ask(kSelf) == std::to_string(inside.pid()));
  lesson.Claim(
      "A new proc lists the processes of its PID namespace only.", [&] {
        inside.Run([] { CALL(mount, "proc", "/proc", "proc", 0, nullptr); });
        if (IsMissing(inside.Ask(kPs))) inside.Ask(kCount);
        return inside.Run(kCount.read) == 1;
      });
  inside.Run([] { MountTmpfs("/mnt"); });
  const Evidence mounted = inside.Ask(kMnt, kSelf, kNamespace);
  const Evidence after = Process::Quiet().Ask(kMnt, kSelf, kNamespace);
  lesson.Compare(before, mounted, after);
  lesson.Claim("A tmpfs mounted inside is not mounted outside.",
               mounted[kMnt] != after[kMnt] && after == before);
  lesson.Remember(
      "A mount namespace is a copy: make it private before you mount.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"mount", "Mount namespaces: private mounts", "mount_namespaces(7)"},
      steps::Teach, argc, argv);
}
