// The well-known mistakes, each proved by what the kernel shows.

#include "lessons/check/mistakes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "lessons/check/leaks.h"

namespace steps {
namespace {

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

Found NotCompiled(const XRay& xray) {
  if (xray.compile_error.empty()) return std::nullopt;
  const std::string& said = xray.compile_error;
  // With the place before it: "mine.cc:5:12: error: …".
  const std::size_t error = std::min(said.find("error: "), said.size());
  const std::size_t line =
      std::max(said.rfind('\n', error) + 1, said.rfind('/', error) + 1);
  return Mistake{
      "compile",
      fmt::format("It does not compile: {}",
                  said.substr(line, said.find('\n', error) - line)),
      "Compile it with g++ -std=c++17, and read the first error.", "", ""};
}

Found WildProgram(const XRay& xray) {
  std::string why;
  switch (xray.observation.moment) {
    case Moment::kTooLong:
      why = fmt::format("was not at rest after {} seconds", kLongestSeconds);
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

Found NotIsolated(const XRay& xray) {
  if (!xray.inside || xray.Most()->isolated != 0) return std::nullopt;
  return Mistake{
      "nothing-new", "None of its processes is in a new namespace.",
      "Give clone(2) or unshare(2) the flag of a kind, such as CLONE_NEWUTS. "
      "Where it is there, look at what the call returned: -1 is a failure, "
      "and perror(3) says which.",
      "namespaces(7): \"new namespaces are created for each flag, and the "
      "child process is made a member of those namespaces\"",
      "clone"};
}

Found PidWithoutFork(const XRay& xray) {
  if (xray.without_child.empty()) return std::nullopt;
  return Mistake{
      "no-fork",
      "A process has called unshare(CLONE_NEWPID) and kept its own PID: only "
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
  const Mount* proc = MountAt(inside->mounts, "/proc");
  const bool has_proc = proc != nullptr && proc->type == "proc";
  return Mistake{"old-proc",
                 has_proc ? "In the new PID namespace, /proc is still the "
                            "host's: ps lists the host's processes."
                          : "In the new PID namespace, there is no /proc.",
                 "Mount a new proc on /proc, in a new mount namespace with "
                 "private mounts.",
                 "pid_namespaces(7): \"mount a new procfs instance at /proc "
                 "so that tools such as ps(1) work correctly\"",
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
      no_uid ? "The user namespace has no uid map: the user there is 65534, "
               "nobody."
             : "The user namespace has a uid map and no gid map: the group "
               "there is 65534.",
      no_uid ? "Write \"0 UID 1\" to /proc/self/uid_map, with the UID that "
               "getuid(2) gave before unshare(2), and the same for gid_map."
             : "Write \"deny\" to /proc/self/setgroups, and then \"0 GID 1\" "
               "to /proc/self/gid_map.",
      "user_namespaces(7): \"an unmapped user ID is converted to the "
      "overflow user ID\"",
      "user"};
}

Found Zombies(const XRay& xray) {
  if (xray.zombies.empty()) return std::nullopt;
  return Mistake{
      "zombies",
      fmt::format("Nobody reaps what has ended: PID {}, is a zombie.",
                  xray.zombies.front()),
      "PID 1 adopts orphans: let it call wait(2) in a loop, for any child.",
      "wait(2): \"A child that terminates, but has not been waited for "
      "becomes a 'zombie'\"",
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
      "In the new network namespace lo is down: not even 127.0.0.1 answers.",
      "Bring lo up inside: ip link set lo up, or SIOCSIFFLAGS with IFF_UP.",
      "network_namespaces(7): \"isolation of the system resources associated "
      "with networking: network devices\"",
      "net"};
}

Found Chrooted(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->view || !inside->view->chrooted) {
    return std::nullopt;
  }
  return Mistake{"chroot",
                 "The root was changed by chroot(2), and the old one is "
                 "still there: root leaves by a second chroot(2) and \"..\".",
                 "Call pivot_root(2) in a new mount namespace, and unmount "
                 "the old root.",
                 "chroot(2): \"it is not intended to be used for any kind of "
                 "security purpose\"",
                 "chroot"};
}

Found OldRootMounted(const XRay& xray) {
  const Inside* inside = xray.Most();
  if (inside == nullptr || !inside->view || !inside->view->other_root ||
      inside->view->chrooted) {
    return std::nullopt;
  }
  const Mount* root = MountAt(xray.before.mounts, "/");
  if (root == nullptr) return std::nullopt;
  for (const Mount& mount : inside->mounts) {
    if (mount.device != root->device || mount.root != root->root) continue;
    return Mistake{"old-root",
                   fmt::format("The old root is still mounted, on {}: all of "
                               "the host's files are there.",
                               mount.point),
                   "After pivot_root(2): umount2(old, MNT_DETACH).",
                   "pivot_root(2): \"umount2(\".\", MNT_DETACH);\"",
                   "chroot"};
  }
  return std::nullopt;
}

Found ParentGone(const XRay& xray) {
  if (!xray.parent_gone) return std::nullopt;
  return Mistake{"parent-gone",
                 "The program has ended, and its child goes on by itself: "
                 "nobody waits for it.",
                 "Call waitpid(2) in the parent. A macro that calls exit(3) "
                 "needs braces around both statements.",
                 "wait(2): \"used to wait for state changes in a child of "
                 "the calling process\"",
                 "clone"};
}

// What a call that failed usually needs, by what the program wrote of it.
struct Remedy {
  const char* wrote;
  const char* mend;
};

constexpr std::array kRemedies = {
    Remedy{"gid_map: Operation not permitted",
           "An ordinary user writes \"deny\" to /proc/self/setgroups first."},
    Remedy{
        "uid_map: Operation not permitted",
        "A line of a map is: the ID inside, the ID outside, how many. "
        "Outside it is your own, which getuid(2) gives before unshare(2)."},
    Remedy{"pivot_root: Invalid argument",
           "pivot_root(2) refuses a shared mount: make all mounts private. "
           "The new root has to be a mount."},
    Remedy{"setns: Invalid argument",
           "The kind that setns(2) is given has to be that of the link."},
    Remedy{"Cannot find device",
           "Move one end of the pair to the child: netns PID."}};

Found Ended(const XRay& xray) {
  const Observation& seen = xray.observation;
  if (seen.moment != Moment::kEnded) return std::nullopt;
  std::string text = fmt::format(
      "The program ended ({}) before it waited for anything, so only what it "
      "left on the host could be seen.",
      DescribeStatus(seen.status.value_or(0)));
  std::string mend = "Let it run a shell inside, or read a line.";
  for (const Remedy& remedy : kRemedies) {
    if (!Contains(seen.output, remedy.wrote)) continue;
    text += fmt::format(" It wrote \"{}\".", remedy.wrote);
    mend = remedy.mend;
  }
  return Mistake{"ended", text, mend, "", ""};
}

}  // namespace

std::vector<Mistake> FindMistakes(const XRay& xray) {
  std::vector<Mistake> mistakes;
  const auto add = [&mistakes, &xray](Found (*find)(const XRay&)) {
    if (Found found = find(xray)) mistakes.push_back(std::move(*found));
  };
  for (const auto find : {NotCompiled, WildProgram}) add(find);
  for (Mistake& leak : FindLeaks(xray)) mistakes.push_back(std::move(leak));
  for (const auto find : {PidWithoutFork, Unmapped, Chrooted, OldRootMounted,
                          OldProc, Zombies, LoDown, ParentGone, Ended}) {
    add(find);
  }
  if (mistakes.empty()) add(NotIsolated);
  return mistakes;
}

}  // namespace steps
