#include "common/kernel/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
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
std::optional<std::string> DirectoryOf(const std::string& cgroup,
                                       const Mount& mount) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (cgroup != root && !cgroup.starts_with(root + "/")) return std::nullopt;
  const std::string below = cgroup.substr(root.size());
  // Seen from a cgroup namespace that it is not in.
  if (below.starts_with("/..")) return std::nullopt;
  return mount.point + (below == "/" ? "" : below);
}

// Version 2: whether the children of the cgroup in `directory` have it.
bool ChildrenHave(const std::string& controller, const fs::path& directory) {
  std::istringstream words(ReadFile(directory / "cgroup.subtree_control"));
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

// The cgroups directly below.
std::vector<fs::path> Below(const fs::path& directory) {
  std::vector<fs::path> below;
  std::error_code gone;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(directory, gone)) {
    if (entry.is_directory(gone)) below.push_back(entry.path());
  }
  return below;
}

// Removes a cgroup and those below it: 0, or the errno. A process may take a
// moment to end or to move, and more may be forked meanwhile: hence the tries.
int RemoveAll(const fs::path& directory, int home) {
  for (int tries = 0; rmdir(directory.c_str()) == -1; ++tries) {
    const int error = errno;
    if (error == ENOENT) break;
    if (error != EBUSY || tries == 500) return error;
    for (const fs::path& below : Below(directory)) {
      const int left = RemoveAll(below, home);
      if (left != 0) return left;
    }
    try {
      Empty(directory, home);
    } catch (const CallError& refused) {
      if (refused.error() != ENODEV && refused.error() != ENOENT) {
        return refused.error();
      }
    }
    if (tries > 0) poll(nullptr, 0, 10);
  }
  return 0;
}

// "4026531836-4711-12345": the PID namespace, the PID and the start time of a
// process, which no other has as long as the machine runs; "" when it is gone.
std::string Mark(const std::string& pid) {
  try {
    const std::string stat = ReadFile(fmt::format("/proc/{}/stat", pid));
    // "4711 (name) S …": the name may itself have spaces and parentheses.
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    struct stat space = {};
    MUST(::stat, "/proc/self/ns/pid", &space);
    return fmt::format("{}-{}-{}", space.st_ino, stat.substr(0, stat.find(' ')),
                       field);
  } catch (const CallError& error) {
    if (error.error() == ENOENT || error.error() == ESRCH) return "";
    throw;
  }
}

// Removes what a run left that was killed together with its guardian: only
// what is this user's, was named in this PID namespace by a process that is
// gone, and has no process in it.
void RemoveLeftBehind(const fs::path& directory, const std::string& own) {
  const std::string prefix =
      std::string(kCgroupPrefix) + own.substr(0, own.find('-') + 1);
  for (const fs::path& path : Below(directory)) {
    const std::string name = path.filename();
    struct stat info = {};
    if (!name.starts_with(prefix) || stat(path.c_str(), &info) == -1 ||
        info.st_uid != geteuid()) {
      continue;
    }
    const std::string rest = name.substr(prefix.size());
    const std::string pid = rest.substr(0, rest.find('-'));
    if (pid.empty() ||
        pid.find_first_not_of("0123456789") != std::string::npos ||
        name == std::string(kCgroupPrefix) + Mark(pid)) {
      continue;
    }
    // rmdir(2) takes none in which there is a process.
    for (const fs::path& below : Below(path)) {
      for (const fs::path& lowest : Below(below)) rmdir(lowest.c_str());
      rmdir(below.c_str());
    }
    rmdir(path.c_str());
  }
}

// The call that failed, for the other side of the socket.
struct Failure {
  int error = 0;
  std::array<char, 4096> path = {};
};

// Out of reach of what ends the lesson: Ctrl-C in its terminal, the end of its
// session. Nobody's descriptors are kept open but `socket` and stderr.
[[noreturn]] void Guard(int socket, int home, const fs::path& top,
                        const std::vector<std::string>& below) {
  setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM}) {
    std::signal(signal, SIG_IGN);
  }
  const int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != socket && fd != home) close(fd);
  }
  Failure failure;
  const auto make = [&](const fs::path& path) {
    if (failure.error != 0 || mkdir(path.c_str(), 0755) == 0) return;
    failure.error = errno;
    path.native().copy(failure.path.data(), failure.path.size() - 1);
  };
  make(top);
  const bool made = failure.error == 0;
  for (const std::string& cgroup : below) make(top / cgroup);
  if (failure.error != 0 && made) RemoveAll(top, home);
  const bool told = send(socket, &failure, sizeof failure, 0) != -1;
  if (failure.error != 0) _exit(EXIT_FAILURE);
  char end = 0;
  while (told && recv(socket, &end, sizeof end, 0) == -1 && errno == EINTR) {
  }
  const int error = RemoveAll(top, home);
  if (send(socket, &error, sizeof error, 0) == -1 && error != 0) {
    fmt::print(stderr, "not removed: {} ({})\n", top.native(),
               ErrnoName(error));
  }
  _exit(EXIT_SUCCESS);
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

std::vector<Membership> MembershipsOf(pid_t pid) {
  return MembershipsIn(ReadFile(fmt::format("/proc/{}/cgroup", pid)));
}

std::string CgroupOf(pid_t pid, const std::string& controllers) {
  for (Membership& membership : MembershipsOf(pid)) {
    if (membership.controllers == controllers) return membership.cgroup;
  }
  throw std::out_of_range(
      fmt::format("no hierarchy of cgroups with \"{}\"", controllers));
}

std::optional<CgroupPlace> FindCgroupPlace(const std::string& controller) {
  return FindCgroupPlace(controller, MembershipsOf(getpid()), Mounts());
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
    const std::optional<std::string> home = DirectoryOf(own->cgroup, mount);
    if (!home) continue;
    fs::path cgroup = own->cgroup;
    fs::path directory = *home;
    while (version_2 && !ChildrenHave(controller, directory)) {
      if (directory == mount.point) return std::nullopt;
      cgroup = cgroup.parent_path();
      directory = directory.parent_path();
    }
    return CgroupPlace{own->controllers, cgroup, directory, *home};
  }
  return std::nullopt;
}

Cgroup::Cgroup(const CgroupPlace& place, const std::vector<std::string>& below)
    : home_(MUST(open, (place.home + "/cgroup.procs").c_str(),
                 O_WRONLY | O_CLOEXEC)) {
  const std::string mark = Mark("self");
  RemoveLeftBehind(place.folder, mark);
  path_ = fs::path(place.folder) / (std::string(kCgroupPrefix) + mark);
  std::array<int, 2> ends = {};
  MUST(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  guard_ = Descriptor(ends[0]);
  Descriptor other(ends[1]);
  guardian_ = MUST(fork);
  if (guardian_ == 0) Guard(other.get(), home_.get(), path_, below);
  removed_ = false;
  other.Close();
  Failure failure;
  ssize_t size = 0;
  while ((size = recv(guard_.get(), &failure, sizeof failure, 0)) == -1 &&
         errno == EINTR) {
  }
  if (size == sizeof failure && failure.error == 0) return;
  if (size != sizeof failure) {  // It was killed in the middle.
    RemoveAll(path_, home_.get());
    failure.error = ECHILD;
  }
  removed_ = true;
  waitpid(guardian_, nullptr, 0);
  const std::string path = failure.path.data();
  throw CallError(failure.error, fmt::format("mkdir(\"{}\", 0755)", path),
                  {path});
}

bool Cgroup::Remove() {
  if (removed_) return true;
  removed_ = true;
  shutdown(guard_.get(), SHUT_WR);
  int error = 0;
  ssize_t size = 0;
  while ((size = recv(guard_.get(), &error, sizeof error, 0)) == -1 &&
         errno == EINTR) {
  }
  // Where the guardian was killed, it is this process that removes it.
  if (size != sizeof error) error = RemoveAll(path_, home_.get());
  waitpid(guardian_, nullptr, 0);
  if (error == 0) return true;
  fmt::print(stderr, "not removed: {} ({})\n", path_, ErrnoName(error));
  return false;
}

}  // namespace steps
