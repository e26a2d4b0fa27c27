// What the words after `bazel run //lessons:setns --` name.

#include "lessons/setns_target.h"

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
#include <utility>

#include "common/kernel/namespaces.h"
#include "common/program/command_line.h"

namespace steps {
namespace {

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

NamespaceId IdOf(const Descriptor& fd) {
  struct stat status = {};
  MUST(fstat, fd.get(), &status);
  return {status.st_dev, status.st_ino};
}

// Whether a link of a process leads nowhere yet: pid_for_children does not,
// from unshare(CLONE_NEWPID) to the first child.
bool LeadsNowhere(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0 &&
         stat(path.c_str(), &status) == -1 && errno == ENOENT;
}

}  // namespace

std::string PathOf(const std::string& word) {
  const std::string netns = "/run/netns/" + word;
  const bool is_bare = !word.empty() && word.find('/') == std::string::npos;
  return is_bare && access(word.c_str(), F_OK) == -1 &&
                 access(netns.c_str(), F_OK) == 0
             ? netns
             : word;
}

bool IsNamespace(const std::string& word) {
  struct statfs status = {};
  if (statfs(word.c_str(), &status) == 0) return status.f_type == NSFS_MAGIC;
  return word.starts_with("/proc/") && word.find("/ns/") != std::string::npos;
}

bool IsIn(int kind, const Descriptor& fd) {
  const std::string name(KindOf(kind).proc_name);
  const std::string link =
      "/proc/self/ns/" + name + (kind == CLONE_NEWPID ? "_for_children" : "");
  struct stat here = {};
  return stat(link.c_str(), &here) == 0 &&
         IdOf(fd) == NamespaceId{here.st_dev, here.st_ino};
}

std::vector<Target> OpenTargets(Lesson& lesson,
                                const std::vector<std::string>& paths) {
  std::vector<Target> targets;
  for (const std::string& path : paths) {
    if (LeadsNowhere(path)) {
      lesson.Note(fmt::format("{}: nothing is there yet.", path));
      continue;
    }
    Target target = OpenNamespace(path);
    if (IsIn(target.kind, target.fd)) {
      lesson.Note(fmt::format("{}: you are in it already.", path));
    } else if (std::ranges::none_of(targets, [&](const Target& other) {
                 return IdOf(other.fd) == IdOf(target.fd);
               })) {
      targets.push_back(std::move(target));
    }
  }
  return targets;
}

}  // namespace steps
