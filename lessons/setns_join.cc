// What //lessons:setns does with paths of the reader's, such as those which
// another lesson's --shell prints:
//
//   bazel run //lessons:setns -- /proc/4242/ns/uts [COMMAND…]
//   bazel run //lessons:setns -- /proc/4242/ns/mnt /proc/4242/ns/pid ps -e
//   bazel run //lessons:setns -- NAME                 /run/netns/NAME

#include "lessons/setns_join.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "common/program/command_line.h"
#include "common/program/shell.h"

namespace steps {
namespace {

// A namespace to join: where the reader found it, open, and its kind's
// flag.
struct Target {
  std::string path;
  Descriptor fd;
  int kind;
};

// A bare name is that of a network namespace. ip-netns(8).
std::string PathOf(const std::string& word) {
  const std::string netns = "/run/netns/" + word;
  const bool is_bare = !word.empty() && word.find('/') == std::string::npos;
  return is_bare && access(word.c_str(), F_OK) == -1 &&
                 access(netns.c_str(), F_OK) == 0
             ? netns
             : word;
}

// Whether this names a further namespace, and not the command. A link in
// /proc that is gone was meant as one.
bool IsNamespace(const std::string& word) {
  struct statfs status = {};
  if (statfs(word.c_str(), &status) == 0) return status.f_type == NSFS_MAGIC;
  return word.starts_with("/proc/") && word.find("/ns/") != std::string::npos;
}

Target OpenNamespace(const std::string& path) {
  struct statfs status = {};
  if (statfs(path.c_str(), &status) == -1 && errno == ENOENT) {
    throw std::runtime_error(fmt::format(
        "there is no \"{}\": {}", path,
        path.starts_with("/proc/")
            ? "a process's links end with it"
            : "a namespace has a path such as /proc/4242/ns/uts"));
  }
  if (status.f_type != 0 && status.f_type != NSFS_MAGIC) {
    throw UsageError(fmt::format("{} is no namespace", path));
  }
  Descriptor fd(CALL(open, path.c_str(), O_RDONLY | O_CLOEXEC));
  const int kind = MUST(ioctl, fd.get(), NS_GET_NSTYPE);
  return {path, std::move(fd), kind};
}

// Whether this process is in that namespace; of PID namespaces, whether its
// next children are.
bool IsIn(int kind, const Descriptor& fd) {
  const std::string name(KindOf(kind).proc_name);
  const std::string link =
      "/proc/self/ns/" + name + (kind == CLONE_NEWPID ? "_for_children" : "");
  struct stat here = {};
  struct stat there = {};
  if (stat(link.c_str(), &here) == -1) return false;
  MUST(fstat, fd.get(), &there);
  return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

// setns(2) requires CAP_SYS_ADMIN in the user namespace that owns the
// target, and for all kinds but user also in the caller's own. A user who
// made the owner has the first, and gets the second by joining the owner.
void JoinOwner(Lesson& lesson, const Target& target) {
  if (HasCapabilities({CAP_SYS_ADMIN})) return;
  const Descriptor owner(ioctl(target.fd.get(), NS_GET_USERNS));
  if (owner.get() == -1 || IsIn(CLONE_NEWUSER, owner)) return;
  lesson.Note("Another user namespace owns it: that one is joined first.");
  CALL(setns, owner.get(), CLONE_NEWUSER);
}

// A mount namespace may have the /proc of a PID namespace in which this
// process has no number.
bool IsStrangeToProc() {
  return access("/proc/1", F_OK) == 0 && access("/proc/self", F_OK) == -1;
}

// The order in which they can be joined: an ordinary user gets the
// privilege for the rest in the user namespace, root might lose it there;
// and a new root directory may have another /proc.
int Rank(const Target& target, bool privileged) {
  if (target.kind == CLONE_NEWUSER) return privileged ? 3 : 0;
  return target.kind == CLONE_NEWNS ? 2 : 1;
}

int JoinAndRun(Lesson& lesson, const std::vector<std::string>& words) {
  // All are opened before one is joined: then /proc may be another.
  std::vector<Target> targets;
  auto word = words.begin();
  targets.push_back(OpenNamespace(PathOf(*word)));
  while (++word != words.end() && IsNamespace(*word)) {
    targets.push_back(OpenNamespace(*word));
  }
  if (word != words.end() && *word == "--") ++word;
  std::erase_if(targets, [&](const Target& target) {
    if (!IsIn(target.kind, target.fd)) return false;
    lesson.Note(fmt::format("{}: you are in it already.", target.path));
    return true;
  });
  const bool privileged = HasCapabilities({CAP_SYS_ADMIN});
  std::ranges::stable_sort(targets, {}, [&](const Target& target) {
    return Rank(target, privileged);
  });

  int joined = 0;
  for (const Target& target : targets) {
    if (target.kind != CLONE_NEWUSER) JoinOwner(lesson, target);
    const int flag = target.kind;
    CALL(setns, target.fd.get(), flag);
    joined |= flag;
  }
  const bool in_child = (joined & CLONE_NEWPID) != 0;
  if ((joined & CLONE_NEWNS) != 0 && !in_child && IsStrangeToProc()) {
    lesson.Note(
        "There, /proc is that of another PID namespace: for ps, join that "
        "one, too.");
  }
  const std::string prompt =
      fmt::format("[joined {}] \\u@\\h:\\w\\$ ", KindNames(joined));
  const std::vector<std::string> command(word, words.end());
  if (!in_child) return BecomeCommand(command, prompt);
  lesson.Note("A PID namespace takes in children only: the command is one.");
  return AwaitCommand(command, prompt);
}

}  // namespace

Task JoinTask() {
  return {.words = "PATH… [--] [COMMAND…]",
          .help = "join that namespace",
          .example = "/proc/4242/ns/uts",
          .runs_command = true,
          .run = JoinAndRun};
}

}  // namespace steps
