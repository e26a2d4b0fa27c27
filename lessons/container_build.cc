// A container, part by part: what container.cc shows, and container_run.cc
// runs a command in.

#include "lessons/container_build.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/interfaces.h"
#include "common/namespaces.h"
#include "common/tcp.h"
#include "lessons/container_root.h"

namespace steps {
namespace {

constexpr int kMemory = 256;  // MiB

struct Limit {
  std::string controller;
  std::string file_1;  // In version 1 of cgroups,
  std::string file_2;  // and in version 2.
  std::string value;
};

const std::array<Limit, 2>& Limits() {
  static const std::array<Limit, 2> limits = {{
      {"pids", "pids.max", "pids.max", fmt::to_string(kProcesses)},
      {"memory", "memory.limit_in_bytes", "memory.max",
       fmt::to_string(kMemory * 1024 * 1024)},
  }};
  return limits;
}

void WriteTo(Side& side, int folder, const std::string& file,
             const std::string& text) {
  const Descriptor fd(openat(folder, file.c_str(), O_WRONLY | O_CLOEXEC));
  side.Check(fd.get(), "openat({}, \"{}\", O_WRONLY)", folder, file);
  const ssize_t written = write(fd.get(), text.data(), text.size());
  side.Check(written, "write({}, \"{}\", {})", fd.get(), text, text.size());
}

// Moves the calling process, which is 0, into the container's cgroups.
void Enter(Side& side, const std::map<std::string, Cgroup>& cgroups) {
  for (const auto& [hierarchy, cgroup] : cgroups) {
    WriteTo(side, cgroup.folder(), "cgroup.procs", "0");
  }
}

// Gives an interface its address, unless the kernel does, and sets it up.
void Configure(Side& side, const std::string& name, const char* ip) {
  const Descriptor socket = MakeTcpSocket();
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ip != nullptr) {
    const sockaddr_in address = Ipv4(ip);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    const int result = ioctl(socket.get(), SIOCSIFADDR, &request);
    side.Check(result, "ioctl({}, SIOCSIFADDR, {{\"{}\", \"{}\"}})",
               socket.get(), name, ip);
  }
  Check(ioctl(socket.get(), SIOCGIFFLAGS, &request),
        "ioctl({}, SIOCGIFFLAGS, \"{}\")", socket.get(), name);
  request.ifr_flags |= IFF_UP;
  const int result = ioctl(socket.get(), SIOCSIFFLAGS, &request);
  side.Check(result, "ioctl({}, SIOCSIFFLAGS, {{\"{}\", IFF_UP}})",
             socket.get(), name);
}

// The other end of the container's link. It tells whoever connects which
// address it sees.
void Gateway(Line& line, pid_t container) {
  Side side("gateway", line);
  const Descriptor route = MakeRouteSocket();
  const std::string message = VethMessage("veth0", "eth0", container);
  const auto size = send(route.get(), message.data(), message.size(), 0);
  side.Check(size,
             "sendto({}, {{RTM_NEWLINK, \"veth\", \"veth0\", \"eth0\"}})",
             route.get());
  CheckAnswer(route, "RTM_NEWLINK(\"veth\")");
  Configure(side, "veth0", kGateway);
  const Descriptor listener = MakeTcpSocket();
  Check(Bind(listener, kGateway, kGatewayPort), "bind({})", listener.get());
  Check(listen(listener.get(), 8), "listen({}, 8)", listener.get());
  side.Show({FromInterfaces()});
  while (true) {
    sockaddr_in peer = {};
    socklen_t length = sizeof peer;
    const Descriptor socket(accept4(listener.get(),
                                    reinterpret_cast<sockaddr*>(&peer),
                                    &length, SOCK_CLOEXEC));
    Check(socket.get(), "accept({})", listener.get());
    const std::string said = fmt::format("{}\n", inet_ntoa(peer.sin_addr));
    send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL);
  }
}

void DropPrivileges(Side& side) {
  int result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  side.Check(result, "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)");

  const std::unique_ptr<void, int (*)(void*)> own(cap_get_proc(), cap_free);
  auto* const set = static_cast<cap_t>(own.get());
  Check(set == nullptr ? -1 : 0, "cap_get_proc()");
  for (int cap = 0; cap_get_bound(cap) >= 0; ++cap) {
    if ((kEnginesCapabilities >> cap & 1) == 1) continue;
    result = prctl(PR_CAPBSET_DROP, cap);
    if (cap == CAP_SYS_ADMIN) {
      side.Check(result, "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)");
    }
    Check(result, "prctl(PR_CAPBSET_DROP, {})", cap);
    for (const cap_flag_t flag :
         {CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE}) {
      Check(cap_set_flag(set, flag, 1, &cap, CAP_CLEAR), "cap_set_flag()");
    }
  }
  Check(cap_set_proc(set), "cap_set_proc()");
}

}  // namespace

Finding FromInterfaces() {
  std::string all;
  for (const auto& [name, state] : Interfaces())
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, state);
  return {"interfaces", all, "getifaddrs(3)"};
}

Finding FromBoundingSet() {
  std::uint64_t set = 0;
  for (int cap = 0; cap_get_bound(cap) >= 0; ++cap) {
    if (cap_get_bound(cap) == 1) set |= std::uint64_t{1} << cap;
  }
  return {"bounding", fmt::format("{:#x}", set), "prctl(PR_CAPBSET_READ)"};
}

Finding FromEffectiveSet() {
  const std::unique_ptr<void, int (*)(void*)> own(cap_get_proc(), cap_free);
  auto* const caps = static_cast<cap_t>(own.get());
  Check(caps == nullptr ? -1 : 0, "cap_get_proc()");
  std::uint64_t set = 0;
  for (int cap = 0; cap_get_bound(cap) >= 0; ++cap) {
    cap_flag_value_t has = CAP_CLEAR;
    Check(cap_get_flag(caps, cap, CAP_EFFECTIVE, &has), "cap_get_flag()");
    if (has == CAP_SET) set |= std::uint64_t{1} << cap;
  }
  return {"effective", fmt::format("{:#x}", set), "capget(2)"};
}

Finding FromNoNewPrivileges() {
  return {"no_new_privs",
          fmt::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
          "prctl(PR_GET_NO_NEW_PRIVS)"};
}

void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  Check(sigprocmask(SIG_BLOCK, &all, nullptr), "sigprocmask(SIG_BLOCK)");
}

void RelaySignals(pid_t pid, const std::function<bool()>& has_ended) {
  sigset_t all;
  sigfillset(&all);
  while (true) {
    siginfo_t info = {};
    if (sigwaitinfo(&all, &info) == -1) {
      if (errno == EINTR) continue;
      throw CallError(errno, "sigwaitinfo()");
    }
    if (info.si_signo == SIGCHLD) {
      if (has_ended()) return;
    } else {
      kill(pid, info.si_signo);
    }
  }
}

int RunInit(Side& init, const std::function<bool(pid_t)>& is_to_tell,
            const std::function<int()>& command) {
  // A signal that is blocked waits, even for PID 1, which would ignore it.
  BlockSignals();
  const pid_t pid = Check(fork(), "fork()");
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    Check(sigprocmask(SIG_SETMASK, &none, nullptr), "sigprocmask()");
    _exit(command());
  }
  int status = 0;
  RelaySignals(pid, [&] {
    while (true) {
      const pid_t ended = wait4(-1, &status, WNOHANG | WSTOPPED, nullptr);
      if (ended > 0 && WIFSTOPPED(status)) {
        kill(-ended, SIGCONT);  // Nobody is there who would wake it again.
        continue;
      }
      if (ended == pid || ended <= 0) return ended == pid;
      if (!is_to_tell(ended)) continue;
      init.Check(ended, "wait4(-1, &status, WNOHANG | WSTOPPED, NULL)");
      init.Show({{"reaped", fmt::to_string(ended), "wait4(2)"}});
    }
  });
  return ExitStatus(status);
}

Outcome Container::Limit(Lesson& lesson, Side& outside) {
  Outcome outcome = lesson.Attempt([&] {
    std::string set;
    Side quiet("outside", [](const Event&) {});
    for (const steps::Limit& limit : Limits()) {
      const auto place = FindCgroupPlace(limit.controller);
      if (!place) continue;
      const auto& [hierarchy, cgroup] =
          *cgroups_
               .try_emplace(place->controllers, *place,
                            std::vector<std::string>())
               .first;
      const int folder = cgroup.folder();
      const std::string& file =
          hierarchy.empty() ? limit.file_2 : limit.file_1;
      // Of version 2 it may be that another cgroup has this controller.
      if (faccessat(folder, file.c_str(), F_OK, 0) == -1) continue;
      // Shown for one of them: the file of the other has two names.
      WriteTo(limit.file_1 == limit.file_2 ? outside : quiet, folder, file,
              limit.value);
      const Descriptor fd(
          openat(folder, file.c_str(), O_RDONLY | O_CLOEXEC));
      Check(fd.get(), "openat(\"{}\")", file);
      const long value = std::stol(ReadAll(fd.get()));
      set += limit.controller == "pids"
                 ? fmt::format("{} processes", value)
                 : fmt::format("{}{} MiB", set.empty() ? "" : ", ",
                               value / 1024 / 1024);
    }
    if (set.find("processes") == std::string::npos) return false;
    // Not everybody who may make a cgroup may enter it.
    Child trial([&](Line&) { Enter(quiet, cgroups_); });
    trial.Fork();
    trial.Finish();
    limits_ = set;
    return true;
  });
  if (outcome.holds == false) {
    outcome = {std::nullopt, "No cgroup here has children with limits."};
  }
  if (!outcome.holds) cgroups_.clear();
  return outcome;
}

void Container::Build(Line& line) const {
  Side inside("inside", line);
  Enter(inside, cgroups_);
  // Not sooner: the cgroup in which it is made is its root.
  int result = unshare(CLONE_NEWCGROUP);
  inside.Check(result, "unshare({})", CloneFlags(CLONE_NEWCGROUP));
  result = sethostname(kName, std::strlen(kName));
  inside.Check(result, "sethostname(\"{}\", {})", kName,
               std::strlen(kName));
  MakeRoot(inside, image_);
  utsname names = {};
  Check(uname(&names), "uname()");
  inside.Show({{"hostname", names.nodename, "uname(2)"}, FromRoot(image_)});
  line.Checkpoint();

  Configure(inside, "lo", nullptr);
  if (if_nametoindex("eth0") != 0) {
    Configure(inside, "eth0", kAddress);
    AwaitOperational("eth0");
  }
  inside.Show({FromInterfaces()});
  line.Checkpoint();

  DropPrivileges(inside);
  inside.Show({FromBoundingSet(), FromNoNewPrivileges()});
  line.Checkpoint();
}

void Container::Start(Side& outside, Init init) {
  int flags = 0;
  for (const auto& [flag, id] : NamespacesOf(getpid())) flags |= flag;
  flags &= ~(CLONE_NEWUSER | CLONE_NEWCGROUP);
  init_.emplace([this, init = std::move(init)](Line& line) {
    Build(line);
    _exit(init(line));
  });
  clone_args args = {};
  args.flags = static_cast<unsigned>(flags);
  args.exit_signal = SIGCHLD;
  const auto pid =
      static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) Child::Main(&*init_);  // It never comes back.
  outside.Check(init_->Started(pid),
                "clone3({{flags={}, exit_signal=SIGCHLD}}, {})",
                CloneFlags(flags), sizeof args);
  root_ = outside.Hear(*init_);
}

Outcome Container::Connect(Lesson& lesson, Side& outside) {
  const pid_t container = init_->pid();
  Outcome connected = lesson.Attempt([&] {
    Child& gateway =
        gateway_.emplace([=](Line& line) { Gateway(line, container); });
    const int flags = CLONE_NEWNET | SIGCHLD;
    const pid_t pid =
        clone(Child::Main, gateway.stack_top(), flags, &gateway);
    outside.Check(gateway.Started(pid), "clone({})", CloneFlags(flags));
    outside.Hear(gateway);
    return true;
  });
  init_->Release();
  interfaces_ = outside.Hear(*init_).Value("interfaces");
  return connected;
}

void Container::Confine(Side& outside) {
  init_->Release();
  confined_ = outside.Hear(*init_);
}

Table Container::Parts() const {
  const pid_t pid = init_->pid();
  const auto link = [pid](const std::string& kind) {
    return FromLink("", fmt::format("/proc/{}/ns/{}", pid, kind)).value;
  };
  const bool has_time = NamespacesOf(pid).contains(CLONE_NEWTIME);
  unsigned root = 0;
  unsigned uid = 0;
  std::istringstream(ReadFile(fmt::format("/proc/{}/uid_map", pid))) >>
      root >> uid;
  return {
      {"part", "here", "lesson", "docker run"},
      {{"hostname", root_.Value("hostname"), "uts",
        fmt::format("--hostname {}", kName)},
       {"processes", link("pid"), "pid", "--init"},
       {"IPC", link("ipc"), "ipc", "--ipc private"},
       {"mounts", link("mnt"), "mount", "--tmpfs, --volume"},
       {"root", root_.Value("programs"), "chroot", "IMAGE"},
       {"user", fmt::format("{} is {} outside", root, uid), "user",
        "(rootless mode)"},
       {"capabilities", confined_.Value("bounding"), "user",
        "--cap-add, --cap-drop"},
       {"no_new_privs", confined_.Value("no_new_privs"), "user",
        "--security-opt no-new-privileges"},
       {"network", interfaces_, "net", "--network"},
       {"limits", limits_, "cgroup",
        fmt::format("--pids-limit {} --memory {}m", kProcesses, kMemory)},
       {"clocks", has_time ? link("time") : "this machine's", "time",
        "(none)"}}};
}

}  // namespace steps
