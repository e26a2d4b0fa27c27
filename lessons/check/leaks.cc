// What a program has changed on its host.

#include "lessons/check/leaks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <string>
#include <utility>

namespace steps {
namespace {

// The first few of them.
std::string List(const std::vector<std::string>& all) {
  constexpr std::size_t kShown = 3;
  if (all.size() <= kShown) return fmt::format("{}", fmt::join(all, "; "));
  return fmt::format("{}; and {} more",
                     fmt::join(all.begin(), all.begin() + kShown, "; "),
                     all.size() - kShown);
}

Found HostRenamed(const XRay& xray) {
  if (xray.before.hostname == xray.after.hostname) return std::nullopt;
  const bool is_new = xray.inside && xray.Most()->Has(CLONE_NEWUTS);
  return Mistake{
      "host-renamed",
      fmt::format("{} The host is renamed, too: {} was {}.",
                  is_new ? "Your process is in a new UTS namespace, but the "
                           "hostname was changed before it was."
                         : "The hostname was changed without CLONE_NEWUTS.",
                  xray.after.hostname, xray.before.hostname),
      is_new ? "Call sethostname(2) in the child, not before clone(2)."
             : "Add CLONE_NEWUTS to the flags of clone(2) or unshare(2).",
      "uts_namespaces(7): \"Changes made to these identifiers are visible to "
      "all other processes in the same UTS namespace\"",
      "uts"};
}

Found HostMounted(const XRay& xray) {
  const auto leaked = XRay::New(xray.after.mounts, xray.before.mounts);
  if (leaked.empty()) return std::nullopt;
  const bool is_new = xray.inside && xray.Most()->Has(CLONE_NEWNS);
  std::string text =
      fmt::format("What was mounted is on the host, too: {}.", List(leaked));
  if (std::ranges::find(leaked, "proc on /proc") != leaked.end()) {
    text +=
        " On your machine, ps would have failed from then on, until somebody "
        "had typed umount /proc.";
  }
  return Mistake{
      "host-mounted", text,
      is_new ? "After clone(2), and before anything is mounted: "
               "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL). "
               "systemd makes all mounts shared."
             : "Add CLONE_NEWNS to the flags of clone(2) or unshare(2), and "
               "make the mounts private before anything is mounted.",
      "mount_namespaces(7): \"mount(2) and umount(2) events immediately "
      "under this mount will propagate to the other mounts that are members "
      "of the peer group\"",
      "mount"};
}

Found HostUnmounted(const XRay& xray) {
  const auto gone = XRay::New(xray.before.mounts, xray.after.mounts);
  if (gone.empty()) return std::nullopt;
  return Mistake{"host-unmounted",
                 fmt::format("The host has lost mounts: {}.", List(gone)),
                 "Make all mounts private in a new mount namespace before "
                 "anything is unmounted or moved.",
                 "mount_namespaces(7): \"mount(2) and umount(2) events "
                 "immediately under this mount will propagate\"",
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
          "Change the propagation in the child, when it is in its new mount "
          "namespace.",
          "mount_namespaces(7): \"The propagation type is a per-mount-point "
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
                  is_new ? "Your process is in a new IPC namespace, but the "
                           "object was made before it was."
                         : "An IPC object was made without CLONE_NEWIPC.",
                  xray.after.ipc),
      is_new ? "Make it in the child, not before clone(2)."
             : "Add CLONE_NEWIPC to the flags of clone(2) or unshare(2).",
      "ipc_namespaces(7): \"Objects created in an IPC namespace are visible "
      "to all other processes that are members of that namespace\"",
      "ipc"};
}

}  // namespace

std::vector<Mistake> FindLeaks(const XRay& xray) {
  std::vector<Mistake> leaks;
  for (const auto find :
       {HostRenamed, HostMounted, HostUnmounted, HostMadePrivate, HostIpc}) {
    if (Found found = find(xray)) leaks.push_back(std::move(*found));
  }
  return leaks;
}

}  // namespace steps
