// Lessons hold on unusual machines, and skip only claims that these forbid.

#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fstream>
#include <tuple>

#include "common/kernel/cgroups.h"
#include "common/kernel/network.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

Before Rename(const std::string& hostname) {
  return [=] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWUTS);
    MUST(sethostname, hostname.c_str(), hostname.size());
  };
}

// A time namespace in which the clocks are 100 days ahead, and the boot time
// another half second. setns(2) moves the caller, which unshare(2) does not.
void BeAhead() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWTIME);
  WriteAll(Open("/proc/self/timens_offsets", O_WRONLY).get(),
           "monotonic 8640000 0\nboottime 8640000 500000000\n");
  const Descriptor there = Open("/proc/self/ns/time_for_children", O_RDONLY);
  MUST(setns, there.get(), CLONE_NEWTIME);
}

// With interfaces, and with a server on the port that the lesson uses.
void TakeThePort() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNET);
  MUST(send, OpenSocket(AF_NETLINK, SOCK_RAW), RTM_NEWLINK, "veth", "outer",
       "inner", getpid());
  const int fd = MUST(dup, OpenSocket(AF_INET, SOCK_STREAM));
  MUST(bind, fd, "0.0.0.0", 8080);
  MUST(listen, fd, 1);
}

void ForbidVeth() {
  // Only that message is this long and goes to nobody in particular.
  FilterCalls({{SYS_sendto,
                EOPNOTSUPP,
                {scmp_arg_cmp{2, SCMP_CMP_GE, 64, 0},
                 scmp_arg_cmp{4, SCMP_CMP_EQ, 0, 0}}}});
}

// Covers /proc/sys/kernel as Ubuntu has it.
void RestrictUserNamespaces() {
  const std::string directory = "/proc/sys/kernel";
  const std::string last = ReadText(directory + "/cap_last_cap");
  MUST(unshare, CLONE_NEWNS);
  MakeMountsPrivate();
  MountTmpfs(directory.c_str());
  std::ofstream(directory + "/apparmor_restrict_unprivileged_userns") << 1;
  std::ofstream(directory + "/overflowuid") << 65534;
  std::ofstream(directory + "/cap_last_cap") << last;
}

struct Machine {
  const char* name;
  const char* lesson;
  Before before;
  const char* shown = "";
  const char* skipped = "";  // How these claims begin: "With one; With all".
  const char* reason = "";   // Why: a part of it.
  bool only_root = false;    // An ordinary user cannot even begin.
};

const char* const kNoUserNamespaces = "user.max_user_namespaces is 0";
const char* const kStaysRoot = "\n     outside  uid             0 ";
const char* const kMountsTmp =
    "mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL) = 0";

const Machine kMachines[] = {
    {"HasTheNameAlready", "uts", Rename("container_001")},
    {"HasALongName", "uts", Rename(std::string(64, 'h'))},
    {"HasABadName", "uts", Rename("\x1b[2J\xff\n")},
    {"HasTheNameAlready", "inspect", Rename("container_001")},
    {"HasTheNameAlready", "setns", Rename("container_001")},
    {"IgnoresChildren", "uts", [] { signal(SIGCHLD, SIG_IGN); }},
    {"IsAContainer", "pid",
     [] {
       EnterUserNamespaceAsRoot();
       EnterContainer();
     },
     "\n     outside  PID             1 "},
    {"IsAhead", "time", BeAhead,
     "monotonic 17280000 0\\nboottime 17280000 500000000"},
    {"MaySetNoClock", "time",
     [] { MUST(prctl, PR_CAPBSET_DROP, CAP_SYS_TIME); },
     "root in a new user namespace", "", "", true},
    {"HasNoShm", "ipc", HideShm, kMountsTmp},
    {"HasNoShm", "leaks", HideShm, kMountsTmp},
    {"UsesThePort", "net", TakeThePort, "interfaces      3 "},
    {"UsesMnt", "mount",
     [] {
       EnterPrivateMounts();
       MUST(mount, "none", "/mnt", "tmpfs", 0, nullptr);
     },
     "tmpfs over tmpfs"},
    {"RestrictsOrdinaryUsers", "user", RestrictUserNamespaces, kStaysRoot, "",
     "", true},
    {"HasNobodyElse", "user", EnterUserNamespaceAsRoot, kStaysRoot,
     "A user must deny setgroups", "denied it before"},
    {"HasNoUserNamespaces", "uts", ForbidUserNamespaces,
     "5 of 5 claims hold, 1 skipped.\n", "Root in a user", kNoUserNamespaces},
    {"HasNoUserNamespaces", "unshare", ForbidUserNamespaces, "",
     "With two threads", kNoUserNamespaces},
    {"HasNoUserNamespaces", "clone", ForbidUserNamespaces, "",
     "With one; With all", kNoUserNamespaces},
    {"HasNoClone3", "clone",
     [] {
       FilterCalls({{SYS_clone3, ENOSYS}});
     },
     "", "With one; With all", "seccomp"},
    {"IsDockers", "clone", FilterAsDocker, "not allowed",
     "With one; With all; CLONE_FS", "seccomp", true},
    {"HasNoMountNamespaces", "setns", Forbid(CLONE_NEWNS), "",
     "A bind mount or", "user.max_mnt_namespaces is 0"},
    {"HasNoPidNamespaces", "inspect", Forbid(CLONE_NEWPID), "",
     "pid_for_children", "user.max_pid_namespaces is 0"},
    {"HasNoTimeNamespaces", "inspect", Forbid(CLONE_NEWTIME), "",
     "time_for_children", "user.max_time_namespaces is 0"},
    {"MasksProc", "mount", MaskProc, "", "A new proc", "/proc is masked"},
    {"HasNoVeth", "net", ForbidVeth, "", "Messages cross a veth pair",
     "no veth"},
    {"LimitsQueues", "ipc",
     [] {
       const rlimit small = {80'000, 80'000};
       MUST(setrlimit, RLIMIT_MSGQUEUE, &small);
     },
     "", "A POSIX queue; An IPC namespace ends", "ulimit -q"},
};

class MachineTest : public testing::TestWithParam<std::tuple<Machine, bool>> {};

std::string MachineName(
    const testing::TestParamInfo<std::tuple<Machine, bool>>& run) {
  const auto& [machine, as_nobody] = run.param;
  return machine.name + LessonName({{machine.lesson, as_nobody}, 0});
}

INSTANTIATE_TEST_SUITE_P(That, MachineTest,
                         testing::Combine(ValuesIn(kMachines), testing::Bool()),
                         MachineName);

TEST_P(MachineTest, ALessonHoldsOn) {
  const auto& [machine, as_nobody] = GetParam();
  if (!as_nobody && !IsRoot()) GTEST_SKIP() << "only root can be root";
  if (as_nobody && machine.only_root) GTEST_SKIP() << "only root may begin";
  Command command = {.program = fmt::format("lessons/{}", machine.lesson),
                     .as_nobody = as_nobody,
                     .before = machine.before};
  const Result result = RunCommand(command);
  ExpectExit(result, 0,
             AllOf(HasSubstr(machine.shown), Not(HasSubstr("\x1b"))));
  ExpectFits80Columns(result.output);

  command.arguments = {"--json"};
  const json run = json::parse(RunCommand(command).output);
  EXPECT_EQ(SchemaErrors(run), "");
  EXPECT_EQ(run["verdict"], "holds");
  std::string skipped = machine.skipped;
  for (const std::string& claim : Skipped(run)) {
    const std::string begin = skipped.substr(0, skipped.find("; "));
    EXPECT_THAT(claim, AllOf(StartsWith(begin), HasSubstr(machine.reason)));
    skipped.erase(0, begin.size() + 2);
  }
  EXPECT_EQ(skipped, "");
}

TEST(CgroupLesson, LimitsAUserInADelegatedCgroup) {
  const std::optional<CgroupPlace> place = FindCgroupPlace("pids");
  if (!IsRoot() || !place || access(place->directory.c_str(), W_OK) != 0) {
    GTEST_SKIP() << "no cgroup may be made here and delegated";
  }
  // Below the delegated one: in version 2 a process may not stand in the way.
  const Cgroup cgroup(*place);
  fs::create_directories(cgroup.path() + "/a/b");
  const auto write_to = [&](const std::string& file, const char* text) {
    WriteAll(Open(cgroup.path() + "/" + file, O_WRONLY).get(), text);
  };
  if (place->controllers.empty()) {
    write_to("cgroup.subtree_control", "+pids");
    write_to("a/cgroup.subtree_control", "+pids");
  }
  for (const char* file : {"a", "a/cgroup.procs", "a/b", "a/b/cgroup.procs"}) {
    MUST(chown, (cgroup.path() + "/" + file).c_str(), 65534, 65534);
  }
  InChild([&] {
    write_to("a/b/cgroup.procs", "0");
    Terminal lesson({.program = "lessons/cgroup",
                     .arguments = {"--shell", "--color=never"},
                     .as_nobody = true});
    EXPECT_EQ(lesson.Talk({{"[inside cgroup] ", "exit\n"}}), "exit status 0");
    EXPECT_THAT(lesson.screen(),
                AllOf(HasSubstr("\n6 of 6 claims hold."),
                      HasSubstr(" fork() = -1 EAGAIN"), HasSubstr(" …/a/b ")));
    EXPECT_THAT(Survivors(), IsEmpty());
  });
}

}  // namespace
}  // namespace steps
