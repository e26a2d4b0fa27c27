// A machine for one program, which reaches nothing of the reader's.

#include "lessons/check/host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/lesson/advice.h"
#include "lessons/check/launch.h"
#include "lessons/check/root.h"

namespace steps {
namespace {

constexpr int kJail = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
constexpr int kHost =
    kJail | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
constexpr const char* kProgram = "/tmp/program";  // What g++(1) makes.
constexpr const char* kCompiler = "/usr/bin/g++";
constexpr uid_t kNobody = 65534;
constexpr int kCompilation = 60'000;  // Milliseconds.

void WriteMaps(const std::string& proc, unsigned inside, unsigned outside) {
  for (const char* file : {"/gid_map", "/uid_map"}) {
    WriteFile(proc + file, fmt::format("{} {} 1", inside, outside));
  }
}

// Root of the machine becomes nobody there: the kernel lets its uid 0 write
// to /proc/sys from any user namespace.
void MapJail(Process& jail) {
  if (geteuid() != 0 ||
      !ReadText("/proc/self/uid_map")
           .starts_with(fmt::format("{:>10} {:>10} ", 0, 0))) {
    jail.MapRoot();
    return;
  }
  try {
    WriteMaps(fmt::format("/proc/{}", jail.pid()), 0, kNobody);
  } catch (const CallError& error) {
    throw ExplainedError(
        error.what(),
        {"Root may not become another user here, and as root no program "
         "of yours is run.",
         "run it as an ordinary user"});
  }
  jail.Run([] {
    MUST(setgroups, 0, nullptr);
    MUST(setresgid, 0, 0, 0);
    MUST(setresuid, 0, 0, 0);
    // As after an exec: until then /proc/self stays root's. prctl(2).
    MUST(prctl, PR_SET_DUMPABLE, 1);
  });
}

// The host's own settings, as a machine has them when it has booted.
void SetUpHost() {
  constexpr int kJoinSessionKeyring = 1;
  syscall(SYS_keyctl, kJoinSessionKeyring, nullptr);
  MUST(sethostname, "host", 4);
  MUST(mount, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
       nullptr);
  MUST(mount, "none", "/", nullptr, MS_REC | MS_SHARED, nullptr);
  MUST(ioctl, OpenSocket(AF_INET, SOCK_DGRAM), SIOCSIFFLAGS, "lo", IFF_UP);
  MUST(setsid);
  MUST(::ioctl, STDIN_FILENO, TIOCSCTTY, 0);
  // Root of the host could otherwise take hold of this process. ptrace(2).
  MUST(prctl, PR_SET_DUMPABLE, 0);
}

// In the host: the program, and its wait status.
pid_t program = -1;
std::optional<int> program_status;

struct Ended {
  bool program;
  int status;
};

Ended ReapAll() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == program) program_status = status;
  }
  return {program_status.has_value(), program_status.value_or(0)};
}

// The PIDs of a process, one per level.
std::vector<int> Pids(const std::string& proc) {
  std::istringstream words(ReadField(proc + "/status", "NSpid"));
  return {std::istream_iterator<int>(words), {}};
}

// The jail is a level below this process, and the host one below the jail.
int PidAtLevel(pid_t pid, std::size_t below) {
  return Pids(fmt::format("/proc/{}", pid))
      .at(Pids("/proc/self").size() - 1 + below);
}

}  // namespace

int Host::PidOf(pid_t pid) { return PidAtLevel(pid, 2); }

Host::Host(const Order& order)
    : order_(order), jail_(Enter(order)), host_(jail_.Clone("host", kHost)) {
  host_.MustDiffer(jail_, kHost);
  jail_.Run([as_user = order.as_user] {
    WriteMaps(fmt::format("/proc/{}", ChildrenOf(getpid()).at(0)),
              as_user ? 1000 : 0, 0);
  });
  namespaces_ = NamespacesOf(host_.pid());
  host_.Run(SetUpHost);
  if (!order.with_target) return;
  target_.emplace(host_.Clone("target", CLONE_NEWUTS));
  target_->MustDiffer(host_, CLONE_NEWUTS);
  target_->Run([] {
    MUST(sethostname, "container_001", 13);
    MUST(prctl, PR_SET_DUMPABLE, 1);  // Or nobody could open its links.
  });
}

// The jail, and the terminal, which everything in it has for its stdin.
Process Host::Enter(const Order& order) {
  terminal_ = Descriptor(MUST(posix_openpt, O_RDWR | O_NOCTTY | O_NONBLOCK));
  MUST(fcntl, terminal_.get(), F_SETFD, FD_CLOEXEC);
  MUST(unlockpt, terminal_.get());
  std::array<char, 64> name = {};
  MUST(ptsname_r, terminal_.get(), name.data(), name.size());
  const Descriptor slave = Open(name.data(), O_RDWR | O_NOCTTY);
  const winsize size = {
      .ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  MUST(::ioctl, slave.get(), TIOCSWINSZ, &size);
  MUST(dup2, slave.get(), STDIN_FILENO);
  Process jail = outside_.Clone("jail", kJail);
  jail.MustDiffer(outside_, kJail);
  MapJail(jail);
  jail.Run([order = &order] { MakeThrowawayRoot(*order); });
  return jail;
}

std::string Host::Compile() {
  if (!order_.is_source) return "";
  if (access(kCompiler, X_OK) == -1) {
    throw ExplainedError(
        CallError(errno, fmt::format("execv(\"{}\")", kCompiler)).what(),
        {"g++ is not installed.", "sudo apt-get install g++"});
  }
  const int status = host_.Run(
      [order = &order_] {
        const pid_t pid =
            Launch({kCompiler, "-std=c++17", "-o", kProgram, order->argv[0]},
                   "/tmp");
        int ended = 0;
        MUST(waitpid, pid, &ended, 0);
        return ended;
      },
      kCompilation);
  if (status == 0) return "";
  const std::string said = Read();
  return said.empty() ? DescribeStatus(status) : said;
}

void Host::Start() {
  const pid_t target = target_ ? PidOf(target_->pid()) : 0;
  host_.Run([order = &order_, target] {
    std::vector<std::string> argv = order->argv;
    if (order->is_source) argv[0] = kProgram;
    if (target != 0) argv.push_back(ProcPath(target, "ns/uts"));
    program = Launch(argv, order->directory);
  });
}

std::optional<int> Host::Reap() {
  const Ended ended = host_.Run(ReapAll);
  return ended.program ? std::optional(ended.status) : std::nullopt;
}

std::string Host::Read() {
  std::string text;
  std::array<char, 4096> buffer = {};
  ssize_t size = 0;
  // As much as a program can write meanwhile, and no more.
  while (text.size() < 65536 &&
         (size = read(terminal_.get(), buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  std::erase(text, '\r');
  return text;
}

void Host::AwaitOutput(int milliseconds) const {
  pollfd ready = {.fd = terminal_.get(), .events = POLLIN, .revents = 0};
  poll(&ready, 1, milliseconds);
}

std::optional<pid_t> Host::target() const {
  return target_ ? std::optional(target_->pid()) : std::nullopt;
}

View Host::Look() { return ViewOf(host_.Run(Describe), host_.pid()); }

std::optional<View> Host::LookFrom(pid_t pid) {
  try {
    const std::string host_root = host_.Run(RootId);
    const pid_t in_jail = PidAtLevel(pid, 1);
    Process door = jail_.Clone("door", 0);
    door.Run([in_jail] {
      const Descriptor link = Open(ProcPath(in_jail, "ns/pid"), O_RDONLY);
      MUST(setns, link.get(), CLONE_NEWPID);
    });
    Process probe = door.Clone("probe", 0);
    const std::string whole =
        probe.Run([in_jail] { return JoinAll(in_jail); });
    View view = ViewOf(probe.Run(Describe), pid);
    const std::string root = probe.Run(RootId);
    view.proc_fits = probe.Run([] {
      std::error_code none;
      return std::filesystem::read_symlink("/proc/self", none) ==
             std::to_string(getpid());
    });
    // After pivot_root(".", "."), the old root is still mounted, on the new.
    const bool is_stacked =
        std::ranges::any_of(view.mounts, [&whole](const Mount& mount) {
          return mount.point == "/" && whole.starts_with(mount.device + " ");
        });
    view.chrooted = root != whole && root != host_root && !is_stacked;
    view.other_root = root != host_root;
    return view;
  } catch (const std::exception&) {
    return std::nullopt;  // It has ended, or does not let anybody in.
  }
}

}  // namespace steps
