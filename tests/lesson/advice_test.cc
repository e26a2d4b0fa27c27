#include "common/lesson/advice.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A call that failed, as its text has it.
CallError Refused(int error, const std::string& text) {
  Call call = {.text = text, .result = -1, .error = error};
  for (const Kind& kind : Kinds()) {
    if (text.find(kind.flag_name) != std::string::npos) {
      call.namespaces |= kind.flag;
    }
  }
  return CallError(std::move(call));
}

const CallError kUnshareUser = Refused(EPERM, "unshare(CLONE_NEWUSER)");
const CallError kMap =
    Refused(EPERM, "write(\"/proc/self/uid_map\", \"0 1000 1\")");

// A machine on which nothing is in the way.
Machine OpenMachine() {
  Machine machine;
  for (const Kind& kind : Kinds()) machine.kinds.insert(std::string(kind.name));
  return machine;
}

std::string CauseOf(const CallError& error, const Machine& machine) {
  const std::optional<Advice> advice = Explain(error, machine);
  return advice ? advice->cause : "";
}

std::string RemedyOf(const CallError& error, const Machine& machine) {
  const std::optional<Advice> advice = Explain(error, machine);
  return advice ? advice->remedy : "";
}

TEST(Explain, KnowsALimitThatIsZero) {
  Machine machine = OpenMachine();
  machine.limits = {"user.max_user_namespaces"};
  const CallError error =
      Refused(ENOSPC, "clone(CLONE_NEWUTS | CLONE_NEWUSER)");
  EXPECT_THAT(CauseOf(error, machine),
              HasSubstr("user.max_user_namespaces is 0"));
  EXPECT_THAT(RemedyOf(error, machine),
              HasSubstr("sysctl user.max_user_namespaces="));
}

TEST(Explain, KnowsANamespaceTooMany) {
  const CallError error = Refused(ENOSPC, "unshare(CLONE_NEWUSER)");
  EXPECT_THAT(CauseOf(error, OpenMachine()),
              HasSubstr("deeper than 32 levels"));
}

TEST(Explain, KnowsTheLimitOfPosixQueues) {
  EXPECT_THAT(CauseOf(Refused(EMFILE, "mq_open(\"/queue\")"), OpenMachine()),
              HasSubstr("ulimit -q"));
  EXPECT_EQ(Explain(Refused(EMFILE, "open(\"/etc/passwd\")"), OpenMachine()),
            std::nullopt);
}

TEST(Explain, LeavesAFullDiskAlone) {
  EXPECT_EQ(Explain(Refused(ENOSPC, "write(3)"), OpenMachine()), std::nullopt);
}

TEST(Explain, KnowsAKernelWithoutTheKind) {
  Machine machine = OpenMachine();
  machine.kinds.erase("time");
  const CallError error = Refused(EINVAL, "unshare(CLONE_NEWTIME)");
  EXPECT_THAT(CauseOf(error, machine), HasSubstr("no time namespaces"));
  EXPECT_THAT(RemedyOf(error, machine), HasSubstr("5.6"));
  EXPECT_EQ(Explain(error, OpenMachine()), std::nullopt)
      << "then it is our mistake";
  const CallError link = Refused(ENOENT, "readlink(\"/proc/self/ns/time\")");
  EXPECT_THAT(CauseOf(link, machine), HasSubstr("no time namespaces"));
  EXPECT_EQ(Explain(link, OpenMachine()), std::nullopt);
}

TEST(Explain, KnowsWhatTheOffsetsOfATimeNamespaceTake) {
  Machine machine = OpenMachine();
  machine.privileged = true;
  const std::string write = "write(4, \"monotonic 8640000 0\", 19)";
  EXPECT_THAT(CauseOf(Refused(EPERM, write), machine),
              HasSubstr("CAP_SYS_TIME"));
  EXPECT_EQ(Explain(Refused(EACCES, write), machine), std::nullopt)
      << "then somebody is inside already: it is our mistake";
}

TEST(Explain, KnowsUbuntusAppArmor) {
  Machine machine = OpenMachine();
  machine.apparmor_restricts = true;
  EXPECT_THAT(CauseOf(kMap, machine), HasSubstr("AppArmor"));
  EXPECT_THAT(RemedyOf(kMap, machine),
              HasSubstr("kernel.apparmor_restrict_unprivileged_userns=0"));
  machine.privileged = true;
  EXPECT_EQ(Explain(kMap, machine), std::nullopt) << "it restricts users only";
}

TEST(Explain, KnowsDebiansSwitch) {
  Machine machine = OpenMachine();
  machine.unprivileged_clone = false;
  EXPECT_THAT(RemedyOf(kUnshareUser, machine),
              HasSubstr("kernel.unprivileged_userns_clone=1"));
}

TEST(Explain, KnowsASeccompFilter) {
  Machine machine = OpenMachine();
  machine.seccomp = true;
  EXPECT_THAT(RemedyOf(kUnshareUser, machine), HasSubstr("seccomp=unconfined"));
  EXPECT_THAT(RemedyOf(Refused(ENOSYS, "clone3()"), machine),
              HasSubstr("seccomp=unconfined"));
}

TEST(Explain, KnowsThatGraphvizIsMissing) {
  const CallError error = Refused(ENOENT, "execvp(\"dot\")");
  EXPECT_THAT(CauseOf(error, OpenMachine()), HasSubstr("not installed"));
  EXPECT_THAT(RemedyOf(error, OpenMachine()), HasSubstr("install graphviz"));
  EXPECT_EQ(Explain(Refused(ENOENT, "execvp(\"sh\")"), OpenMachine()),
            std::nullopt);
}

TEST(Explain, KnowsASeccompFilterThatRootMeets) {
  Machine machine = OpenMachine();
  machine.privileged = true;
  machine.seccomp = true;
  for (const char* call :
       {"mount(\"none\", \"/\", NULL, MS_PRIVATE, NULL)",
        "umount2(\".\", MNT_DETACH)", "pivot_root(\".\", \".\")",
        "sethostname(\"web\", 3)", "setdomainname(\"web\", 3)"}) {
    EXPECT_THAT(CauseOf(Refused(EPERM, call), machine), HasSubstr("seccomp"));
  }
  EXPECT_EQ(Explain(Refused(EPERM, "kill(1, SIGTERM)"), machine), std::nullopt)
      << "no engine filters that";
}

TEST(Explain, KnowsTheAppArmorProfileOfAContainer) {
  const CallError error =
      Refused(EACCES, "mount(\"none\", \"/\", NULL, MS_PRIVATE, NULL)");
  Machine machine = OpenMachine();
  machine.privileged = true;
  machine.apparmor = "docker-default";
  EXPECT_THAT(CauseOf(error, machine), HasSubstr("profile docker-default"));
  EXPECT_THAT(RemedyOf(error, machine), HasSubstr("apparmor=unconfined"));
  EXPECT_EQ(Explain(Refused(EACCES, "open(\"/root\")"), machine), std::nullopt);
  machine.apparmor = "";
  EXPECT_EQ(Explain(error, machine), std::nullopt);
}

TEST(Explain, KnowsARootThatMayNotChangeInterfaces) {
  Machine machine = OpenMachine();
  machine.privileged = true;
  for (const char* call :
       {"ioctl(SIOCSIFFLAGS)", "send(3, RTM_NEWLINK, \"veth\")"}) {
    const CallError error = Refused(EPERM, call);
    EXPECT_THAT(CauseOf(error, machine), HasSubstr("CAP_NET_ADMIN"));
    EXPECT_THAT(RemedyOf(error, machine), HasSubstr("--cap-add NET_ADMIN"));
  }
  EXPECT_EQ(Explain(Refused(EPERM, "ioctl(3, NS_GET_PARENT)"), machine),
            std::nullopt);
}

TEST(Explain, KnowsAUserWithoutANumber) {
  Machine machine = OpenMachine();
  machine.mapped = false;
  EXPECT_THAT(CauseOf(kUnshareUser, machine), HasSubstr("has no number"));
  EXPECT_THAT(RemedyOf(kUnshareUser, machine), HasSubstr("--map-root-user"));
}

TEST(Explain, KnowsALimitOfProcesses) {
  const CallError error = Refused(EAGAIN, "clone(CLONE_NEWUTS | SIGCHLD)");
  EXPECT_THAT(CauseOf(error, OpenMachine()), HasSubstr("ulimit -u"));
  EXPECT_EQ(Explain(Refused(EAGAIN, "recv(3)"), OpenMachine()), std::nullopt);
}

TEST(Explain, KnowsAFileSystemThatTheKernelLacks) {
  const CallError error =
      Refused(ENODEV, "mount(\"mqueue\", \"/mnt\", \"mqueue\", 0, NULL)");
  EXPECT_THAT(CauseOf(error, OpenMachine()), HasSubstr("file system"));
  EXPECT_EQ(Explain(Refused(ENODEV, "open(\"/dev/x\")"), OpenMachine()),
            std::nullopt);
}

TEST(Explain, KnowsACallThatTheKernelLacks) {
  EXPECT_THAT(CauseOf(Refused(ENOSYS, "clone3()"), OpenMachine()),
              HasSubstr("does not have the call"));
}

TEST(Explain, KnowsAKernelWithoutVeth) {
  EXPECT_THAT(CauseOf(Refused(EOPNOTSUPP, "send(3, RTM_NEWLINK, \"veth\")"),
                      OpenMachine()),
              HasSubstr("no veth"));
  EXPECT_EQ(Explain(Refused(EOPNOTSUPP, "listen(3, 8)"), OpenMachine()),
            std::nullopt);
}

TEST(Explain, KnowsAChroot) {
  Machine machine = OpenMachine();
  machine.chroot = true;
  machine.privileged = true;
  EXPECT_THAT(CauseOf(kUnshareUser, machine), HasSubstr("chroot"));
}

TEST(Explain, KnowsThatTheRootOfAChrootIsNoMountPoint) {
  const CallError mounting =
      Refused(EINVAL, "mount(\"none\", \"/\", NULL, MS_PRIVATE, NULL)");
  const CallError pivoting = Refused(EINVAL, "pivot_root(\".\", \".\")");
  Machine machine = OpenMachine();
  machine.chroot = true;
  machine.privileged = true;
  EXPECT_THAT(CauseOf(mounting, machine), HasSubstr("no mount point"));
  EXPECT_THAT(CauseOf(pivoting, machine), HasSubstr("no mount point"));
  EXPECT_EQ(Explain(Refused(EINVAL, "chdir(\"/\")"), machine), std::nullopt);
  machine.chroot = false;
  EXPECT_EQ(Explain(mounting, machine), std::nullopt)
      << "then it is our mistake";
}

TEST(Explain, KnowsAProcessThatIsSomebodyElses) {
  const CallError link = Refused(EACCES, "readlink(\"/proc/1/ns/uts\")");
  Machine machine = OpenMachine();
  machine.apparmor_restricts = true;
  EXPECT_THAT(CauseOf(link, machine), HasSubstr("belongs to somebody else"));
  EXPECT_EQ(RemedyOf(link, machine), "sudo");
  // As where /proc is mounted with hidepid=1. proc(5).
  const CallError folder = Refused(EPERM, "access(\"/proc/1/ns\")");
  EXPECT_THAT(CauseOf(folder, machine), HasSubstr("belongs to somebody else"));
  machine.privileged = true;
  EXPECT_THAT(RemedyOf(link, machine), HasSubstr("CAP_SYS_PTRACE"));
  const CallError map = Refused(EPERM, "write(\"/proc/1/uid_map\", \"0 0 1\")");
  EXPECT_EQ(Explain(map, machine), std::nullopt);
  const CallError holding = Refused(
      EPERM, "mount(\"/proc/1/ns/uts\", \"/uts\", NULL, MS_BIND, NULL)");
  EXPECT_EQ(Explain(holding, machine), std::nullopt);
}

TEST(Explain, KnowsACgroupThatMayNotBeMade) {
  const CallError folder =
      Refused(EACCES, "mkdir(\"/sys/fs/cgroup/steps-1\", 0755)");
  const CallError home =
      Refused(EACCES, "open(\"/sys/fs/cgroup/x/cgroup.procs\")");
  for (const CallError& error : {folder, home}) {
    EXPECT_THAT(CauseOf(error, OpenMachine()), HasSubstr("delegated"));
    EXPECT_THAT(RemedyOf(error, OpenMachine()),
                HasSubstr("systemd-run --user --scope"));
  }
  const CallError read_only =
      Refused(EROFS, "mkdir(\"/sys/fs/cgroup/steps-1\", 0755)");
  EXPECT_THAT(CauseOf(read_only, OpenMachine()), HasSubstr("read-only"));
  Machine machine = OpenMachine();
  machine.privileged = true;
  EXPECT_EQ(Explain(Refused(EACCES, "mkdir(\"/x\", 0755)"), machine),
            std::nullopt);
  EXPECT_EQ(Explain(Refused(EROFS, "mkdir(\"/x\", 0755)"), machine),
            std::nullopt);
}

TEST(Explain, KnowsAProgramOutOfReach) {
  const CallError error = Refused(EACCES, "execv(\"/root/lessons/uts\")");
  EXPECT_THAT(CauseOf(error, OpenMachine()), HasSubstr("reach that program"));
  EXPECT_THAT(RemedyOf(error, OpenMachine()), HasSubstr("bazel-bin/lessons"));
}

TEST(Explain, KnowsAMaskedProc) {
  const CallError error =
      Refused(EPERM, "mount(\"proc\", \"/proc\", \"proc\", 0, NULL)");
  Machine machine = OpenMachine();
  machine.masked_proc = true;
  machine.privileged = true;
  EXPECT_THAT(CauseOf(error, machine), HasSubstr("/proc is masked"));
  EXPECT_THAT(RemedyOf(error, machine),
              AllOf(HasSubstr("--security-opt systempaths=unconfined"),
                    HasSubstr("--security-opt unmask=ALL")));
  const CallError other =
      Refused(EPERM, "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL)");
  EXPECT_EQ(Explain(other, machine), std::nullopt) << "that hides nothing";
}

TEST(Explain, NamesAtLeastSudoToAnOrdinaryUser) {
  EXPECT_EQ(RemedyOf(kUnshareUser, OpenMachine()), "sudo");
}

TEST(Explain, KnowsWhoMayJoinANamespace) {
  const CallError error = Refused(EPERM, "setns(4, CLONE_NEWUSER)");
  // What stands in the way of who makes a namespace is not to blame.
  Machine machine = OpenMachine();
  machine.chroot = true;
  machine.apparmor_restricts = true;
  machine.unprivileged_clone = false;
  EXPECT_THAT(CauseOf(error, machine), HasSubstr("takes CAP_SYS_ADMIN"));
  EXPECT_EQ(RemedyOf(error, machine), "sudo");
  machine.seccomp = true;
  EXPECT_THAT(RemedyOf(error, machine), HasSubstr("seccomp=unconfined"));
  machine.privileged = true;
  EXPECT_EQ(RemedyOf(error, machine), "CAP_SYS_ADMIN in that user namespace");
  EXPECT_EQ(Explain(Refused(ESRCH, "setns(3, CLONE_NEWUTS)"), machine),
            std::nullopt);
}

TEST(Explain, KeepsSilentWhereTheMachineIsNotToBlame) {
  Machine machine = OpenMachine();
  machine.privileged = true;
  EXPECT_EQ(Explain(kUnshareUser, machine), std::nullopt);
  EXPECT_EQ(Explain(Refused(EBADF, "close(-1)"), machine), std::nullopt);
}

// What follows is refused by the kernel itself.

TEST(Machine, SeesALimitThatRefusesANamespace) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    WriteAll(Open("/proc/sys/user/max_uts_namespaces", O_WRONLY).get(), "0");
    try {
      MUST(unshare, CLONE_NEWUTS);
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(CauseOf(error, Machine::Look()),
                  HasSubstr("user.max_uts_namespaces is 0"));
    }
  });
}

// The parent is outside of the user namespace in which its child is root.
TEST(Machine, SeesAProcessThatMayNotBeInspected) {
  InChild([parent = getpid()] {
    EnterUserNamespaceAsRoot();
    try {
      NamespacesOf(parent);
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(RemedyOf(error, Machine::Look()),
                  HasSubstr("CAP_SYS_PTRACE"));
    }
  });
}

TEST(Machine, SeesASeccompFilter) {
  InChild([] {
    EXPECT_FALSE(Machine::Look().seccomp);
    FilterCalls({});
    EXPECT_TRUE(Machine::Look().seccomp);
  });
}

TEST(Machine, SeesAChrootAndItsRefusal) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    EXPECT_FALSE(Machine::Look().chroot);
    // A folder that is no mount point, with the /proc that Look() reads.
    MUST(unshare, CLONE_NEWNS);
    Check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(\"/\", MS_PRIVATE)");
    Check(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr), "mount(\"/tmp\")");
    std::filesystem::create_directories("/tmp/root/proc");
    Check(mount("/proc", "/tmp/root/proc", nullptr, MS_BIND | MS_REC, nullptr),
          "mount(\"/proc\", MS_BIND)");
    Check(chroot("/tmp/root"), "chroot(\"/tmp/root\")");

    const Machine machine = Machine::Look();
    EXPECT_TRUE(machine.chroot);
    try {
      MUST(unshare, CLONE_NEWUSER);
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(CauseOf(error, machine), HasSubstr("chroot"));
    }
    try {
      Check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
            "mount(\"/\", MS_PRIVATE)");
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(CauseOf(error, machine), HasSubstr("no mount point"));
    }
  });
}

TEST(Machine, SeesWhoMayNotJoinANamespace) {
  InChild([] {
    const Descriptor uts = Open("/proc/self/ns/uts", O_RDONLY);
    EnterUserNamespaceAsRoot();
    try {
      MUST(setns, uts.get(), 0);
      FAIL();
    } catch (const CallError& error) {
      EXPECT_EQ(RemedyOf(error, Machine::Look()),
                "CAP_SYS_ADMIN in that user namespace");
    }
  });
}

TEST(Machine, SeesAMaskedProcAndItsRefusal) {
  InChild([] {
    const auto cover = [](const char* folder) {
      Check(mount("tmpfs", folder, "tmpfs", 0, nullptr), "mount(\"{}\")",
            folder);
    };
    // Only what was covered further out can hide something: it is locked.
    const auto mount_proc = [] {
      EnterUserNamespaceAsRoot();
      MUST(unshare, CLONE_NEWNS | CLONE_NEWPID);
      Process child = Process::Quiet().Clone("child", 0);
      child.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
    };
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    Check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(\"/\", MS_PRIVATE)");
    if (Machine::Look().masked_proc) GTEST_SKIP() << "/proc is masked here";
    if (std::filesystem::exists("/proc/sys/fs/binfmt_misc")) {
      cover("/proc/sys/fs/binfmt_misc");
      EXPECT_FALSE(Machine::Look().masked_proc) << "there was nothing to hide";
      InChild(mount_proc);
    }
    cover("/proc/tty");
    const Machine machine = Machine::Look();
    EXPECT_TRUE(machine.masked_proc);
    try {
      mount_proc();
      FAIL();
    } catch (const CallError& error) {
      EXPECT_EQ(error.error(), EPERM);
      EXPECT_THAT(CauseOf(error, machine), HasSubstr("/proc is masked"));
    }
  });
}

// What other machines have in /proc.
class MadeUpProc {
 public:
  MadeUpProc() {
    Check(mkdtemp(folder_.data()) == nullptr ? -1 : 0, "mkdtemp()");
  }
  ~MadeUpProc() { std::filesystem::remove_all(folder_); }

  void Add(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = folder_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    WriteAll(Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600).get(), text);
  }

  Machine Look() const { return Machine::Look(folder_); }

 private:
  std::string folder_ = "/tmp/advice_test.XXXXXX";
};

TEST(Machine, SeesUbuntusAppArmor) {
  const MadeUpProc proc;
  EXPECT_FALSE(proc.Look().apparmor_restricts) << "as where it has no switch";
  const std::string file = "sys/kernel/apparmor_restrict_unprivileged_userns";
  proc.Add(file, "0\n");
  EXPECT_FALSE(proc.Look().apparmor_restricts);
  proc.Add(file, "1\n");
  Machine machine = proc.Look();
  EXPECT_TRUE(machine.apparmor_restricts);
  machine.privileged = false;
  machine.mapped = true;
  EXPECT_THAT(CauseOf(kMap, machine), HasSubstr("AppArmor"));
}

TEST(Machine, SeesDebiansSwitch) {
  const MadeUpProc proc;
  EXPECT_TRUE(proc.Look().unprivileged_clone) << "as where it has no switch";
  const std::string file = "sys/kernel/unprivileged_userns_clone";
  proc.Add(file, "1\n");
  EXPECT_TRUE(proc.Look().unprivileged_clone);
  proc.Add(file, "0\n");
  Machine machine = proc.Look();
  EXPECT_FALSE(machine.unprivileged_clone);
  machine.privileged = false;
  machine.mapped = true;
  EXPECT_THAT(CauseOf(kUnshareUser, machine),
              HasSubstr("kernel.unprivileged_userns_clone is 0"));
}

TEST(Machine, FindsItsUserInAMap) {
  const MadeUpProc proc;
  EXPECT_FALSE(proc.Look().mapped) << "as where the map is not yet written";
  const auto is_mapped = [&](const std::string& map) {
    proc.Add("self/uid_map", map);
    return proc.Look().mapped;
  };
  const std::string uid = std::to_string(geteuid());
  const std::string next = std::to_string(geteuid() + 1);
  EXPECT_FALSE(is_mapped("0 100000 " + uid + "\n")) << "one too few";
  EXPECT_TRUE(is_mapped("0 100000 " + next + "\n"));
  EXPECT_FALSE(is_mapped(next + " 100000 5\n"));
  EXPECT_TRUE(is_mapped(next + " 0 5\n" + uid + " 1000 1\n"));
}

TEST(Machine, SeesAnAppArmorProfile) {
  const MadeUpProc proc;
  const std::string file = "self/attr/apparmor/current";
  proc.Add(file, "unconfined\n");
  EXPECT_EQ(proc.Look().apparmor, "");
  proc.Add(file, "docker-default (enforce)\n");
  EXPECT_EQ(proc.Look().apparmor, "docker-default");
}

// Before the map is written. Afterwards the first user of many has a number.
TEST(Machine, SeesAUserWithoutANumber) {
  EXPECT_TRUE(Machine::Look().mapped);
  InChild([ids = Ids::OfCaller()] {
    MUST(unshare, CLONE_NEWUSER);
    try {
      MUST(unshare, CLONE_NEWUSER);
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(CauseOf(error, Machine::Look()), HasSubstr("has no number"));
    }
    MapToRoot(ids);
    EXPECT_TRUE(Machine::Look().mapped);
  });
}

TEST(Machine, SeesAFileSystemThatTheKernelLacks) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    try {
      Check(mount("none", "/", "nonesuch", 0, nullptr),
            "mount(\"none\", \"/\", \"nonesuch\", 0, NULL)");
      FAIL();
    } catch (const CallError& error) {
      EXPECT_THAT(CauseOf(error, Machine::Look()), HasSubstr("file system"));
    }
  });
}

TEST(Machine, KnowsItsKindsAndThisProcess) {
  const Machine machine = Machine::Look();
  EXPECT_TRUE(machine.kinds.contains("uts"));
  EXPECT_EQ(machine.privileged, HasCapabilities({CAP_SYS_ADMIN}));
}

TEST(ExamineProc, IsContentWithTheProcOfThisPidNamespace) {
  EXPECT_FALSE(ExamineProc());
}

TEST(ExamineProc, SeesTheProcOfAnotherPidNamespace) {
  const auto expect_refusal = [] {
    const std::optional<Refusal> refusal = ExamineProc();
    ASSERT_TRUE(refusal);
    EXPECT_THAT(refusal->advice.cause, HasSubstr("another PID namespace"));
    EXPECT_THAT(refusal->advice.remedy, HasSubstr("--mount-proc"));
  };
  InChild(expect_refusal, CLONE_NEWUSER | CLONE_NEWPID);
  // One in which this process has no number at all: that of a child.
  InChild([&] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS | CLONE_NEWPID);
    Check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(\"/\", MS_PRIVATE)");
    Process child = Process::Quiet().Clone("child", CLONE_NEWNS);
    child.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
    const Descriptor mounts =
        Open("/proc/" + std::to_string(child.pid()) + "/ns/mnt", O_RDONLY);
    Check(setns(mounts.get(), 0), "setns()");
    expect_refusal();
  });
}

TEST(ExamineProc, SeesThatThereIsNone) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    Check(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr), "mount(\"/tmp\")");
    Check(chroot("/tmp"), "chroot(\"/tmp\")");
    const std::optional<Refusal> refusal = ExamineProc();
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->advice.cause, "/proc is not mounted.");
    EXPECT_FALSE(Machine::Look().chroot) << "nothing tells";
  });
}

}  // namespace
}  // namespace steps
