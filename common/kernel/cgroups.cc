#include "common/kernel/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "common/kernel/call.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// Whether `word` is one of those in `list`, with a comma between them.
bool Lists(const std::string& list, const std::string& word) {
  return fmt::format(",{},", list).find(fmt::format(",{},", word)) !=
         std::string::npos;
}

// The membership in the hierarchy that has the controller: that of version 2
// where none of version 1 has it.
const Membership* FindMembership(const std::string& controller,
                                 const std::vector<Membership>& memberships) {
  const Membership* found = nullptr;
  for (const Membership& membership : memberships) {
    if (Lists(membership.controllers, controller)) return &membership;
    if (membership.controllers.empty()) found = &membership;
  }
  return found;
}

// Where `mount` shows `cgroup`, if it does.
std::optional<std::string> FolderOf(const std::string& cgroup,
                                    const Mount& mount) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (cgroup != root && !cgroup.starts_with(root + "/")) return std::nullopt;
  const std::string below = cgroup.substr(root.size());
  // Seen from a cgroup namespace that it is not in.
  if (below.starts_with("/..")) return std::nullopt;
  return mount.point + (below == "/" ? "" : below);
}

// Version 2: whether the children of the cgroup in `folder` have it.
bool ChildrenHave(const std::string& controller, const fs::path& folder) {
  std::istringstream words(ReadFile(folder / "cgroup.subtree_control"));
  for (std::string word; words >> word;) {
    if (word == controller) return true;
  }
  return false;
}

// Moves the processes in `directory` home. One that is about to end may stay.
void Empty(const fs::path& directory, int home) {
  std::istringstream pids(ReadFile(directory / "cgroup.procs"));
  for (std::string pid; pids >> pid;) {
    if (write(home, pid.data(), pid.size()) == -1 && errno != ESRCH) {
      throw CallError(errno, fmt::format("write({}, \"{}\")", home, pid));
    }
  }
}

// Removes a cgroup and those below it, unless it is gone.
void Remove(const fs::path& directory, int home) {
  while (rmdir(directory.c_str()) == -1 && errno != ENOENT) {
    if (errno != EBUSY) {
      throw CallError(errno, fmt::format("rmdir(\"{}\")", directory.native()));
    }
    std::error_code gone;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(directory, gone)) {
      if (entry.is_directory(gone)) Remove(entry.path(), home);
    }
    Empty(directory, home);
  }
}

// What the guardian does. It is out of reach of what ends its parent: Ctrl-C
// in the terminal, and the end of the session.
void Guard(int channel, const fs::path& top,
           const std::vector<std::string>& below, int home) {
  setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGPIPE, SIGTERM}) {
    std::signal(signal, SIG_IGN);
  }
  int error = mkdir(top.c_str(), 0755) == 0 ? 0 : errno;
  if (error == 0) {
    for (const std::string& cgroup : below) {
      if (error == 0 && mkdir((top / cgroup).c_str(), 0755) == -1)
        error = errno;
    }
    send(channel, &error, sizeof error, MSG_NOSIGNAL);
    char end = 0;
    while (recv(channel, &end, 1, 0) == -1 && errno == EINTR) {
    }
    Remove(top, home);
  } else {
    send(channel, &error, sizeof error, MSG_NOSIGNAL);
  }
}

}  // namespace

std::vector<Membership> MembershipsIn(const std::string& text) {
  std::vector<Membership> memberships;
  std::istringstream lines(text);
  // "4:cpu,cpuacct:/a/b": a controller has no colon in its name, a cgroup may.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':') + 1;
    const std::size_t second = line.find(':', first);
    memberships.push_back(
        {line.substr(first, second - first), line.substr(second + 1)});
  }
  return memberships;
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller) {
  return FindCgroupPlace(
      controller, MembershipsIn(ReadFile("/proc/self/cgroup")), Mounts());
}

std::optional<CgroupPlace> FindCgroupPlace(
    const std::string& controller, const std::vector<Membership>& memberships,
    const std::vector<Mount>& mounts) {
  const Membership* own = FindMembership(controller, memberships);
  if (own == nullptr) return std::nullopt;
  const bool version_2 = own->controllers.empty();
  for (const Mount& mount : mounts) {
    const bool shows =
        version_2 ? mount.type == "cgroup2"
                  : mount.type == "cgroup" && Lists(mount.options, controller);
    if (!shows) continue;
    const std::optional<std::string> home = FolderOf(own->cgroup, mount);
    if (!home) continue;
    fs::path cgroup = own->cgroup;
    fs::path folder = *home;
    while (version_2 && !ChildrenHave(controller, folder)) {
      if (folder == mount.point) return std::nullopt;
      cgroup = cgroup.parent_path();
      folder = folder.parent_path();
    }
    return CgroupPlace{own->controllers, cgroup, folder, *home};
  }
  return std::nullopt;
}

Cgroup::Cgroup(const CgroupPlace& place, const std::vector<std::string>& below)
    : path_(fmt::format("{}/steps-{}", place.folder, getpid())) {
  const Descriptor home = Open(place.home + "/cgroup.procs", O_WRONLY);
  std::array<int, 2> ends = {};
  MUST(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data());
  guardian_ = Descriptor(ends[0]);
  Descriptor other(ends[1]);
  pid_ = MUST(fork);
  if (pid_ == 0) {
    guardian_.Close();
    try {
      Guard(other.get(), path_, below, home.get());
    } catch (const std::exception& error) {
      fmt::print(stderr, "not removed: {}\n", error.what());
    }
    _exit(EXIT_SUCCESS);
  }
  other.Close();
  int error = EIO;  // What remains if the guardian is killed.
  while (recv(guardian_.get(), &error, sizeof error, 0) == -1 &&
         errno == EINTR) {
  }
  if (error != 0) {
    shutdown(guardian_.get(), SHUT_RDWR);
    waitpid(pid_, nullptr, 0);
    if (error == EIO) Remove(path_, home.get());
    throw CallError(error, fmt::format("mkdir(\"{}\", 0755)", path_), {path_});
  }
}

Cgroup::~Cgroup() {
  // The guardian of another cgroup may have inherited this end, too.
  shutdown(guardian_.get(), SHUT_RDWR);
  while (waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
  }
}

}  // namespace steps
