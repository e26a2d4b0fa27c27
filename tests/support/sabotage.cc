// A tracer that changes system calls on their way into the kernel and back.
//
//     test --- tracer --- PID 1 of the stand-in --- the command
//
// The tracer stays outside of the stand-in, where /proc knows every process. It
// traces PID 1 so that it gets all that PID 1 starts, but never lies to it.

#include "tests/support/sabotage.h"

#include <elf.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <new>
#include <system_error>

#include "tests/support/test.h"

namespace steps {
namespace {

using std::uint64_t;
using std::chrono::steady_clock;

// See RunWithLie().
struct Lie {
  std::string call;
  int occurrence = 1;
  int drop = 0;  // The CLONE_NEW* flags to take out.
  std::optional<long> answer = {};
  std::string path = {};
};

Lie ParseLie(const std::string& text) {
  static const std::regex kLie(
      "([a-z0-9_]+)(?::([1-9][0-9]{0,8}))?((?:-CLONE_NEW[A-Z]+)*)"
      "(?:=(-?[0-9]{1,18}))?(?:@(.+))?");
  std::smatch part;
  if (!std::regex_match(text, part, kLie)) {
    throw std::invalid_argument("not a lie: " + text);
  }
  Lie lie = {.call = part[1], .path = part[5]};
  if (part[2].matched) lie.occurrence = std::stoi(part[2]);
  if (part[4].matched) lie.answer = std::stol(part[4]);
  for (const std::string& name : Matches(part[3], "-([A-Z_]+)")) {
    const auto kind = std::ranges::find(Kinds(), name, &Kind::flag_name);
    if (kind == Kinds().end()) {
      throw std::invalid_argument("not a flag: " + name);
    }
    lie.drop |= kind->flag;
  }
  return lie;
}

// The numbers of the system calls that a name stands for; none for "any".
std::set<long> NumbersOf(const std::string& name) {
  static const std::map<std::string, std::vector<std::string>> kCalls = {
      {"accept", {"accept4"}},
      {"any", {}},
      {"clone", {"clone", "clone3", "fork", "vfork"}},
      {"open", {"open", "openat"}},
      {"readlink", {"readlink", "readlinkat"}},
      {"recv", {"recvfrom"}},
      {"rmdir", {"rmdir", "unlinkat"}},
      {"stat", {"stat", "newfstatat"}},
      {"waitpid", {"wait4"}}};
  const auto found = kCalls.find(name);
  std::set<long> numbers;
  // What this architecture has not gets a number that no call has.
  for (const std::string& call :
       found == kCalls.end() ? std::vector{name} : found->second) {
    numbers.insert(seccomp_syscall_resolve_name(call.c_str()));
  }
  if (numbers.contains(__NR_SCMP_ERROR)) {
    throw std::invalid_argument("a lie about an unknown call: " + name);
  }
  return numbers;
}

// What the tracer and PID 1 tell the test, in memory that all three share.
struct Report {
  std::atomic<bool> ready = false;  // The command is about to begin.
  int status = SIGKILL;             // The command's wait status.
  bool told = false;
  int number = 0;  // Of the call that it was told about.
  Descriptor hung = MemoryFile("hung");
  Descriptor before = MemoryFile("before");
  Descriptor after = MemoryFile("after");
};

// ptrace(2). False if the process is gone: it may be killed at any moment.
bool Trace(__ptrace_request request, pid_t pid, uint64_t address,
           uint64_t data) {
  if (ptrace(request, pid, address, data) != -1) return true;
  if (errno == ESRCH) return false;
  throw CallError(errno, fmt::format("ptrace({:#x}, {})",
                                     static_cast<unsigned>(request), pid));
}

uint64_t AddressOf(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data);
}

// Sets a register of a process, in a system call that it enters or leaves.
void SetRegister(pid_t pid, std::size_t offset, uint64_t value) {
  user_regs_struct registers = {};
  iovec all = {.iov_base = &registers, .iov_len = sizeof registers};
  if (!Trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, AddressOf(&all))) return;
  std::memcpy(reinterpret_cast<char*>(&registers) + offset, &value,
              sizeof value);
  Trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, AddressOf(&all));
}

#if defined(__x86_64__)
constexpr std::size_t kFirstArgument = offsetof(user_regs_struct, rdi);
constexpr std::size_t kAnswer = offsetof(user_regs_struct, rax);
void SkipCall(pid_t pid) {
  SetRegister(pid, offsetof(user_regs_struct, orig_rax), ~uint64_t{0});
}
#elif defined(__aarch64__)
constexpr std::size_t kFirstArgument = offsetof(user_regs_struct, regs);
constexpr std::size_t kAnswer = kFirstArgument;
void SkipCall(pid_t pid) {
  int none = -1;
  const iovec number = {.iov_base = &none, .iov_len = sizeof none};
  Trace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, AddressOf(&number));
}
#else
#error "Which registers hold a system call's number, argument and answer?"
#endif

// Empty where that is no address, or the process has been killed.
std::string StringAt(pid_t pid, uint64_t address) {
  std::array<char, 4097> text = {};  // PATH_MAX, and a 0 behind it.
  const Descriptor memory(
      open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = pread(memory.get(), text.data(), text.size() - 1,
                             static_cast<off_t>(address));
  return size > 0 ? text.data() : "";
}

std::string DescriptorName(pid_t pid, uint64_t fd) {
  std::error_code none;
  return std::filesystem::read_symlink(
      fmt::format("/proc/{}/fd/{}", pid, static_cast<int>(fd)), none);
}

using Arguments = decltype(__ptrace_syscall_info{}.entry.args);

// The CLONE_NEW* flags that a call has.
uint64_t FlagsOf(pid_t pid, long number, const Arguments& arguments) {
  if (number == SYS_clone3) {
    return static_cast<uint64_t>(
        ptrace(PTRACE_PEEKDATA, pid, arguments[0], nullptr));
  }
  // The lowest byte of clone's flags is a signal, and not CLONE_NEWTIME.
  if (number == SYS_clone) return arguments[0] & ~uint64_t{CSIGNAL};
  return number == SYS_unshare ? arguments[0] : 0;
}

constexpr int kStandIn =
    CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET;

class Tracer {
 public:
  Tracer(const Command& command, const Lie& lie,
         const std::function<std::string()>& look, Report& report)
      : command_(command),
        lie_(lie),
        look_(look),
        report_(report),
        begun_(command.program.empty()),
        numbers_(NumbersOf(lie.call)) {
    if (lie.drop != 0 && !numbers_.contains(SYS_clone) &&
        !numbers_.contains(SYS_unshare)) {
      throw std::invalid_argument(lie.call + " has no CLONE_NEW* flags");
    }
  }

  // What the tracer's process does: its exit status.
  int Run(pid_t test, std::chrono::milliseconds deadline);

 private:
  // A call that matches, while it is in the kernel.
  struct Entered {
    bool told;
    long answer;
  };

  int BeInit() const;
  int TraceAll(steady_clock::time_point deadline);
  std::string KillAll() const;
  void Resume(pid_t pid, int status);
  bool Matches(pid_t pid, long number, const Arguments& arguments) const;
  void Enter(pid_t pid, long number, const Arguments& arguments);
  void Leave(pid_t pid, long answer);

  const Command& command_;
  const Lie lie_;
  const std::function<std::string()>& look_;
  Report& report_;
  bool begun_;
  const std::set<long> numbers_;
  pid_t init_ = -1;
  int count_ = 0;
  bool over_ = false;  // The lie is told: no call is of interest any more.
  std::set<pid_t> processes_;
  std::map<pid_t, Entered> entered_;
};

int Tracer::Run(pid_t test, std::chrono::milliseconds deadline) {
  MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != test) return EXIT_FAILURE;
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_CLOEXEC);
  Descriptor traced(ends[0]);
  Descriptor release(ends[1]);
  init_ = Fork(kStandIn);
  if (init_ == 0) {
    release.Close();
    if (ReadAll(traced.get()).empty()) _exit(EXIT_FAILURE);
    Become({.function = [this] { return BeInit(); }});
  }
  Trace(PTRACE_SEIZE, init_, 0,
        PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
            PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC);
  WriteAll(release.get(), "x");
  release.Close();
  return TraceAll(steady_clock::now() + deadline);
}

// Traces PID 1 and all that it starts to their end; what is there at the
// deadline is killed, and named.
int Tracer::TraceAll(steady_clock::time_point deadline) {
  std::string hung;
  processes_ = {init_};
  int init_status = 0;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  MUST(sigprocmask, SIG_BLOCK, &child, nullptr);
  int status = 0;
  const auto next = [&] { return waitpid(-1, &status, __WALL | WNOHANG); };
  for (pid_t pid = next(); pid != -1; pid = next()) {
    if (steady_clock::now() > deadline && hung.empty()) hung = KillAll();
    if (pid == 0) {
      constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 100'000'000};
      sigtimedwait(&child, nullptr, &kTick);
    } else if (WIFSTOPPED(status)) {
      processes_.insert(pid);
      if (!hung.empty()) kill(pid, SIGKILL);
      Resume(pid, status);
    } else {
      if (pid == init_) init_status = status;
      processes_.erase(pid);
      entered_.erase(pid);
    }
  }
  WriteAll(report_.hung.get(), hung);
  return init_status == 0 || !hung.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

// PID 1 of the stand-in.
int Tracer::BeInit() const {
  MakeMountsPrivate();
  MUST(mount, "proc", "/proc", "proc", 0, nullptr);
  if (look_) WriteAll(report_.before.get(), look_());
  const pid_t pid = MUST(fork);
  if (pid == 0) {
    Command ready = command_;
    ready.before = [this] {
      if (command_.before) command_.before();
      report_.ready = true;
    };
    Become(ready);
  }
  int status = 0;
  for (pid_t ended = 0; (ended = wait(&status)) != -1;) {
    if (ended == pid) report_.status = status;
  }
  report_.ready = false;
  if (look_) WriteAll(report_.after.get(), look_());
  return EXIT_SUCCESS;
}

std::string Tracer::KillAll() const {
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

// Lets a process go on that has stopped.
void Tracer::Resume(pid_t pid, int status) {
  const int event = status >> 16;
  const int stop = WSTOPSIG(status);
  const bool is_call = stop == (SIGTRAP | 0x80);
  __ptrace_syscall_info info = {};
  if (is_call &&
      Trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, AddressOf(&info))) {
    const bool enters = info.op == PTRACE_SYSCALL_INFO_ENTRY;
    if (!enters) Leave(pid, info.exit.rval);
    if (enters && pid != init_ && begun_ && report_.ready) {
      Enter(pid, static_cast<long>(info.entry.nr), info.entry.args);
    }
  }
  if (event == PTRACE_EVENT_EXEC) {
    begun_ = begun_ || report_.ready;
    entered_.erase(pid);  // A thread may have taken its PID.
  }
  const int signal = is_call || event != 0 ? 0 : stop;
  Trace(over_ ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0,
        static_cast<uint64_t>(signal));
}

bool Tracer::Matches(pid_t pid, long number, const Arguments& arguments) const {
  if (lie_.call == "any") {
    // These do not return; brk(2) gives an address, and never an errno.
    constexpr std::array kNeverFail = {SYS_brk, SYS_exit, SYS_exit_group,
                                       SYS_restart_syscall, SYS_rt_sigreturn};
    return std::ranges::find(kNeverFail, number) == kNeverFail.end();
  }
  const auto drop = static_cast<uint64_t>(lie_.drop);
  if (!numbers_.contains(number) ||
      (number == SYS_unlinkat && (arguments[2] & AT_REMOVEDIR) == 0) ||
      (drop != 0 && (FlagsOf(pid, number, arguments) & drop) != drop)) {
    return false;
  }
  return DescriptorName(pid, arguments[0]).find(lie_.path) !=
             std::string::npos ||
         std::any_of(arguments, arguments + 3, [&](uint64_t argument) {
           return StringAt(pid, argument).find(lie_.path) != std::string::npos;
         });
}

void Tracer::Enter(pid_t pid, long number, const Arguments& arguments) {
  if (!Matches(pid, number, arguments)) return;
  ++count_;
  const bool tells = !report_.told && count_ == lie_.occurrence;
  const bool has_size = number == SYS_write || number == SYS_sendto;
  entered_[pid] = {tells, lie_.answer.value_or(
                              has_size ? static_cast<long>(arguments[2]) : 0)};
  if (!tells) return;
  report_.told = true;
  report_.number = static_cast<int>(number);
  const auto drop = static_cast<uint64_t>(lie_.drop);
  if (drop == 0) {
    // A close(2) that fails has closed all the same.
    if (lie_.call != "any" || number != SYS_close) SkipCall(pid);
  } else if (number == SYS_clone3) {
    Trace(PTRACE_POKEDATA, pid, arguments[0],
          FlagsOf(pid, number, arguments) & ~drop);
  } else {
    SetRegister(pid, kFirstArgument, arguments[0] & ~drop);
  }
}

void Tracer::Leave(pid_t pid, long answer) {
  const auto node = entered_.extract(pid);
  if (node.empty()) return;
  // ERESTARTSYS and its kin: a signal interrupts the call.
  constexpr std::array kInterrupted = {-512L, -513L, -514L, -516L};
  if (std::ranges::find(kInterrupted, answer) != kInterrupted.end()) {
    --count_;
    if (node.mapped().told) report_.told = false;
  }
  if (!node.mapped().told) return;
  over_ = report_.told;
  if (lie_.drop == 0) {
    SetRegister(pid, kAnswer, static_cast<uint64_t>(node.mapped().answer));
  }
}

}  // namespace

LieResult RunWithLie(const Command& command, const std::string& lie,
                     const std::function<std::string()>& look,
                     std::chrono::milliseconds deadline) {
  void* shared = mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw CallError(errno, "mmap(MAP_SHARED)");
  const auto unmap = [](Report* report) {
    std::destroy_at(report);
    munmap(report, sizeof *report);
  };
  const std::unique_ptr<Report, decltype(unmap)> report(new (shared) Report);

  Tracer tracer(command, ParseLie(lie), look, *report);
  const Result result = RunCommand(
      {.function = [&, test = getpid()] { return tracer.Run(test, deadline); },
       .input = command.input});
  if (result.status != 0) {
    throw std::runtime_error("the tracer failed: " + result.errors);
  }
  return {{report->status, result.output, result.errors},
          report->told,
          report->number,
          Contents(report->hung),
          Contents(report->before),
          Contents(report->after)};
}

std::string WhyNoLies() {
  if (!IsRoot()) return "only root can make a stand-in for the host";
  try {
    RunWithLie({.function = [] { return 0; }}, "setns");
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace steps
