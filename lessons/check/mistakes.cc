// The well-known mistakes, each proved by what the kernel shows.

#include "lessons/check/mistakes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <optional>

namespace steps {
namespace {

using Found = std::optional<Mistake>;

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// The first few of them.
std::string List(const std::vector<std::string>& all) {
  constexpr std::size_t kShown = 3;
  if (all.size() <= kShown) return fmt::format("{}", fmt::join(all, "; "));
  return fmt::format("{}; and {} more",
                     fmt::join(all.begin(), all.begin() + kShown, "; "),
                     all.size() - kShown);
}

Found NotCompiled(const XRay& xray) {
  if (xray.compile_error.empty()) return std::nullopt;
  const std::string& said = xray.compile_error;
  const std::size_t error = std::min(said.find("error: "), said.size());
  return Mistake{
      "compile",
      fmt::format("It does not compile: {}",
                  said.substr(error, said.find('\n', error) - error)),
      "Compile it with g++ -std=c++17, and read the first error.", "", ""};
}

Found WildProgram(const XRay& xray) {
  std::string why;
  switch (xray.observation.moment) {
    case Moment::kTooLong:
      why =
          fmt::format("was not at rest after {} seconds", kLongestSeconds);
      break;
    case Moment::kTooMany:
      why = fmt::format("had more than {} processes", kMostProcesses);
      break;
    case Moment::kTooMuchOutput:
      why = fmt::format("wrote more than {} MiB", kMostOutput >> 20);
      break;
    default:
      return std::nullopt;
  }
  return Mistake{"stopped",
                 fmt::format("The program was stopped: it {}.", why),
                 "Let it wait for input once everything is isolated: run a "
                 "shell, or read a line.",
                 "", ""};
}

Found HostRenamed(const XRay& xray) {
  if (xray.before.hostname == xray.after.hostname) return std::nullopt;
  const bool is_new = xray.inside && xray.Most()->Has(CLONE_NEWUTS);
  return Mistake{
      "host-renamed",
      fmt::format(
          "{} The host is renamed, too: {} was {}.",
          is_new
              ? "Your process is in a new UTS namespace, but the hostname "
                "was changed before it was."
              : "The hostname was changed without CLONE_NEWUTS.",
          xray.after.hostname, xray.before.hostname),
      is_new ? "Call sethostname(2) in the child, not before clone(2)."
             : "Add CLONE_NEWUTS to the flags of clone(2) or unshare(2).",
      "uts_namespaces(7): \"Changes made to these identifiers are visible "
      "to "
      "all other processes in the same UTS namespace\"",
      "uts"};
}

Found HostMounted(const XRay& xray) {
  const auto leaked = XRay::New(xray.after.mounts, xray.before.mounts);
  if (leaked.empty()) return std::nullopt;
  const bool is_new = xray.inside && xray.Most()->Has(CLONE_NEWNS);
  std::string text = fmt::format(
      "What was mounted is on the host, too: {}.", List(leaked));
  if (std::ranges::find(leaked, "proc on /proc") != leaked.end()) {
    text +=
        " On your machine, ps would have found no process any more, until "
        "somebody had typed umount /proc.";
  }
  return Mistake{
      "host-mounted", text,
      is_new
          ? "After clone(2), and before anything is mounted: "
            "mount(\"none\", "
            "\"/\", NULL, MS_REC | MS_PRIVATE, NULL). systemd makes all "
            "mounts shared."
          : "Add CLONE_NEWNS to the flags of clone(2) or unshare(2), and "
            "make the mounts private before anything is mounted.",
      "mount_namespaces(7): \"mount(2) and umount(2) events immediately "
      "under "
      "this mount will propagate to the other mounts that are members of "
      "the "
      "peer group\"",
      "mount"};
}

Found HostUnmounted(const XRay& xray) {
  const auto gone = XRay::New(xray.before.mounts, xray.after.mounts);
  if (gone.empty()) return std::nullopt;
  return Mistake{
      "host-unmounted",
      fmt::format("The host has lost mounts: {}.", List(gone)),
      "Make all mounts private in a new mount namespace before anything is "
      "unmounted or moved.",
      "mount_namespaces(7): \"mount(2) and umount(2) events immediately "
      "under "
      "this mount will propagate\"",
      "mount"};
}

Found HostMadePrivate(const XRay& xray) {
  for (const Mount& was : xray.before.mounts) {
    for (const Mount& is : xray.after.mounts) {
      if (was.device != is.device || was.root != is.root ||
          was.point != is.point || Propagation(was) == Propagation(is)) {
        continue;
      }
      return Mistake{
          "host-propagation",
          fmt::format("The host's own mount on {} was {} and is {} now.",
                      was.point, Propagation(was), Propagation(is)),
          "Change the propagation in the child, when it is in its new "
          "mount "
          "namespace.",
          "mount_namespaces(7): \"The propagation type is a "
          "per-mount-point "
          "setting\"",
          "mount"};
    }
  }
  return std::nullopt;
}

Found HostIpc(const XRay& xray) {
  if (xray.before.ipc == xray.after.ipc) return std::nullopt;
  const bool is_new = xray.inside && xray.Most()->Has(CLONE_NEWIPC);
  return Mistake{
      "host-ipc",
      fmt::format("{} The host has it: {}.",
                  is_new
                      ? "Your process is in a new IPC namespace, but the "
                        "object was made before it was."
                      : "An IPC object was made without CLONE_NEWIPC.",
                  xray.after.ipc),
      is_new ? "Make it in the child, not before clone(2)."
             : "Add CLONE_NEWIPC to the flags of clone(2) or unshare(2).",
      "ipc_namespaces(7): \"Objects created in an IPC namespace are "
      "visible to "
      "all other processes that are members of that namespace\"",
      "ipc"};
}

Found NotIsolated(const XRay& xray) {
  if (!xray.inside || xray.Most()->isolated != 0) return std::nullopt;
  return Mistake{
      "nothing-new", "None of its processes is in a new namespace.",
      "Look at what clone(2) or unshare(2) returned: -1 is a "
      "failure, and perror(3) says which.",
      "namespaces(7): \"new namespaces are created for each flag, and the "
      "child process is made a member of those namespaces\"",
      "clone"};
}

Found PidWithoutFork(const XRay& xray) {
  if (xray.without_child.empty()) return std::nullopt;
  return Mistake{
      "no-fork",
      "A process has called unshare(CLONE_NEWPID) and kept its own PID: "
      "only "
      "its next child is in the new PID namespace, and it has none.",
      "Call fork(2) after unshare(2), and go on in the child.",
      "pid_namespaces(7): \"These calls do not, however, change the PID "
      "namespace of the calling process\"",
      "unshare"};
}

Found OldProc(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->Has(CLONE_NEWPID) || !inside->view ||
      inside->view->proc_fits) {
    return std::nullopt;
  }
  const Mount* proc = inside->MountAt("/proc");
  const bool has_proc = proc != nullptr && proc->type == "proc";
  return Mistake{
      "old-proc",
      has_proc ? "In the new PID namespace, /proc is still the host's: ps "
                 "lists the host's processes."
               : "In the new PID namespace, there is no /proc.",
      "Mount a new proc on /proc, in a new mount namespace with private "
      "mounts.",
      "pid_namespaces(7): \"mount a new procfs instance at /proc so that "
      "tools "
      "such as ps(1) work correctly\"",
      "mount"};
}

Found Unmapped(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->Has(CLONE_NEWUSER)) return std::nullopt;
  if (!inside->uid_map.empty() && !inside->gid_map.empty()) {
    return std::nullopt;
  }
  const bool no_uid = inside->uid_map.empty();
  return Mistake{
      "unmapped",
      no_uid
          ? "The user namespace has no uid map: the user there is 65534, "
            "nobody."
          : "The user namespace has a uid map and no gid map: the group "
            "there is 65534.",
      no_uid
          ? "Write \"0 UID 1\" to /proc/self/uid_map, with the UID that "
            "getuid(2) gave before unshare(2), and the same for gid_map."
          : "Write \"deny\" to /proc/self/setgroups, and then \"0 GID 1\" "
            "to /proc/self/gid_map.",
      "user_namespaces(7): \"an unmapped user ID is converted to the "
      "overflow "
      "user ID\"",
      "user"};
}

Found Zombies(const XRay& xray) {
  if (xray.zombies.empty()) return std::nullopt;
  return Mistake{
      "zombies",
      fmt::format("Nobody reaps what has ended. A zombie: {}.",
                  List(xray.zombies)),
      "PID 1 adopts orphans: let it call wait(2) in a loop, for any child.",
      "wait(2): \"A child that terminates, but has not been waited for "
      "becomes "
      "a 'zombie'\"",
      "pid"};
}

Found LoDown(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->Has(CLONE_NEWNET) || !inside->view ||
      !Contains(inside->view->interfaces, "lo down")) {
    return std::nullopt;
  }
  return Mistake{
      "lo-down",
      "In the new network namespace lo is down: not even 127.0.0.1 "
      "answers.",
      "Bring lo up inside: ip link set lo up, or SIOCSIFFLAGS with "
      "IFF_UP.",
      "network_namespaces(7): \"isolation of the system resources "
      "associated with networking: network devices\"",
      "net"};
}

Found Chrooted(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->view || !inside->view->chrooted) {
    return std::nullopt;
  }
  return Mistake{
      "chroot",
      "The root was changed by chroot(2), and the old one is still there: "
      "root "
      "leaves by a second chroot(2) and \"..\".",
      "Call pivot_root(2) in a new mount namespace, and unmount the old "
      "root.",
      "chroot(2): \"it is not intended to be used for any kind of security "
      "purpose\"",
      "chroot"};
}

Found OldRootMounted(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->view || !inside->view->other_root ||
      inside->view->chrooted) {
    return std::nullopt;
  }
  const auto is_root = [](const Mount& mount) {
    return mount.point == "/";
  };
  const auto root = std::ranges::find_if(xray.before.mounts, is_root);
  if (root == xray.before.mounts.end()) return std::nullopt;
  for (const Mount& mount : inside->mounts) {
    if (mount.device != root->device || mount.root != root->root) continue;
    return Mistake{
        "old-root",
        fmt::format(
            "The old root is still mounted, on {}: all of the host's "
            "files are there.",
            mount.point),
        "After pivot_root(2): umount2(old, MNT_DETACH).",
        "pivot_root(2): \"umount2(\".\", MNT_DETACH);\"", "chroot"};
  }
  return std::nullopt;
}

Found ParentGone(const XRay& xray) {
  if (!xray.parent_gone) return std::nullopt;
  return Mistake{
      "parent-gone",
      "The program has ended, and its child goes on by itself: "
      "nobody waits for it.",
      "Call waitpid(2) in the parent. A macro that calls exit(3) "
      "needs braces around both statements.",
      "wait(2): \"used to wait for state changes in a child of the "
      "calling process\"",
      "clone"};
}

Found Ended(const XRay& xray) {
  if (xray.observation.moment != Moment::kEnded) return std::nullopt;
  return Mistake{
      "ended",
      fmt::format(
          "The program ended ({}) before it waited for anything, so "
          "only what it left on the host could be seen.",
          DescribeStatus(xray.observation.status.value_or(0))),
      "Let it run a shell inside, or read a line.", "", ""};
}

}  // namespace

std::vector<Mistake> FindMistakes(const XRay& xray) {
  std::vector<Mistake> mistakes;
  for (const auto find :
       {NotCompiled, WildProgram, HostRenamed, HostMounted, HostUnmounted,
        HostMadePrivate, HostIpc, PidWithoutFork, Unmapped, Chrooted,
        OldRootMounted, OldProc, Zombies, LoDown, ParentGone, NotIsolated,
        Ended}) {
    if (Found found = find(xray)) mistakes.push_back(std::move(*found));
  }
  return mistakes;
}

}  // namespace steps
