#ifndef LESSONS_CHECK_VIEW_H_
#define LESSONS_CHECK_VIEW_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/kernel/mounts.h"

namespace steps {

/// What a process finds where it is.
struct View {
  std::string hostname;
  std::string ipc;         // "1 queue", or "none".
  std::string interfaces;  // "lo up"
  std::vector<Mount> mounts;
  bool proc_fits = false;   // /proc has its own PID for it.
  bool chrooted = false;    // / is not the root of its mount namespace.
  bool other_root = false;  // / is not that of the throwaway host.
};

// What a probe does. Each throws CallError.

/// What this process finds, but for its mounts, for ViewOf().
std::string Describe();

/// The root directory of this process: its file system and its inode, as in
/// "0:21 1".
std::string RootId();

/// Joins the UTS, IPC, network and mount namespaces of the process that
/// /proc has as `pid`, and goes to its root directory. Gives the RootId()
/// of the mount namespace itself, which chroot(2) does not change.
/// setns(2).
std::string JoinAll(pid_t pid);

/// The view of the process `pid`, which gave this description.
View ViewOf(const std::string& description, pid_t pid);

}  // namespace steps

#endif  // LESSONS_CHECK_VIEW_H_
