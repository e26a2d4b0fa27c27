#ifndef LESSONS_CONTAINER_LOOK_H_
#define LESSONS_CONTAINER_LOOK_H_

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/network.h"
#include "common/kernel/probe.h"
#include "lessons/container/link.h"
#include "lessons/container/privileges.h"

namespace steps {

// What the lesson looks at, on both sides.

inline constexpr const char* kFile = "/usr/written_inside";

inline const Probe kHostname{"hostname", "uname(2)",
                             [] { return std::string(Uname().nodename); }};
inline const Probe kRoot{
    "entries in /", "readdir(3)", [] {
      const std::filesystem::directory_iterator entries("/");
      return std::distance(begin(entries), {});
    }};
inline const Probe kInterfaces{"interfaces", "getifaddrs(3)",
                               [] { return Interfaces().size(); }};
inline const Probe kWritten{
    "file in /usr", "access(2)", [] {
      return std::string(access(kFile, F_OK) == 0 ? "there" : "absent");
    }};
inline const Probe kBounding{
    "can ever have", "prctl(PR_CAPBSET_READ)",
    [] { return CountOf(BoundingSet()) + " capabilities"; }};
inline const Probe kEffective{
    "has now", "capget(2)",
    [] { return CountOf(EffectiveSet()) + " capabilities"; }};
inline const Probe kGains{"can gain more", "prctl(PR_GET_NO_NEW_PRIVS)",
                          NoNewPrivileges};
inline const Probe kSeen{"seen as", "read(2)", AskGateway};
inline const Probe kLoopback{
    "loopback", "connect(2)",
    [] { return std::string(ReachesItself() ? "works" : "fails"); }};
inline const Probe kParent{"parent's PID", "getppid(2)", getppid};

// What ps(1) reads of a process: its PIDs, here and in each namespace
// below.
inline auto PidsOf(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  return Probe{"PIDs of it", "NSpid in " + path, [pid] {
                 return ReadField("/proc/" + std::to_string(pid) + "/status",
                                  "NSpid");
               }};
}

// Forks until the kernel refuses it, and ends all of them. Gives how many
// there were.
inline const Probe kChildren{
    "children", "fork(2)", [] {
      std::vector<pid_t> children;
      pid_t pid = 0;
      while (children.size() < 1000 && (pid = fork()) > 0) {
        children.push_back(pid);
      }
      if (pid == 0) {
        pause();
        _exit(EXIT_SUCCESS);
      }
      if (pid == -1)
        TellCall({.text = "fork()",
                  .result = -1,
                  .error = errno,
                  .place = Place::Here()});
      for (const pid_t child : children) kill(child, SIGKILL);
      for (const pid_t child : children) waitpid(child, nullptr, 0);
      return children.size();
    }};

}  // namespace steps

#endif  // LESSONS_CONTAINER_LOOK_H_
