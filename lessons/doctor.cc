// The doctor: what this machine allows, and which lessons run here.
//
// Whatever the lessons need is really tried, each operation in a child of
// its own, as the lessons do it: where this process is not privileged, as
// root in a user namespace. Then each lesson is run. For what is refused,
// the doctor names the cause and the least that would allow it, in the
// words in which the lesson does.
//
//   bazel run //lessons:doctor
//   bazel run //lessons:doctor -- --json     for a program to read
//   bazel run //lessons:doctor -- --help     all options

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/cgroups.h"
#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/interfaces.h"
#include "common/namespaces.h"
#include "common/tcp.h"
#include "common/user_namespace.h"
#include "lessons/diagnosis.h"
#include "lessons/visit.h"

namespace steps {
namespace {

// The operations. Each is a function that throws the CallError of the call
// that was refused. It runs in a child, which it may move and change.

void Clone(int flags) {
  Child child([](Line&) {});
  const pid_t pid =
      clone(Child::Main, child.stack_top(), flags | SIGCHLD, &child);
  Check(child.Started(pid), "clone({})", CloneFlags(flags | SIGCHLD));
  child.Finish();
}

// To clone(2), its flag is a part of the exit signal.
void MakeTimeNamespace() {
  Check(unshare(CLONE_NEWTIME), "unshare(CLONE_NEWTIME)");
}

void Clone3() {
  clone_args args = {};
  args.exit_signal = SIGCHLD;
  Child child([](Line&) {});
  const auto pid =
      static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) Child::Main(&child);  // It never comes back.
  Check(child.Started(pid), "clone3({{exit_signal=SIGCHLD}}, {})",
        sizeof args);
  child.Finish();
}

void SetNames() {
  Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
  Check(sethostname("doctor", 6), "sethostname(\"doctor\", 6)");
  Check(setdomainname("doctor", 6), "setdomainname(\"doctor\", 6)");
}

void MakeMountsPrivate() {
  Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
        "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");
}

void MountTmpfs() {
  MakeMountsPrivate();
  Check(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr),
        "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL)");
}

void MountProc() {
  MakeMountsPrivate();
  Check(unshare(CLONE_NEWPID), "unshare(CLONE_NEWPID)");
  Child child([](Line&) {
    Check(mount("proc", "/proc", "proc", 0, nullptr),
          "mount(\"proc\", \"/proc\", \"proc\", 0, NULL)");
  });
  child.Fork();
  child.Finish();
}

void MountQueues() {
  MakeMountsPrivate();
  Check(unshare(CLONE_NEWIPC), "unshare(CLONE_NEWIPC)");
  Check(mount("mqueue", "/mnt", "mqueue", 0, nullptr),
        "mount(\"mqueue\", \"/mnt\", \"mqueue\", 0, NULL)");
}

void BringUpLoopback() {
  Check(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
  const Descriptor socket = MakeTcpSocket();
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  Check(ioctl(socket.get(), SIOCSIFFLAGS, &request),
        "ioctl({}, SIOCSIFFLAGS, {{\"lo\", IFF_UP}})", socket.get());
}

void MakeVethPair() {
  Check(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
  const Descriptor socket = MakeRouteSocket();
  const std::string message = VethMessage("outer", "inner", getpid());
  Check(send(socket.get(), message.data(), message.size(), 0),
        "sendto({}, {{RTM_NEWLINK, \"veth\", \"outer\", \"inner\"}})",
        socket.get());
  CheckAnswer(socket, "RTM_NEWLINK(\"veth\")");
}

void SetClocks() {
  Check(unshare(CLONE_NEWTIME), "unshare(CLONE_NEWTIME)");
  const Descriptor offsets = Open("/proc/self/timens_offsets", O_WRONLY);
  Check(write(offsets.get(), "monotonic 1 0", 13),
        "write({}, \"monotonic 1 0\", 13)", offsets.get());
}

// A guardian removes it, however this process ends.
void MakeCgroup(const CgroupPlace& place) { const Cgroup group(place, {}); }

void Chroot() { Check(chroot("/"), "chroot(\"/\")"); }

void PivotRoot() {
  MountTmpfs();
  Check(chdir("/mnt"), "chdir(\"/mnt\")");
  Check(syscall(SYS_pivot_root, ".", "."), "pivot_root(\".\", \".\")");
  Check(umount2(".", MNT_DETACH), "umount2(\".\", MNT_DETACH)");
}

// A child that stays in a new UTS namespace, and a new PID namespace.
class Elsewhere {
 public:
  Elsewhere() : child_([](Line& line) { line.Checkpoint(); }) {
    const int flags = CLONE_NEWUTS | CLONE_NEWPID | SIGCHLD;
    const pid_t pid =
        clone(Child::Main, child_.stack_top(), flags, &child_);
    Check(child_.Started(pid), "clone({})", CloneFlags(flags));
  }

  pid_t pid() const { return child_.pid(); }
  std::string link() const { return fmt::format("/proc/{}/ns/uts", pid()); }

 private:
  Child child_;
};

void ReadLink() {
  const Elsewhere child;
  std::array<char, 64> target = {};
  Check(readlink(child.link().c_str(), target.data(), target.size()),
        "readlink(\"{}\")", child.link());
}

void JoinByLink() {
  const Elsewhere child;
  const Descriptor uts = Open(child.link(), O_RDONLY);
  Check(setns(uts.get(), CLONE_NEWUTS), "setns({}, CLONE_NEWUTS)",
        uts.get());
}

// Through syscall(2): glibc 2.36 declares pidfd_open() for C only.
void JoinByPidfd() {
  const Elsewhere child;
  const Descriptor pidfd(
      static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0)));
  Check(pidfd.get(), "pidfd_open({}, 0)", child.pid());
  Check(setns(pidfd.get(), CLONE_NEWUTS | CLONE_NEWPID),
        "setns({}, CLONE_NEWUTS | CLONE_NEWPID)", pidfd.get());
}

void KeepByBindMount() {
  MakeMountsPrivate();
  const Elsewhere child;
  Check(mount(child.link().c_str(), "/dev/tty", nullptr, MS_BIND, nullptr),
        "mount(\"{}\", \"/dev/tty\", NULL, MS_BIND, NULL)", child.link());
}

struct Operation {
  std::string name;
  std::vector<std::string> needs;  // Operations that stand before it.
  std::function<void()> run;
};

constexpr const char* kProc = "/proc of this PID namespace";
constexpr const char* kRoot = "root in a user namespace";

std::string NewNamespace(int flag) {
  return fmt::format("a new {} namespace", KindOf(flag).name);
}

// What is done as root, here or in a user namespace.
std::vector<Operation> OperationsOfRoot() {
  std::vector<Operation> operations;
  for (const Kind& kind : Kinds()) {
    const int flag = kind.flag;
    operations.push_back({NewNamespace(flag),
                          {},
                          flag == CLONE_NEWTIME
                              ? std::function(MakeTimeNamespace)
                              : [flag] { Clone(flag); }});
  }
  const std::string uts = NewNamespace(CLONE_NEWUTS);
  const std::string pid = NewNamespace(CLONE_NEWPID);
  const std::string ipc = NewNamespace(CLONE_NEWIPC);
  const std::string net = NewNamespace(CLONE_NEWNET);
  const std::string time = NewNamespace(CLONE_NEWTIME);
  const std::string mounts = "mounts made private";
  const std::string tmpfs = "a tmpfs mounted";
  const std::vector<Operation> more = {
      {"clone3(2)", {}, Clone3},
      {"sethostname(2) inside", {uts}, SetNames},
      {mounts, {NewNamespace(CLONE_NEWNS)}, MakeMountsPrivate},
      {tmpfs, {mounts}, MountTmpfs},
      {"a new proc mounted", {mounts, pid}, MountProc},
      {"an mqueue mounted", {mounts, ipc}, MountQueues},
      {"lo brought up", {net}, BringUpLoopback},
      {"a veth pair made", {net}, MakeVethPair},
      {"clocks put ahead", {kProc, time}, SetClocks},
      {"chroot(2)", {}, Chroot},
      {"pivot_root(2)", {tmpfs}, PivotRoot},
      {"reading /proc/PID/ns of a child", {kProc, uts, pid}, ReadLink},
      {"setns(2) with a link", {kProc, uts, pid}, JoinByLink},
      {"setns(2) with a pidfd", {uts, pid}, JoinByPidfd},
      {"a namespace kept by a bind mount",
       {kProc, mounts, uts, pid},
       KeepByBindMount}};
  operations.insert(operations.end(), more.begin(), more.end());
  return operations;
}

// Runs an operation in a child.
Trial Try(const Operation& operation, const Machine& machine) {
  Trial trial = {.operation = operation.name, .result = "works"};
  try {
    Child child([&](Line&) { operation.run(); });
    child.Fork();
    child.Finish();
  } catch (const CallError& error) {
    trial.error = error.what();
    trial.call = error.call();
    trial.errno_name = ErrnoName(error.error());
    trial.advice = Explain(error, machine);
    trial.result = trial.advice ? "refused" : "failed";
  } catch (const ChildError& error) {
    trial.error = error.what();
    trial.result = "failed";
  }
  return trial;
}

Trial TryProc() {
  Trial trial = {.operation = kProc, .result = "works"};
  if (const std::optional<Refusal> refusal = ExamineProc()) {
    trial.result = "refused";
    trial.error = refusal->what;
    trial.advice = refusal->advice;
  }
  return trial;
}

bool Works(const std::vector<Trial>& trials, const std::string& operation) {
  const auto found =
      std::ranges::find(trials, operation, &Trial::operation);
  return found->result == "works";
}

std::vector<Trial> TryAll(const Machine& machine) {
  std::vector<Trial> trials = {TryProc()};
  const auto add = [&](const Operation& operation) {
    for (const std::string& need : operation.needs) {
      if (Works(trials, need)) continue;
      trials.push_back({.operation = operation.name,
                        .result = "not tried",
                        .needs = need});
      return;
    }
    trials.push_back(Try(operation, machine));
  };
  add({kRoot, {kProc}, EnterUserNamespaceAsRoot});
  std::vector<Operation> operations = OperationsOfRoot();
  // Where no cgroup has children with pids, nobody is refused one.
  if (Works(trials, kProc)) {
    if (const auto place = FindCgroupPlace("pids")) {
      operations.push_back(
          {"a cgroup made", {}, [place] { MakeCgroup(*place); }});
    }
  }
  for (Operation& operation : operations) {
    if (!machine.privileged) {
      operation.needs.insert(operation.needs.begin(), kRoot);
      operation.run = [run = operation.run] {
        EnterUserNamespaceAsRoot();
        run();
      };
    }
    add(operation);
  }
  return trials;
}

// Whether execvp(3) would find it.
bool IsOnPath(const std::string& tool) {
  const char* path = getenv("PATH");
  std::istringstream folders(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    folder.append("/").append(tool);
    if (access(folder.c_str(), X_OK) == 0) return true;
  }
  return false;
}

// Those that lessons hand to FromTool().
std::vector<ToolOnPath> FindTools() {
  std::vector<ToolOnPath> tools = {{"hostname", "hostname", false},
                                   {"id", "coreutils", false},
                                   {"ip", "iproute2", false},
                                   {"ipcs", "util-linux", false},
                                   {"ps", "procps", false}};
  for (ToolOnPath& tool : tools) tool.found = IsOnPath(tool.name);
  return tools;
}

Visit CannotRun(const std::string& error, const Advice& advice) {
  return {.exit_status = kCannotRun,
          .document = {{"error", error},
                       {"cause", advice.cause},
                       {"remedy", advice.remedy}}};
}

// Runs a lesson. What already keeps this process from it would keep the
// lesson from running, and that is what it would say.
Visit Run(const std::string& lesson, const Machine& machine) {
  if (const std::optional<Refusal> refusal = ExamineProc()) {
    return CannotRun(refusal->what, refusal->advice);
  }
  Visit visit = TakeUnseen(lesson);
  if (!visit.error) return visit;
  const std::optional<Advice> advice = Explain(*visit.error, machine);
  return advice ? CannotRun(visit.error->what(), *advice) : visit;
}

Diagnosis Examine() {
  const Machine machine = Machine::Look();
  Diagnosis diagnosis;
  diagnosis.trials = TryAll(machine);
  diagnosis.tools = FindTools();
  for (const std::string lesson : kLessons) {
    diagnosis.lessons.push_back({lesson, Run(lesson, machine)});
  }
  utsname names = {};
  Check(uname(&names), "uname()");
  std::string privilege = "root";
  if (!machine.privileged) {
    privilege = Works(diagnosis.trials, kRoot) ? "user namespace" : "none";
  }
  diagnosis.opening = {"doctor",        "doctor: which lessons run here",
                       "namespaces(7)", names.release,
                       geteuid(),       privilege};
  return diagnosis;
}

int Doctor(bool json, bool color) {
  const Diagnosis diagnosis = Examine();
  if (json) {
    ShowJson(diagnosis);
  } else {
    ShowText(diagnosis, color);
  }
  return ExitStatus(diagnosis);
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunProgram("doctor", [&] {
    CLI::App app(
        "The doctor: what this machine allows, and what runs here\n\n"
        "Examples:\n"
        "  bazel run //lessons:doctor              ask it\n"
        "  bazel run //lessons:doctor -- --json    for a program to read\n",
        "bazel run //lessons:doctor --");
    app.footer(
        "Exit status: 0 all lessons run here, 1 one failed, 2 wrong "
        "usage,\n"
        "77 this machine does not allow one, 130 interrupted.");
    bool json = false;
    app.add_flag("--json", json, "Print one JSON document instead")
        ->option_text(" ");
    std::string color = "auto";
    steps::AddColorOption(app, color);
    return steps::Parse(app, argc, argv, "doctor")
               ? steps::Doctor(json,
                               steps::WantsColor(color, STDOUT_FILENO))
               : EXIT_SUCCESS;
  });
}
