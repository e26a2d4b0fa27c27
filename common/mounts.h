#ifndef COMMON_MOUNTS_H_
#define COMMON_MOUNTS_H_

#include <optional>
#include <string>
#include <vector>

#include "common/evidence.h"

namespace steps {

/// A mount, as a line of mountinfo tells of it. proc(5).
struct Mount {
  std::string device;   // Which file system it shows: "0:21".
  std::string root;     // Which folder of it: "/".
  std::string point;    // Where: "/proc", with the kernel's escapes (\040).
  std::string tags;     // "shared:1 master:2"; empty when it is private.
  std::string type;     // "proc"
  std::string options;  // Those of the file system: "rw,pids".
};

/// The mounts in the text of a mountinfo.
std::vector<Mount> MountsIn(const std::string& mountinfo);

/// The mounts that this process sees. Throws CallError.
std::vector<Mount> Mounts();

/// The one on `point`, the last of several. Throws CallError.
std::optional<Mount> MountOn(const std::string& point);

/// The flags of mount(2) in its own words: "MS_REC | MS_PRIVATE".
std::string MountFlags(unsigned long flags);

// Probes, as in common/evidence.h. Both read mountinfo, and throw CallError.

/// Which file system is mounted on `point`: "0:21 proc", or "no mount".
Finding FromMount(const std::string& point);

/// Whether the mount on `point` passes on what is mounted below it, or receives
/// that: "shared:1", "master:1" for a slave, or "no tag".
Finding FromPropagation(const std::string& point);

}  // namespace steps

#endif  // COMMON_MOUNTS_H_
