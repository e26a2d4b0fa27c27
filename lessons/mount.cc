// Mount namespaces: private mounts, and a /proc that fits.
// mount_namespaces(7)
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
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

const Probe kChild{"on /mnt/child", kMountInfo,
                   [] { return MountedOn("/mnt/child"); }};
const Probe kHost{"on /mnt/host", kMountInfo,
                  [] { return MountedOn("/mnt/host"); }};
// A peer group has a number: mounts pass between its members.
const Probe kTag{"tag of /mnt", kMountInfo, []() -> std::string {
                   const auto mount = MountOn("/mnt");
                   if (!mount || mount->tags.empty()) return "none (private)";
                   return mount->tags + (mount->tags.starts_with("shared")
                                             ? " (peers)"
                                             : " (slave)");
                 }};
// All that is mounted there: something may have been before the lesson.
const Probe kMnt{"on /mnt", kMountInfo, [] {
                   std::string types;
                   for (const Mount& mount : Mounts()) {
                     if (mount.point != "/mnt") continue;
                     if (!types.empty()) types.insert(0, " over ");
                     types.insert(0, mount.type);
                   }
                   return types.empty() ? "nothing" : types;
                 }};
const Probe kSelf{"PID in /proc", "/proc/self",
                  [] { return ReadLink("/proc/self"); }};
const Probe kNamespace{"mount namespace", "/proc/self/ns/mnt",
                       [] { return ReadLink("/proc/self/ns/mnt"); }};
const Probe kPs{"", "$ ps -e -o pid,comm", [] {
                  auto ps = RunTool({"ps", "-e", "-o", "pid,comm"});
                  if (!IsMissing(ps)) return ps;
                  return ps + ": /proc has " +
                         std::to_string(ProcessesIn("/proc").size());
                }};

void MountForChild() {
  CALL(mount, "tmpfs", "/mnt/child", "tmpfs", 0, nullptr);
}
void MountForHost() {
  CALL(mount, "tmpfs", "/mnt/host", "tmpfs", 0, nullptr);
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWNS, a child mounts for its parent",
              "`host` stands in for your machine. Its /mnt is shared.");
  const Evidence before = outside.Ask(kMnt, kSelf, kNamespace);
  Process host = outside.StandIn("host", CLONE_NEWNS);
  host.Run([] {
    MountTmpfs("/mnt");
    CALL(mount, "none", "/mnt", nullptr, MS_SHARED, nullptr);
    MUST(mkdir, "/mnt/child", 0755);
    MUST(mkdir, "/mnt/host", 0755);
  });
  Process child = host.Clone("child", 0);
  child.Run(MountForChild);
  lesson.Claim("Without CLONE_NEWNS, a child's mount is its parent's, too.",
               host.Ask(kChild) == "tmpfs");
  child.Run([] { MUST(umount, "/mnt/child"); });

  lesson.Predict(
      "/mnt is shared. A child in a new mount namespace mounts a tmpfs on "
      "/mnt/child. Does the host see it?",
      {"yes", "no", "only root does", "only after the child ends"});

  lesson.Step(
      "The accident: a copy of a shared mount passes new mounts on",
      "shared:N is peer group N: all members get a mount made in one.");
  Process copy = host.Clone("copy", CLONE_NEWNS);
  copy.MustDiffer(host, CLONE_NEWNS);
  const std::string peers = copy.Ask(kTag);
  copy.Run(MountForChild);
  const bool leaked = host.Ask(kChild) == "tmpfs";
  lesson.Answer(
      leaked ? "yes" : "no",
      "A new mount namespace is a copy, and copies of a shared mount "
      "are peers.");
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
  isolated.Run(MountForChild);
  lesson.Claim(
      "A private mount passes nothing on.",
      isolated.Run(kChild.read) == "tmpfs" && host.Ask(kChild) == "nothing");
  host.Run(MountForHost);
  lesson.Claim(
      "A private mount receives nothing.",
      host.Run(kHost.read) == "tmpfs" && isolated.Ask(kHost) == "nothing");
  host.Run([] { MUST(umount, "/mnt/host"); });

  lesson.Step("MS_SLAVE receives mounts, and passes none on",
              "master:N means that mounts arrive from peer group N.");
  Process slave = host.Clone("slave", CLONE_NEWNS);
  slave.Run(
      [] { CALL(mount, "none", "/", nullptr, MS_REC | MS_SLAVE, nullptr); });
  slave.Ask(kTag);
  host.Run(MountForHost);
  lesson.Claim("A slave receives what its master mounts.",
               slave.Ask(kHost) == "tmpfs");
  slave.Run(MountForChild);
  lesson.Claim(
      "A slave passes nothing on.",
      slave.Run(kChild.read) == "tmpfs" && host.Ask(kChild) == "nothing");

  lesson.Step("A new PID namespace needs a new /proc");
  Process inside = outside.StandIn("inside", CLONE_NEWNS | CLONE_NEWPID);
  lesson.Claim("In a new PID namespace, the old /proc shows the outside.",
               inside.Ask(kSelf) == std::to_string(inside.pid()));
  const Outcome proc = lesson.Attempt([&] {
    inside.Run([] { CALL(mount, "proc", "/proc", "proc", 0, nullptr); });
    inside.Ask(kPs);
    return inside.Run(kSelf.read) == "1";
  });
  lesson.Claim("A new proc lists the processes of its PID namespace only.",
               proc);
  inside.Run([] { MountTmpfs("/mnt"); });
  const Evidence mounted = inside.Ask(kMnt, kSelf, kNamespace);
  const Evidence after = outside.Ask(kMnt, kSelf, kNamespace);
  lesson.Claim("A tmpfs mounted inside is not mounted outside.",
               mounted[kMnt] != after[kMnt] && after == before);

  lesson.Compare(before, mounted, after);
  lesson.Remember(
      "A mount namespace starts as a copy of all mounts. Make them private "
      "before you mount anything.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"mount", "Mount namespaces: private mounts, and a /proc that fits",
       "mount_namespaces(7)"},
      steps::Teach, argc, argv);
}
