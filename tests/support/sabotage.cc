// A tracer that changes system calls on their way into the kernel and back.
//
//     test --- tracer --- PID 1 of the stand-in --- the command --- its
//     children
//
// The tracer stays outside of the stand-in, where /proc knows every process. It
// traces PID 1 so that it gets all that PID 1 starts, but never lies to it.

#include "tests/support/sabotage.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

using std::uint64_t;

// A system call that a name stands for. Its arguments, a letter each: s a
// string, d a descriptor, n a byte count, k clone's flags, u unshare's flags, c
// the address of a clone_args, . another.
struct Call {
  std::string_view name;
  long number;
  std::string_view arguments;
};

constexpr long kAny = -1;

constexpr Call kCalls[] = {
    {"any", kAny, ""},
    {"clone", SYS_clone, "k"},
    {"clone", SYS_clone3, "c"},
#ifdef SYS_fork  // Architectures that came late have only the *at() calls.
    {"clone", SYS_fork, ""},
    {"clone", SYS_vfork, ""},
    {"open", SYS_open, "s"},
    {"readlink", SYS_readlink, "s"},
    {"rmdir", SYS_rmdir, "s"},
    {"stat", SYS_stat, "s"},
#endif
    {"open", SYS_openat, "ds"},
    {"readlink", SYS_readlinkat, "ds"},
    {"rmdir", SYS_unlinkat, "ds"},
    {"stat", SYS_newfstatat, "ds"},
    {"unshare", SYS_unshare, "u"},
    {"setns", SYS_setns, "d"},
    {"sethostname", SYS_sethostname, "s"},
    {"setdomainname", SYS_setdomainname, "s"},
    {"mount", SYS_mount, "sss"},
    {"mount_setattr", SYS_mount_setattr, "ds"},
    {"umount2", SYS_umount2, "s"},
    {"pivot_root", SYS_pivot_root, "ss"},
    {"chroot", SYS_chroot, "s"},
    {"fchdir", SYS_fchdir, "d"},
    {"kill", SYS_kill, ""},
    {"waitpid", SYS_wait4, ""},
    {"read", SYS_read, "d"},
    {"write", SYS_write, "d.n"},
    {"sendto", SYS_sendto, "d.n"},
    {"ioctl", SYS_ioctl, "d"},
    {"msgget", SYS_msgget, ""},
    {"semget", SYS_semget, ""},
    {"bind", SYS_bind, "d"},
    {"connect", SYS_connect, "d"},
    {"accept", SYS_accept4, "d"},
    {"recv", SYS_recvfrom, "d"},
    {"recvmsg", SYS_recvmsg, "d"},
    {"sendmsg", SYS_sendmsg, "d"},
    {"capset", SYS_capset, ""},
    {"geteuid", SYS_geteuid, ""},
    {"getpid", SYS_getpid, ""},
    {"getppid", SYS_getppid, ""},
    {"uname", SYS_uname, ""},
};

// What the tracer and PID 1 tell the test, in memory that all three share.
struct Report {
  std::atomic<bool> ready = false;  // The command is about to begin.
  int status = SIGKILL;             // The command's wait status.
  bool told = false;
  int number = 0;  // Of the call that it was told about.
};

std::atomic<bool> late = false;

// ptrace(2). False if the process is gone: it may be killed at any moment.
bool Trace(__ptrace_request request, pid_t pid, uint64_t address,
           const void* data) {
  if (ptrace(request, pid, address, data) != -1) return true;
  if (errno == ESRCH) return false;
  throw CallError(errno, fmt::format("ptrace({:#x}, {})",
                                     static_cast<unsigned>(request), pid));
}

// Changes registers of a process, in a system call that it enters or leaves.
template <typename Function>
void ChangeRegisters(pid_t pid, Function change) {
  user_regs_struct registers = {};
  iovec all = {.iov_base = &registers, .iov_len = sizeof registers};
  if (!Trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all)) return;
  change(registers);
  Trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
}

#if defined(__x86_64__)
void SetFirstArgument(pid_t pid, uint64_t value) {
  ChangeRegisters(pid, [&](user_regs_struct& to) { to.rdi = value; });
}
void SetAnswer(pid_t pid, long value) {
  ChangeRegisters(pid, [&](user_regs_struct& to) {
    to.rax = static_cast<uint64_t>(value);
  });
}
void SkipCall(pid_t pid) {
  ChangeRegisters(pid,
                  [](user_regs_struct& to) { to.orig_rax = ~uint64_t{0}; });
}
constexpr bool kAnswerReplacesArgument = false;
#elif defined(__aarch64__)
void SetFirstArgument(pid_t pid, uint64_t value) {
  ChangeRegisters(pid, [&](user_regs_struct& to) { to.regs[0] = value; });
}
void SetAnswer(pid_t pid, long value) {
  SetFirstArgument(pid, static_cast<uint64_t>(value));
}
void SkipCall(pid_t pid) {
  int none = -1;
  const iovec number = {.iov_base = &none, .iov_len = sizeof none};
  Trace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &number);
}
constexpr bool kAnswerReplacesArgument = true;
#else
#error "Which registers hold a system call's number, argument and answer?"
#endif

Descriptor Memory(pid_t pid) {
  return Descriptor(
      open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDWR | O_CLOEXEC));
}

// Of a process that has been killed, the empty string.
std::string StringAt(pid_t pid, uint64_t address) {
  std::array<char, 4097> text = {};  // PATH_MAX, and a 0 behind it.
  const ssize_t size = pread(Memory(pid).get(), text.data(), text.size() - 1,
                             static_cast<off_t>(address));
  return size > 0 ? text.data() : "";
}

std::string DescriptorName(pid_t pid, uint64_t fd) {
  std::error_code none;
  return std::filesystem::read_symlink(
      fmt::format("/proc/{}/fd/{}", pid, static_cast<int>(fd)), none);
}

uint64_t FlagsAt(pid_t pid, uint64_t address) {
  uint64_t flags = 0;
  const ssize_t size = pread(Memory(pid).get(), &flags, sizeof flags,
                             static_cast<off_t>(address));
  return size > 0 ? flags : 0;
}

void SetFlagsAt(pid_t pid, uint64_t address, uint64_t flags) {
  // It fails where the process has been killed: then nobody reads them.
  [[maybe_unused]] const ssize_t size = pwrite(
      Memory(pid).get(), &flags, sizeof flags, static_cast<off_t>(address));
}

using Arguments = decltype(__ptrace_syscall_info{}.entry.args);

class Tracer {
 public:
  Tracer(const Command& command, const Lie& lie, Report& report)
      : begun_(command.program.empty()), lie_(lie), report_(report) {
    for (const Call& call : kCalls) {
      if (call.name == lie.call) calls_.push_back(call);
    }
    if (calls_.empty()) {
      throw std::invalid_argument("a lie about an unknown call: " + lie.call);
    }
    if (lie.occurrence < 1) {
      throw std::invalid_argument("a lie counts from 1");
    }
    if (lie.drop != 0 && (calls_[0].arguments.empty() ||
                          !strchr("kuc", calls_[0].arguments[0]))) {
      throw std::invalid_argument(lie.call + " has no CLONE_NEW* flags");
    }
  }

  // Traces PID 1 of a stand-in and all that it starts to their end; what is
  // there at the deadline is killed, and named. The wait status of PID 1.
  int Run(pid_t init, std::string& hung) {
    init_ = init;
    processes_ = {init};
    int init_status = 0;
    while (true) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, __WALL);
      const int error = errno;
      if (pid == -1 && error == ECHILD) return init_status;
      if (late && hung.empty()) hung = KillAll();
      if (pid == -1) continue;  // The deadline.
      if (WIFSTOPPED(status)) {
        processes_.insert(pid);
        if (!hung.empty()) kill(pid, SIGKILL);
        Resume(pid, status);
      } else {
        if (pid == init_) init_status = status;
        processes_.erase(pid);
        entered_.erase(pid);
      }
    }
  }

 private:
  // A call that matches, while it is in the kernel.
  struct Entered {
    bool told = false;
    uint64_t argument = 0;  // The first one …
    uint64_t flags = 0;     // … and the flags in it or at its address.
    bool flags_at_address = false;
    long answer = 0;
  };

  std::string KillAll() {
    std::string names;
    for (const pid_t pid : processes_) {
      std::string name = "?\n";
      try {
        name = ReadFile(fmt::format("/proc/{}/comm", pid));
      } catch (const CallError&) {
      }
      if (pid != init_) names += fmt::format("{} {}", pid, name);
      kill(pid, SIGKILL);
    }
    return names.empty() ? fmt::format("{} the stand-in\n", init_) : names;
  }

  // Whether `call` stands for the one with this number. These do not return;
  // brk(2) gives an address, and never an errno.
  static bool Matches(const Call& call, long number) {
    constexpr std::array kNeverFail = {SYS_brk, SYS_exit, SYS_exit_group,
                                       SYS_restart_syscall, SYS_rt_sigreturn};
    return call.number == number ||
           (call.number == kAny &&
            std::ranges::find(kNeverFail, number) == kNeverFail.end());
  }

  // Lets a process go on that has stopped.
  void Resume(pid_t pid, int status) {
    const int event = status >> 16;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      EnterOrLeave(pid);
      signal = 0;
    } else if (event != 0) {
      if (event == PTRACE_EVENT_EXEC) {
        begun_ = begun_ || report_.ready;
        entered_.erase(pid);  // A thread may have taken its PID.
      }
      signal = 0;
    }
    // As ptrace(2) wants it. NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* data = reinterpret_cast<const void*>(std::intptr_t{signal});
    Trace(over_ ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0, data);
  }

  void EnterOrLeave(pid_t pid) {
    __ptrace_syscall_info info = {};
    if (!Trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info)) return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) Leave(pid, info.exit.rval);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || pid == init_) return;
    if (!begun_ || !report_.ready) return;
    for (const Call& call : calls_) {
      const auto number = static_cast<long>(info.entry.nr);
      if (Matches(call, number)) Enter(pid, call, number, info.entry.args);
    }
  }

  void Enter(pid_t pid, const Call& call, long number,
             const Arguments& arguments);
  void Leave(pid_t pid, long answer);
  bool MatchesPath(pid_t pid, const Call& call,
                   const Arguments& arguments) const;

  bool begun_;
  pid_t init_ = -1;
  std::vector<Call> calls_;
  const Lie& lie_;
  Report& report_;
  int count_ = 0;
  bool over_ = false;  // The lie is told: no call is of interest any more.
  std::set<pid_t> processes_;
  std::map<pid_t, Entered> entered_;
};

// Whether `lie.path` is in one of the arguments.
bool Tracer::MatchesPath(pid_t pid, const Call& call,
                         const Arguments& arguments) const {
  if (lie_.path.empty()) return true;
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    std::string text;
    if (call.arguments[i] == 's') text = StringAt(pid, arguments[i]);
    if (call.arguments[i] == 'd') text = DescriptorName(pid, arguments[i]);
    if (text.find(lie_.path) != std::string::npos) return true;
  }
  return false;
}

void Tracer::Enter(pid_t pid, const Call& call, long number,
                   const Arguments& arguments) {
  Entered entered = {.argument = arguments[0], .flags = arguments[0]};
  const char kind = call.arguments.empty() ? '.' : call.arguments[0];
  entered.flags_at_address = kind == 'c';
  if (kind == 'c') entered.flags = FlagsAt(pid, arguments[0]);
  if (lie_.drop != 0) {
    const auto drop = static_cast<uint64_t>(lie_.drop);
    // The lowest byte of clone's flags is a signal; in unshare's and clone3's,
    // it has CLONE_NEWTIME.
    const uint64_t flags =
        kind == 'k' ? entered.flags & ~uint64_t{CSIGNAL} : entered.flags;
    if (!strchr("kuc", kind) || (flags & drop) != drop) return;
  }
  if (call.number == SYS_unlinkat && (arguments[2] & AT_REMOVEDIR) == 0) return;
  if (!MatchesPath(pid, call, arguments)) return;

  ++count_;
  entered.told = !report_.told && count_ == lie_.occurrence;
  if (entered.told) {
    report_.told = true;
    report_.number = static_cast<int>(number);
    const uint64_t flags = entered.flags & ~static_cast<uint64_t>(lie_.drop);
    const std::size_t size = call.arguments.find('n');
    entered.answer = lie_.answer.value_or(
        size == call.arguments.npos ? 0 : static_cast<long>(arguments[size]));
    // A close(2) that fails has closed all the same.
    const bool closes = call.number == kAny && number == SYS_close;
    if (lie_.drop == 0) {
      if (!closes) SkipCall(pid);
    } else if (entered.flags_at_address) {
      SetFlagsAt(pid, entered.argument, flags);
    } else {
      SetFirstArgument(pid, flags);
    }
  }
  entered_[pid] = entered;
}

void Tracer::Leave(pid_t pid, long answer) {
  const auto node = entered_.extract(pid);
  if (node.empty()) return;
  const Entered& entered = node.mapped();
  // ERESTARTSYS and its kin, which only a tracer sees: a signal interrupts the
  // call.
  constexpr std::array kInterrupted = {-512L, -513L, -514L, -516L};
  if (std::ranges::find(kInterrupted, answer) != kInterrupted.end()) {
    --count_;
    if (entered.told) report_.told = false;
  }
  if (!entered.told) return;
  over_ = report_.told;
  if (lie_.drop == 0) {
    SetAnswer(pid, entered.answer);
  } else if (entered.flags_at_address) {
    SetFlagsAt(pid, entered.argument, entered.flags);
  } else if (!kAnswerReplacesArgument) {
    SetFirstArgument(pid, entered.argument);
  }
}

constexpr int kStandIn =
    CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET;

// As fork(2), into new namespaces.
pid_t StartStandIn() {
  const long pid = syscall(SYS_clone, kStandIn | SIGCHLD, nullptr, nullptr,
                           nullptr, nullptr);
  return static_cast<pid_t>(Check(pid, "clone({:#x})", kStandIn | SIGCHLD));
}

// One run, from the tracer's process on.
struct Run {
  const Command& command;
  const LieOptions& options;
  Report& report;
  Tracer& tracer;
  Descriptor hung = MemoryFile("hung");
  Descriptor before = MemoryFile("before");
  Descriptor after = MemoryFile("after");

  int Trace(pid_t test);
  int BeInit();
  [[noreturn]] void BecomeCommand();
};

// The tracer's process.
int Run::Trace(pid_t test) {
  Check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl(PR_SET_PDEATHSIG, SIGKILL)");
  if (getppid() != test) return EXIT_FAILURE;
  std::array<int, 2> ends = {};
  Check(pipe2(ends.data(), O_CLOEXEC), "pipe2()");
  Descriptor traced(ends[0]);
  Descriptor release(ends[1]);
  const pid_t init = StartStandIn();
  if (init == 0) {
    release.Close();
    char byte = 0;
    if (read(traced.get(), &byte, 1) != 1) _exit(EXIT_FAILURE);
    Become({.function = [this] { return BeInit(); }});
  }
  constexpr std::uintptr_t kOptions =
      PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
      PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  steps::Trace(PTRACE_SEIZE, init, 0, reinterpret_cast<void*>(kOptions));

  // Again and again, because the first may come just before a waitpid().
  struct sigaction action = {};
  action.sa_handler = [](int) { late = true; };
  Check(sigaction(SIGALRM, &action, nullptr), "sigaction(SIGALRM)");
  const auto us = std::chrono::microseconds(options.deadline).count();
  const itimerval timer = {
      .it_interval = {.tv_sec = 0, .tv_usec = 100'000},
      .it_value = {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000}};
  Check(setitimer(ITIMER_REAL, &timer, nullptr), "setitimer()");

  WriteAll(release.get(), "x");
  std::string names;
  const int status = tracer.Run(init, names);
  WriteAll(hung.get(), names);
  return status == 0 || !names.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

// PID 1 of the stand-in.
int Run::BeInit() {
  Check(mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
        "mount(\"/\", MS_REC | MS_PRIVATE)");
  Check(mount("proc", "/proc", "proc", 0, nullptr), "mount(\"/proc\")");
  if (options.look) WriteAll(before.get(), options.look());
  const pid_t pid = Check(fork(), "fork()");
  if (pid == 0) BecomeCommand();
  int status = 0;
  for (pid_t ended = 0; (ended = wait(&status)) != -1;) {
    if (ended == pid) report.status = status;
  }
  report.ready = false;
  if (options.look) WriteAll(after.get(), options.look());
  return EXIT_SUCCESS;
}

void Run::BecomeCommand() {
  Command ready = command;
  ready.before = [this] {
    if (command.before) command.before();
    report.ready = true;
  };
  if (command.program.empty()) {
    ready.function = [&] {
      ready.before();
      return command.function();
    };
  }
  Become(ready);
}

}  // namespace

std::string Describe(const Lie& lie) {
  std::string text = lie.call;
  if (lie.occurrence != 1) text += fmt::format(":{}", lie.occurrence);
  for (const Kind& kind : Kinds()) {
    if ((lie.drop & kind.flag) != 0) text += fmt::format("-{}", kind.flag_name);
  }
  if (lie.answer) text += fmt::format("={}", *lie.answer);
  if (!lie.path.empty()) text += "@" + lie.path;
  return text;
}

Lie ParseLie(const std::string& text) {
  static const std::regex kLie(
      "([a-z0-9_]+)(:[1-9][0-9]{0,8})?((?:-CLONE_NEW[A-Z]+)*)"
      "(=-?[0-9]{1,18})?(@.+)?");
  std::smatch part;
  if (!std::regex_match(text, part, kLie)) {
    throw std::invalid_argument("not a lie: " + text);
  }
  Lie lie = {.call = part[1]};
  if (part[2].matched) lie.occurrence = std::stoi(part.str(2).substr(1));
  std::istringstream names(part[3]);
  std::string name;
  std::getline(names, name, '-');  // Before the first "-" there is nothing.
  while (std::getline(names, name, '-')) {
    const auto kind = std::ranges::find(Kinds(), name, &Kind::flag_name);
    if (kind == Kinds().end()) {
      throw std::invalid_argument("not a flag: " + name);
    }
    lie.drop |= kind->flag;
  }
  if (part[4].matched) lie.answer = std::stol(part.str(4).substr(1));
  if (part[5].matched) lie.path = part.str(5).substr(1);
  return lie;
}

LieResult RunWithLie(const Command& command, const Lie& lie,
                     const LieOptions& options) {
  void* shared = mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw CallError(errno, "mmap(MAP_SHARED)");
  const auto unmap = [](Report* report) { munmap(report, sizeof *report); };
  const std::unique_ptr<Report, decltype(unmap)> report(new (shared) Report);

  Tracer tracer(command, lie, *report);
  Run run = {command, options, *report, tracer};
  const Result result = RunCommand(
      {.function = [&run, test = getpid()] { return run.Trace(test); },
       .input = command.input});
  if (result.status != 0) {
    throw std::runtime_error("the tracer failed: " + result.errors);
  }
  return {{report->status, result.output, result.errors},
          report->told,
          report->number,
          Contents(run.hung),
          Contents(run.before),
          Contents(run.after)};
}

std::string WhyNoLies() {
  if (!IsRoot()) return "only root can make a stand-in for the host";
  std::string reason;
  pid_t pid = -1;
  try {
    pid = StartStandIn();
    if (pid == 0) {
      pause();
      _exit(EXIT_FAILURE);
    }
    Trace(PTRACE_SEIZE, pid, 0, nullptr);
  } catch (const CallError& error) {
    reason = error.what();
  }
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, __WALL);
  }
  return reason;
}

}  // namespace steps
