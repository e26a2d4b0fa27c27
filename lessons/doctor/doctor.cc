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
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/network.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/lesson/advice.h"
#include "common/program/command_line.h"
#include "lessons/doctor/diagnosis.h"
#include "lessons/lesson_names.h"
#include "lessons/tour/visit.h"

namespace steps {
namespace {

// The operations. Each has a child of the doctor's do what it is about, and
// throws the CallError of the call that was refused.
using Operate = std::function<void(Process&)>;

// What changes anything does so in a child of that one, in namespaces that
// are verified to be new.
Operate InStandIn(int flags, void (*change)()) {
  return
      [=](Process& process) { process.StandIn("inside", flags).Run(change); };
}

// glibc does not declare it.
int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}

void Clone3(Process& process) {
  process.Run([] {
    clone_args args = {};
    args.exit_signal = SIGCHLD;
    const auto pid = static_cast<pid_t>(
        Check(syscall(SYS_clone3, &args, sizeof args), "clone3"));
    if (pid == 0) _exit(EXIT_SUCCESS);
    MUST(waitpid, pid, nullptr, 0);
  });
}

void SetNames() {
  MUST(sethostname, "doctor", 6);
  MUST(setdomainname, "doctor", 6);
}

void MountProc() { MUST(mount, "proc", "/proc", "proc", 0, nullptr); }

void MountQueues() { MUST(mount, "mqueue", "/mnt", "mqueue", 0, nullptr); }

void BringUpLoopback() {
  MUST(ioctl, OpenSocket(AF_INET, SOCK_DGRAM), SIOCSIFFLAGS, "lo", IFF_UP);
}

void MakeVethPair() {
  MUST(send, OpenSocket(AF_NETLINK, SOCK_RAW), RTM_NEWLINK, "veth", "outer",
       "inner", getpid());
}

void SetClocks(Process& process) {
  process.Run([] {
    MUST(unshare, CLONE_NEWTIME);
    WriteFile("/proc/self/timens_offsets", "monotonic 1 0");
  });
}

// It outlives the doctor, and no signal ends it before the cgroup is gone.
void MakeCgroup(Process& process, const CgroupPlace& place) {
  process.Run([&place] {
    OutliveParent();
    BlockSignals();
    const std::string directory =
        fmt::format("{}/{}{}", place.directory, kCgroupPrefix, getpid());
    MUST(mkdir, directory.c_str(), 0755);
    MUST(rmdir, directory.c_str());
  });
}

void PivotRoot() {
  MountTmpfs("/mnt");
  MUST(chdir, "/mnt");
  MUST(pivot_root, ".", ".");
  MUST(umount2, ".", MNT_DETACH);
}

// A child in a new UTS namespace, and a new PID namespace.
Process CloneElsewhere(Process& process) {
  return process.Clone("elsewhere", CLONE_NEWUTS | CLONE_NEWPID);
}

std::string LinkOf(pid_t pid) { return ProcPath(pid, "ns/uts"); }

void ReadLinkOfChild(Process& process) {
  const Process child = CloneElsewhere(process);
  process.Run([pid = child.pid()] { ReadLink(LinkOf(pid)); });
}

void JoinByLink(Process& process) {
  const Process child = CloneElsewhere(process);
  process.Run([pid = child.pid()] {
    const Descriptor uts = Open(LinkOf(pid), O_RDONLY);
    MUST(setns, uts.get(), CLONE_NEWUTS);
  });
}

void JoinByPidfd(Process& process) {
  const Process child = CloneElsewhere(process);
  process.Run([pid = child.pid()] {
    const Descriptor pidfd(MUST(pidfd_open, pid, 0));
    MUST(setns, pidfd.get(), CLONE_NEWUTS | CLONE_NEWPID);
  });
}

void KeepByBindMount(Process& process) {
  Process inside = process.StandIn("inside", CLONE_NEWNS);
  const Process child = CloneElsewhere(inside);
  inside.Run([pid = child.pid()] {
    MUST(mount, LinkOf(pid).c_str(), "/dev/tty", nullptr, MS_BIND, nullptr);
  });
}

struct Operation {
  std::string name;
  std::vector<std::string> needs;  // Operations that stand before it.
  Operate run;
  int capability = CAP_SYS_ADMIN;  // What it takes where nothing is new.
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
    const auto clone = [flag = kind.flag](Process& process) {
      process.Clone("child", flag).MustDiffer(process, flag);
    };
    // Clone() takes clone3(2) for this flag, which is tried below.
    const auto unshare = [](Process& process) {
      process.Run([] { MUST(::unshare, CLONE_NEWTIME); });
    };
    operations.push_back({NewNamespace(kind.flag), {kProc}, clone});
    if (kind.flag == CLONE_NEWTIME) operations.back().run = unshare;
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
      {"sethostname(2) inside", {uts}, InStandIn(CLONE_NEWUTS, SetNames)},
      {mounts, {NewNamespace(CLONE_NEWNS)}, InStandIn(CLONE_NEWNS, [] {})},
      {tmpfs, {mounts}, InStandIn(CLONE_NEWNS, [] { MountTmpfs("/mnt"); })},
      {"a new proc mounted",
       {mounts, pid},
       InStandIn(CLONE_NEWNS | CLONE_NEWPID, MountProc)},
      {"an mqueue mounted",
       {mounts, ipc},
       InStandIn(CLONE_NEWNS | CLONE_NEWIPC, MountQueues)},
      {"lo brought up",
       {net},
       InStandIn(CLONE_NEWNET, BringUpLoopback),
       CAP_NET_ADMIN},
      {"a veth pair made",
       {net},
       InStandIn(CLONE_NEWNET, MakeVethPair),
       CAP_NET_ADMIN},
      {"clocks put ahead", {time}, SetClocks, CAP_SYS_TIME},
      {"chroot(2)",
       {},
       [](Process& process) { process.Run([] { MUST(chroot, "/"); }); },
       CAP_SYS_CHROOT},
      {"pivot_root(2)", {tmpfs}, InStandIn(CLONE_NEWNS, PivotRoot)},
      {"reading /proc/PID/ns of a child", {uts, pid}, ReadLinkOfChild},
      {"setns(2) with a link", {uts, pid}, JoinByLink},
      {"setns(2) with a pidfd", {uts, pid}, JoinByPidfd},
      {"a namespace kept by a bind mount",
       {mounts, uts, pid},
       KeepByBindMount}};
  operations.insert(operations.end(), more.begin(), more.end());
  return operations;
}

Trial Try(const std::string& operation, const std::function<void()>& run,
          const Machine& machine) {
  Trial trial = {.operation = operation, .result = "works"};
  try {
    run();
  } catch (const std::exception& error) {
    trial.error = error.what();
    if (const auto* refused = dynamic_cast<const CallError*>(&error)) {
      trial.call = refused->call().text;
      trial.errno_name = ErrnoName(refused->error());
    }
    trial.advice = Explain(error, machine);
    trial.result = trial.advice ? "refused" : "failed";
  }
  return trial;
}

bool Works(const std::vector<Trial>& trials, const std::string& operation) {
  const auto found = std::ranges::find(trials, operation, &Trial::operation);
  return found->result == "works";
}

std::vector<Trial> TryAll(const Machine& machine) {
  std::vector<Trial> trials = {Try(kProc, CheckProc, machine)};
  const auto add = [&](const Operation& operation) {
    for (const std::string& need : operation.needs) {
      if (Works(trials, need)) continue;
      trials.push_back({.operation = operation.name,
                        .result = "not tried",
                        .needs = need});
      return;
    }
    const auto run = [&operation] {
      Process child = Process::Quiet().Clone("the child", 0);
      operation.run(child);
    };
    trials.push_back(Try(operation.name, run, machine));
  };
  const auto become_root = [](Process& process) {
    process.Run(EnterUserNamespaceAsRoot);
  };
  add({kRoot, {kProc}, become_root});
  std::vector<Operation> operations = OperationsOfRoot();
  // Where no cgroup has children with pids, nobody is refused one.
  if (Works(trials, kProc)) {
    if (const auto place = FindCgroupPlace("pids")) {
      operations.push_back({"a cgroup made", {}, [place](Process& process) {
                              MakeCgroup(process, *place);
                            }});
    }
  }
  for (Operation& operation : operations) {
    if (!HasCapabilities({CAP_SYS_ADMIN, operation.capability})) {
      operation.needs.insert(operation.needs.begin(), kRoot);
      operation.run = [become_root, run = operation.run](Process& process) {
        become_root(process);
        run(process);
      };
    }
    add(operation);
  }
  return trials;
}

// Those whose output lessons show.
std::vector<ToolOnPath> FindTools() {
  std::vector<ToolOnPath> tools = {{"grep", "grep", false},
                                   {"ip", "iproute2", false},
                                   {"ipcs", "util-linux", false},
                                   {"ps", "procps", false}};
  for (ToolOnPath& tool : tools) tool.found = !FindProgram(tool.name).empty();
  return tools;
}

// Runs a lesson. What already keeps this process from it would keep the
// lesson from running, and that is what it would say.
Visit Run(const std::string& lesson, const Machine& machine) {
  Visit visit;
  try {
    CheckProc();
    visit = TakeUnseen(lesson);
    if (visit.error) throw CallError(*visit.error);
  } catch (const std::exception& error) {
    const std::optional<Advice> advice = Explain(error, machine);
    if (!advice && !visit.error) throw;
    if (!advice) return visit;
    visit = {.exit_status = kCannotRun,
             .document = {{"error", error.what()},
                          {"cause", advice->cause},
                          {"remedy", advice->remedy}}};
  }
  return visit;
}

Diagnosis Examine() {
  const Machine machine = Machine::Look();
  Diagnosis diagnosis;
  diagnosis.in_container = machine.Is(kInContainer);
  diagnosis.trials = TryAll(machine);
  diagnosis.tools = FindTools();
  for (const std::string lesson : kLessonNames) {
    diagnosis.lessons.push_back({lesson, Run(lesson, machine)});
  }
  utsname names = {};
  MUST(uname, &names);
  std::string privilege = "root";
  if (!machine.Is(kPrivileged)) {
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
  CLI::App app(
      "The doctor: what this machine allows, and what runs here\n\n"
      "Examples:\n"
      "  bazel run //lessons:doctor              ask it\n"
      "  bazel run //lessons:doctor -- --json    for a program to read\n",
      "bazel run //lessons:doctor -- [OPTIONS]");
  app.footer(
      "Exit status: 0 all lessons run here, 1 one failed, 2 wrong usage,\n"
      "77 this machine does not allow one, 130 interrupted.");
  return steps::RunProgram(
      "doctor", app, {"--json", "--color"}, argc, argv, [&](const auto&) {
        return steps::Doctor(app.count("--json") > 0,
                             steps::WantsColor(app, STDOUT_FILENO));
      });
}
