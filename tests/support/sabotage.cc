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
#include <cstdint>
#include <ctime>
#include <new>
#include <system_error>

#include "tests/support/test.h"

namespace steps {
namespace {

using std::uint64_t;
using std::chrono::steady_clock;

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

// Changes registers of a process, in a system call that it enters or leaves.
template <typename Function>
void ChangeRegisters(pid_t pid, Function change) {
  user_regs_struct registers = {};
  iovec all = {.iov_base = &registers, .iov_len = sizeof registers};
  if (!Trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, AddressOf(&all))) return;
  change(registers);
  Trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, AddressOf(&all));
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

class Tracer {
 public:
  Tracer(const Command& command, const Lie& lie, Report& report)
      : begun_(command.program.empty()),
        numbers_(NumbersOf(lie.call)),
        lie_(lie),
        report_(report) {
    if (lie.drop != 0 && !numbers_.contains(SYS_clone) &&
        !numbers_.contains(SYS_unshare)) {
      throw std::invalid_argument(lie.call + " has no CLONE_NEW* flags");
    }
  }

  // Traces PID 1 of a stand-in and all that it starts to their end; what is
  // there at the deadline is killed, and named. The wait status of PID 1.
  int Run(pid_t init, steady_clock::time_point deadline, std::string& hung);

 private:
  // A call that matches, while it is in the kernel.
  struct Entered {
    bool told;
    long answer;
  };

  std::string KillAll() const;
  void Resume(pid_t pid, int status);
  bool Matches(pid_t pid, long number, const Arguments& arguments) const;
  void Enter(pid_t pid, long number, const Arguments& arguments);
  void Leave(pid_t pid, long answer);

  bool begun_;
  pid_t init_ = -1;
  const std::set<long> numbers_;
  const Lie& lie_;
  Report& report_;
  int count_ = 0;
  bool over_ = false;  // The lie is told: no call is of interest any more.
  std::set<pid_t> processes_;
  std::map<pid_t, Entered> entered_;
};

int Tracer::Run(pid_t init, steady_clock::time_point deadline,
                std::string& hung) {
  init_ = init;
  processes_ = {init};
  int init_status = 0;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  MUST(sigprocmask, SIG_BLOCK, &child, nullptr);
  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
    if (pid == -1) return init_status;
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
    SetFirstArgument(pid, arguments[0] & ~drop);
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
  if (lie_.drop == 0) SetAnswer(pid, node.mapped().answer);
}

constexpr int kStandIn =
    CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET;

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
  MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != test) return EXIT_FAILURE;
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_CLOEXEC);
  Descriptor traced(ends[0]);
  Descriptor release(ends[1]);
  // As fork(2), into new namespaces.
  const auto init =
      static_cast<pid_t>(Check(syscall(SYS_clone, kStandIn | SIGCHLD, nullptr,
                                       nullptr, nullptr, nullptr),
                               "clone", {CloneFlags(kStandIn | SIGCHLD)}));
  if (init == 0) {
    release.Close();
    char byte = 0;
    if (read(traced.get(), &byte, 1) != 1) _exit(EXIT_FAILURE);
    Become({.function = [this] { return BeInit(); }});
  }
  steps::Trace(PTRACE_SEIZE, init, 0,
               PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC);
  WriteAll(release.get(), "x");
  std::string names;
  const int status =
      tracer.Run(init, steady_clock::now() + options.deadline, names);
  WriteAll(hung.get(), names);
  return status == 0 || !names.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

// PID 1 of the stand-in.
int Run::BeInit() {
  MakeMountsPrivate();
  MUST(mount, "proc", "/proc", "proc", 0, nullptr);
  if (options.look) WriteAll(before.get(), options.look());
  const pid_t pid = MUST(fork);
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
  try {
    RunWithLie({.function = [] { return 0; }}, {.call = "setns"});
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace steps
