#include "common/lesson/advice.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"

namespace steps {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

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

// A machine without time namespaces, with few PID namespaces and no IPC ones.
Machine MadeUp(unsigned traits, uid_t uid) {
  Machine machine = {.traits = traits,
                     .uid = uid,
                     .real_uid = 7,
                     .apparmor = "docker-default",
                     .limits = {{"max_user_namespaces", 15000},
                                {"max_pid_namespaces", 1},
                                {"max_ipc_namespaces", 0},
                                {"pids.max", 20},
                                {"ulimit -f", 0},
                                {"ulimit -n", 16},
                                {"ulimit -q", 819200},
                                {"ulimit -u", 64},
                                {"ulimit -v", 4096}}};
  for (const Kind& kind : Kinds()) {
    if (kind.name != "time") machine.kinds.insert(std::string(kind.name));
  }
  return machine;
}

std::string CauseOf(const std::exception& error, const Machine& machine) {
  const std::optional<Advice> advice = Explain(error, machine);
  return advice ? advice->cause : "";
}

struct Row {
  int error;
  const char* call;
  unsigned traits;
  uid_t uid;
  const char* cause;   // A part of it, or "": none is known.
  const char* remedy;  // All of it.
};

constexpr unsigned kIn = kInContainer;
constexpr const char* kUser = "unshare(CLONE_NEWUSER)";
constexpr const char* kUts = "clone(CLONE_NEWUTS | SIGCHLD)";
constexpr const char* kMapping = "write(\"/proc/self/uid_map\", \"0 0 1\")";
constexpr const char* kPrivate = "mount(\"none\", \"/\", NULL, MS_PRIVATE)";
constexpr const char* kNewProc = "mount(\"proc\", \"/proc\", \"proc\", 0)";
constexpr const char* kLink = "readlink(\"/proc/1/ns/uts\")";
constexpr const char* kJoining = "setns(4, CLONE_NEWUSER)";
constexpr const char* kMkdir = "mkdir(\"/sys/fs/cgroup/steps-1\", 0755)";
constexpr const char* kProcs = "open(\"/sys/fs/cgroup/x/cgroup.procs\")";
constexpr const char* kOffsets = "write(4, \"monotonic 1 0\", 13)";
constexpr const char* kCable = "send(3, RTM_NEWLINK, \"veth\")";
constexpr const char* kUp = "ioctl(3, SIOCSIFFLAGS, \"lo\", IFF_UP)";

constexpr const char* kUnconfined =
    "docker run (or podman run) --security-opt seccomp=unconfined";
constexpr const char* kPrivilegedRun =
    "docker run (or podman run) --privileged";
constexpr const char* kNoFilter =
    "run it outside of the sandbox or service that has the filter";
constexpr const char* kOutside = "run it outside of the chroot";
constexpr const char* kAsUser = "run it as an ordinary user";

const std::vector<Row> kRows = {
    // What the kernel lacks.
    {EINVAL, "unshare(CLONE_NEWTIME)", 0, 0, "no time namespaces",
     "a kernel from 5.6 on, configured with them"},
    {ENOENT, "readlink(\"/proc/self/ns/time\")", 0, 0, "no time namespaces",
     "a kernel from 5.6 on, configured with them"},
    {EINVAL, kUts, 0, 0, "", ""},
    {ENOENT, "readlink(\"/proc/self/ns/uts\")", 0, 0, "", ""},
    {EINVAL, "unshare(CLONE_NEWTIME)", kGvisor, 0, "gVisor",
     "docker run --runtime=runc"},
    {EINVAL, "::unshare(CLONE_NEWNS)", kEmulated, 0, "qemu-user",
     "build it for the architecture of this machine"},
    {EINVAL, "chdir(\"/\")", kEmulated, 0, "", ""},
    {ENODEV, "mount(\"mqueue\")", 0, 0, "file system",
     "a kernel that is configured with it"},
    {ENODEV, "open(\"/dev/x\")", 0, 0, "", ""},
    {EOPNOTSUPP, kCable, 0, 0, "no veth",
     "a kernel configured with CONFIG_VETH"},
    {EOPNOTSUPP, "listen(3, 8)", 0, 0, "", ""},
    {ENOSYS, "clone3()", 0, 0, "does not have the call", "a newer kernel"},
    {ENOSYS, "clone3()", kFiltered, 0, "seccomp", kNoFilter},
    {ENOSYS, "clone3()", kFiltered | kIn, 0, "seccomp", kUnconfined},
    {ENOENT, "open(\"/dev/null\")", 0, 1000, "There is no /dev/null",
     "sudo mount -t devtmpfs devtmpfs /dev"},
    {ENOENT, "mount(\"/dev/null\", \"/proc/keys\", NULL, MS_BIND, NULL)",
     kPrivileged, 0, "There is no /dev/null",
     "mount -t devtmpfs devtmpfs /dev"},
    {ENOENT, "open(\"/dev/nullify\")", 0, 0, "", ""},
    {ENOENT, "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL)", 0, 1000,
     "no directory /mnt", "sudo mkdir /mnt"},
    {ENOENT, "stat(\"/mnt\", &status)", kPrivileged, 0, "no directory /mnt",
     "mkdir /mnt"},
    {ENOENT, "stat(\"/mnt/x\", &status)", 0, 0, "", ""},
    {ENOENT, "execvp(\"dot\")", 0, 1000, "not installed",
     "sudo apt-get install graphviz"},
    {ENOENT, "execvp(\"dot\")", kPrivileged, 0, "not installed",
     "apt-get install graphviz"},
    {ENOENT, "execvp(\"sh\")", 0, 0, "", ""},

    // Limits.
    {ENOSPC, "clone(CLONE_NEWUSER | CLONE_NEWIPC)", 0, 1000,
     "user.max_ipc_namespaces is 0: no ipc namespace may be made.",
     "sudo sysctl user.max_ipc_namespaces=15000"},
    {ENOSPC, "clone(CLONE_NEWPID)", 0, 0, "user.max_pid_namespaces is 1",
     "with root's capabilities: sysctl user.max_pid_namespaces=15000"},
    {ENOSPC, "clone(CLONE_NEWPID)", kPrivileged, 0,
     "user.max_pid_namespaces is 1: no more pid namespaces may be made.",
     "sysctl user.max_pid_namespaces=15000"},
    {EUSERS, "clone(CLONE_NEWPID)", kIn, 0, "user.max_pid_namespaces is 1",
     "outside of the container: sysctl user.max_pid_namespaces=15000"},
    {ENOSPC, kUser, 0, 0, "deeper than 32 levels",
     "leave a level, or end what holds them: lsns"},
    {ENOSPC, "write(3)", 0, 0, "", ""},
    {EAGAIN, kUts, 0, 0,
     "processes may be made: pids.max is 20, ulimit -u is 64.",
     "raise that limit, or end some processes"},
    {EAGAIN, "recv(3)", 0, 0, "", ""},
    {EMFILE, "open(\"/etc/passwd\")", 0, 0, "ulimit -n is 16",
     "raise that limit where it was set: ulimit -n, limits.conf(5)"},
    {EMFILE, "mq_open(\"/queue\")", 0, 0, "ulimit -q is 819200",
     "raise that limit, or end what holds the queues"},
    {EFBIG, "write(4)", 0, 0, "ulimit -f is 0 KiB",
     "raise that limit where it was set: ulimit -f, limits.conf(5)"},
    {ENFILE, "socket(1, 1, 0)", 0, 0, "fs.file-max",
     "end what holds them: lsof"},
    {ENOMEM, "malloc()", kLittleMemory, 0, "ulimit -v is 4096 KiB",
     "raise that limit where it was set: ulimit -v, limits.conf(5)"},
    {ENOMEM, kUts, 0, 0, "", ""},

    // Cgroups and programs.
    {EROFS, kMkdir, kIn, 0, "mounted read-only",
     "docker run (or podman run) --privileged, or -v "
     "/sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host"},
    {EROFS, kMkdir, 0, 1000, "mounted read-only",
     "sudo mount -o remount,bind,rw /sys/fs/cgroup, or what of it is ro: "
     "findmnt -t cgroup"},
    {EROFS, "mkdir(\"/x\", 0755)", kIn, 0, "", ""},
    {EACCES, kMkdir, 0, 1000, "delegated",
     "sudo, or run it in what systemd-run --user --scope starts"},
    {EPERM, kProcs, 0, 0, "delegated",
     "run it in what systemd-run --scope starts"},
    {EACCES, kProcs, kIn, 0, "delegated", kPrivilegedRun},
    {EACCES, "mkdir(\"/x\", 0755)", kPrivileged, 0, "", ""},
    {EACCES, "execv(\"/root/x/uts\")", 0, 1000, "reach that program",
     "copy the programs to a directory that this user may read"},

    // Other processes. What stands in the way of one who makes a namespace is
    // not to blame.
    {EACCES, kLink, kRestricted, 1000, "belongs to somebody else", "sudo"},
    {EPERM, "access(\"/proc/1/ns\")", 0, 1000, "belongs to somebody", "sudo"},
    {EACCES, kLink, kPrivileged, 0, "may do more than this one",
     "CAP_SYS_PTRACE in its user namespace"},
    {EPERM, "mount(\"/proc/1/ns/uts\", \"/uts\")", kPrivileged, 0, "", ""},
    {EPERM, kJoining, kRestricted | kNoUserClone, 1000, "takes CAP_SYS_ADMIN",
     "sudo"},
    {EPERM, kJoining, kFiltered | kIn, 1000, "seccomp", kUnconfined},
    {EPERM, kJoining, kFiltered | kPrivileged, 0, "takes CAP_SYS_ADMIN",
     "CAP_SYS_ADMIN in that user namespace"},
    {ESRCH, "setns(3, CLONE_NEWUTS)", 0, 0, "", ""},

    // Where a process is, and what confines it.
    {EPERM, kUser, kInChroot | kPrivileged, 0, "Inside a chroot", kOutside},
    {EPERM, kUts, kInChroot | kPrivileged, 0, "", ""},
    {EINVAL, kPrivate, kInChroot | kBareRoot, 0, "no mount point", kOutside},
    {EINVAL, "pivot_root(\".\", \".\")", kBareRoot, 0, "no mount point",
     kOutside},
    {EINVAL, kPrivate, kInChroot, 0, "", ""},
    {EPERM, kUser, kUnmapped, 65534, "has no number",
     "leave that one, or make it with a map: unshare --map-root-user"},
    {EPERM, kUts, kFiltered | kIn | kPrivileged, 0, "seccomp", kUnconfined},
    {EPERM, kUser, kFiltered, 1000, "seccomp", kNoFilter},
    {EPERM, kNewProc, kMaskedProc | kIn | kPrivileged, 0, "/proc is masked",
     "docker run --security-opt systempaths=unconfined, or podman run "
     "--security-opt unmask=ALL"},
    {EPERM, kNewProc, kMaskedProc, 0, "/proc is masked",
     "run it where nothing hides a part of /proc: findmnt -R /proc"},
    {EPERM, kPrivate, kMaskedProc | kPrivileged, 0, "", ""},
    {EACCES, kPrivate, kSelinux | kIn | kPrivileged, 0, "SELinux",
     "docker run (or podman run) --security-opt label=disable"},
    {EACCES, kUser, kSelinux, 1000, "SELinux",
     "see what to allow: sudo ausearch -m avc -ts recent"},
    {EPERM, kPrivate, kSelinux | kPrivileged, 0, "", ""},
    {EACCES, kPrivate, kConfined | kIn | kPrivileged, 0,
     "profile docker-default",
     "docker run (or podman run) --security-opt apparmor=unconfined"},
    {EACCES, "open(\"/root\")", kConfined | kPrivileged, 0, "", ""},

    // Root that is not quite root.
    {EPERM, kMapping, kNoSetfcap, 0, "CAP_SETFCAP is missing", kAsUser},
    {EPERM, kMapping, kNoSetfcap | kIn, 0, "CAP_SETFCAP is missing",
     "docker run (or podman run) --cap-add SETFCAP"},
    {EPERM, kMapping, kNoSetfcap | kNoroot, 0, "SECBIT_NOROOT is set",
     "start it without that bit, or run it as an ordinary user"},
    {EACCES, "open(\"/proc/self/setgroups\")", kTwoUids, 1000,
     "The real uid is 7, the effective one 1000",
     "run it with one uid for both: setpriv --reuid"},
    {EPERM, kOffsets, kPrivileged, 0, "CAP_SYS_TIME", kAsUser},
    {EPERM, kOffsets, kPrivileged, 1000, "CAP_SYS_TIME", "CAP_SYS_TIME"},
    {EPERM, kOffsets, kPrivileged | kIn, 0, "CAP_SYS_TIME",
     "docker run (or podman run) --cap-add SYS_TIME"},
    {EACCES, kOffsets, kPrivileged, 0, "", ""},
    {EPERM, kUp, kPrivileged, 0, "CAP_NET_ADMIN", kAsUser},
    {EPERM, kCable, kPrivileged, 1000, "CAP_NET_ADMIN", "CAP_NET_ADMIN"},
    {EPERM, kCable, kPrivileged | kIn, 0, "CAP_NET_ADMIN",
     "docker run (or podman run) --cap-add NET_ADMIN"},
    {EPERM, "umount2(\".\", MNT_DETACH)", kFiltered | kIn | kPrivileged, 0,
     "seccomp", kUnconfined},
    {EPERM, "sethostname(\"web\", 3)", kFiltered | kPrivileged, 0, "seccomp",
     kNoFilter},
    {EPERM, "kill(1, SIGTERM)", kFiltered | kPrivileged, 0, "", ""},
    {EPERM, kUser, kPrivileged | kNoUserClone | kRestricted, 0, "", ""},

    // Ordinary users; uid 0 without capabilities is one, too.
    {EPERM, kUser, kNoUserClone, 1000, "unprivileged_userns_clone is 0",
     "sudo sysctl kernel.unprivileged_userns_clone=1"},
    {EPERM, kMapping, kRestricted, 1000, "AppArmor restricts",
     "sudo, or until the next boot: sudo sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
    {EPERM, kMapping, kRestricted | kIn, 1000, "AppArmor restricts",
     "outside of the container: until the next boot: sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
    {EPERM, "open(\"/x\")", kFiltered | kIn, 1000, "seccomp", kUnconfined},
    {EPERM, kUts, 0, 1000, "refuses it to this user", "sudo"},
    {EPERM, kUts, 0, 0, "refuses it to this user",
     "start it with all of root's capabilities"},
    {EPERM, kUts, kIn, 0, "refuses it to this user", kPrivilegedRun},
    {EPERM, kUts, kInChroot, 1000, "refuses it to this user", kOutside},
    {EPERM, kUts, kNoNewPrivs, 1000, "refuses it to this user",
     "run it where no_new_privs is not set: sudo"},
    {EBADF, "close(-1)", 0, 1000, "", ""},
};

TEST(Explain, NamesACauseAndARemedyForWhoIsRefused) {
  for (const Row& row : kRows) {
    const CallError error = Refused(row.error, row.call);
    SCOPED_TRACE(error.what());
    const std::optional<Advice> advice =
        Explain(error, MadeUp(row.traits, row.uid));
    EXPECT_EQ(advice.has_value(), *row.cause != '\0');
    if (!advice) continue;
    EXPECT_THAT(advice->cause, HasSubstr(row.cause));
    EXPECT_EQ(advice->remedy, row.remedy);
    EXPECT_EQ((advice->cause + advice->remedy).find('{'), std::string::npos);
    if (row.uid == 0 && row.traits != kSelinux) {
      EXPECT_EQ(advice->remedy.find("sudo"), std::string::npos);
    }
  }
}

TEST(Explain, KnowsWhatTheStandardLibraryThrows) {
  const Machine machine = MadeUp(kLittleMemory, 0);
  EXPECT_THAT(CauseOf(std::bad_alloc(), machine), HasSubstr("ulimit -v"));
  const auto too_many = std::make_error_code(std::errc::too_many_files_open);
  const auto again =
      std::make_error_code(std::errc::resource_unavailable_try_again);
  EXPECT_THAT(
      CauseOf(std::filesystem::filesystem_error("", "/x", too_many), machine),
      HasSubstr("ulimit -n"));
  EXPECT_THAT(CauseOf(std::system_error(again), machine),
              HasSubstr("ulimit -u"));
  EXPECT_THAT(CauseOf(std::runtime_error(""), machine), IsEmpty());
  EXPECT_EQ(CauseOf(ExplainedError("", {"Because.", ""}), machine), "Because.");
}

// What follows is refused by the kernel itself. The cause of what `body` tries
// in vain, on the machine as it was before.
std::string CauseHere(const std::function<void()>& body) {
  const Machine machine = Machine::Look();
  try {
    body();
  } catch (const std::exception& error) {
    return CauseOf(error, machine);
  }
  return "it was allowed";
}

bool Sees(unsigned traits) { return Machine::Look().Is(traits); }

void EnterOwnMounts() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MakeMountsPrivate();
}

void UnshareUser() { MUST(unshare, CLONE_NEWUSER); }

TEST(Machine, SeesLimitsThatRefuseANamespace) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    for (const auto& [limit, cause] : std::map<std::string, std::string>{
             {"0", "user.max_uts_namespaces is 0: no uts namespace"},
             {"1", "user.max_uts_namespaces is 1: no more uts namespaces"}}) {
      WriteAll(Open("/proc/sys/user/max_uts_namespaces", O_WRONLY).get(),
               limit);
      EXPECT_THAT(CauseHere([] {
                    MUST(unshare, CLONE_NEWUTS);
                    MUST(unshare, CLONE_NEWUTS);
                  }),
                  HasSubstr(cause));
    }
  });
}

TEST(Machine, SeesLimitsOfAProcess) {
  InChild([] {
    const rlimit few = {.rlim_cur = 16, .rlim_max = 16};
    MUST(setrlimit, RLIMIT_NOFILE, &few);
    EXPECT_THAT(CauseHere([] {
                  while (MUST(open, "/", O_RDONLY) != -1) continue;
                }),
                HasSubstr("ulimit -n is 16"));
  });
}

// The parent is outside of the user namespace in which its child is root.
TEST(Machine, SeesWhoMayNotInspectOrJoin) {
  InChild([parent = getpid()] {
    const Descriptor uts = Open("/proc/self/ns/uts", O_RDONLY);
    EnterUserNamespaceAsRoot();
    EXPECT_THAT(CauseHere([parent] { NamespacesOf(parent); }),
                HasSubstr("may do more than this one"));
    EXPECT_THAT(CauseHere([&uts] { MUST(setns, uts.get(), 0); }),
                HasSubstr("takes CAP_SYS_ADMIN"));
  });
}

TEST(Machine, SeesASeccompFilter) {
  InChild([] {
    EXPECT_FALSE(Sees(kFiltered));
    FilterCalls({});
    EXPECT_TRUE(Sees(kFiltered | kNoNewPrivs));
  });
}

TEST(Machine, SeesAChrootAndItsRefusals) {
  for (const bool mounted : {false, true}) {
    InChild([mounted] {
      EnterOwnMounts();
      EXPECT_FALSE(Sees(kInChroot));
      MountTmpfs("/mnt");
      const std::string root = mounted ? "/mnt" : "/mnt/root";
      std::filesystem::create_directories(root + "/proc");
      MUST(mount, "/proc", (root + "/proc").c_str(), nullptr, MS_BIND | MS_REC,
           nullptr);
      MUST(chroot, root.c_str());
      EXPECT_TRUE(Sees(kInChroot));
      EXPECT_EQ(Sees(kBareRoot), !mounted);
      EXPECT_THAT(CauseHere(UnshareUser), HasSubstr("Inside a chroot"));
      if (mounted) return;
      EXPECT_THAT(CauseHere(MakeMountsPrivate), HasSubstr("no mount point"));
    });
  }
}

TEST(Machine, SeesAMaskedProcAndItsRefusal) {
  InChild([] {
    // Only what was covered further out can hide something: it is locked.
    const auto mount_proc = [] {
      EnterUserNamespaceAsRoot();
      MUST(unshare, CLONE_NEWNS | CLONE_NEWPID);
      Process child = Process::Quiet().Clone("child", 0);
      child.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
    };
    EnterOwnMounts();
    if (Sees(kMaskedProc)) GTEST_SKIP() << "/proc is masked here";
    if (std::filesystem::exists("/proc/sys/fs/binfmt_misc")) {
      MountTmpfs("/proc/sys/fs/binfmt_misc");
      EXPECT_FALSE(Sees(kMaskedProc)) << "there was nothing to hide";
      InChild(mount_proc);
    }
    MountTmpfs("/proc/tty");
    EXPECT_TRUE(Sees(kMaskedProc));
    EXPECT_THAT(CauseHere(mount_proc), HasSubstr("/proc is masked"));
  });
}

// Before the map is written. Afterwards the first user of many has a number.
TEST(Machine, SeesAUserWithoutANumber) {
  EXPECT_FALSE(Sees(kUnmapped));
  InChild([ids = Ids::OfCaller()] {
    UnshareUser();
    EXPECT_THAT(CauseHere(UnshareUser), HasSubstr("has no number"));
    MapToRoot(ids);
    EXPECT_FALSE(Sees(kUnmapped));
  });
}

// As of a container's root, or of setpriv's: uid 0, but not all that it can do.
TEST(Machine, SeesARootThatMayNotMapItself) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    const std::unique_ptr<void, int (*)(void*)> none(cap_init(), cap_free);
    MUST(cap_set_proc, static_cast<cap_t>(none.get()));
    EXPECT_THAT(CauseHere(EnterUserNamespaceAsRoot),
                HasSubstr("CAP_SETFCAP is missing"));
  });
}

TEST(Machine, SeesAFileSystemThatTheKernelLacks) {
  InChild([] {
    EnterOwnMounts();
    EXPECT_THAT(
        CauseHere([] { MUST(mount, "none", "/", "nonesuch", 0, nullptr); }),
        HasSubstr("file system"));
  });
}

TEST(Machine, KnowsItsKindsAndThisProcess) {
  const Machine machine = Machine::Look();
  EXPECT_TRUE(machine.kinds.contains("uts"));
  EXPECT_EQ(machine.uid, geteuid());
  EXPECT_EQ(machine.real_uid, getuid());
  EXPECT_EQ(machine.Is(kPrivileged), HasCapabilities({CAP_SYS_ADMIN}));
}

// What other machines have in their files.
class MadeUpRoot {
 public:
  MadeUpRoot() {
    Check(mkdtemp(root_.data()) == nullptr ? -1 : 0, "mkdtemp()");
  }
  ~MadeUpRoot() { std::filesystem::remove_all(root_); }

  void Add(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = root_ + "/" + file;
    std::filesystem::create_directories(path.parent_path());
    WriteAll(Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600).get(), text);
  }

  Machine Look() const { return Machine::Look(root_); }

 private:
  std::string root_ = "/tmp/advice_test.XXXXXX";
};

TEST(Machine, SeesWhatItsFilesSay) {
  struct File {
    const char* name;
    const char* text;
    unsigned traits;
  };
  for (const auto& [name, text, traits] : std::vector<File>{
           {"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
            kRestricted},
           {"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n", 0},
           {"proc/sys/kernel/unprivileged_userns_clone", "0\n", kNoUserClone},
           {"proc/sys/kernel/unprivileged_userns_clone", "1\n", 0},
           {"proc/self/attr/apparmor/current", "docker-default (enforce)\n",
            kConfined},
           {"proc/self/attr/apparmor/current", "unconfined\n", 0},
           {"sys/fs/selinux/enforce", "1", kSelinux},
           {"sys/fs/selinux/enforce", "0", 0},
           {"proc/version",
            "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n",
            kGvisor},
           {"proc/version", "Linux version 6.1.0 #1 SMP Debian\n", 0},
           {"proc/thread-self/cmdline", "/usr/bin/qemu-aarch64-static",
            kEmulated},
           {"proc/thread-self/cmdline", "./qemu/uts", 0},
           {"run/.containerenv", "", kInContainer},
           {"run/systemd/container", "lxc\n", kInContainer},
           // An image of Docker's may be that of a virtual machine.
           {".dockerenv", "", 0},
           {"proc/self/mountinfo",
            "9 8 0:5 / / rw - overlay o r\n"
            "10 9 0:6 /x /etc/hostname rw - ext4 e r\n",
            kInContainer},
           {"proc/self/mountinfo", "10 9 0:6 / /tmp rw - tmpfs t r\n",
            kInChroot | kBareRoot},
           {"proc/self/status", "Name:\tx\nUid:\t0\t1000\t0\t0\n", kTwoUids},
           {"proc/self/status",
            "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n", 0},
           {"proc/self/status",
            "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t0000000000200000\n",
            kPrivileged | kNoSetfcap}}) {
    SCOPED_TRACE(std::string(name) + ": " + text);
    const MadeUpRoot root;
    root.Add("proc/self/status",
             "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t80000000\n");
    root.Add("proc/self/uid_map", "0 0 4294967295\n");
    root.Add(name, text);
    EXPECT_EQ(root.Look().traits & ~unsigned{kLittleMemory}, traits);
  }
}

TEST(Machine, FindsItsUserInAMap) {
  const MadeUpRoot root;
  root.Add("proc/self/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\n");
  const auto is_mapped = [&](const std::string& map) {
    root.Add("proc/self/uid_map", map);
    return !root.Look().Is(kUnmapped);
  };
  EXPECT_FALSE(is_mapped("")) << "as where the map is not yet written";
  EXPECT_FALSE(is_mapped("0 100000 1000\n")) << "one too few";
  EXPECT_TRUE(is_mapped("0 100000 1001\n"));
  EXPECT_FALSE(is_mapped("1001 100000 5\n"));
  EXPECT_TRUE(is_mapped("1001 0 5\n1000 1000 1\n"));
}

TEST(CheckProc, IsContentWithTheProcOfThisPidNamespace) { CheckProc(); }

TEST(CheckProc, SeesTheProcOfAnotherPidNamespace) {
  const auto expect_refusal = [] {
    EXPECT_THAT(CauseHere(CheckProc), HasSubstr("another PID namespace"));
  };
  InChild(expect_refusal, CLONE_NEWUSER | CLONE_NEWPID);
  // One in which this process has no number at all: that of a child.
  InChild([&] {
    EnterOwnMounts();
    MUST(unshare, CLONE_NEWPID);
    Process child = Process::Quiet().Clone("child", CLONE_NEWNS);
    child.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
    const Descriptor mounts =
        Open("/proc/" + std::to_string(child.pid()) + "/ns/mnt", O_RDONLY);
    MUST(setns, mounts.get(), 0);
    expect_refusal();
  });
}

TEST(CheckProc, SeesThatThereIsNone) {
  InChild([] {
    EnterOwnMounts();
    MountTmpfs("/tmp");
    MUST(chroot, "/tmp");
    EXPECT_EQ(CauseHere(CheckProc), "/proc is not mounted.");
    EXPECT_FALSE(Sees(kInChroot)) << "nothing tells";
  });
}

TEST(CheckProc, BlamesNotProcForACallThatFails) {
  for (const int call : {SYS_statfs, SYS_getpid, SYS_readlink}) {
    InChild([call] {
      FilterCalls({{call, EACCES}});
      EXPECT_THROW(CheckProc(), CallError);
    });
  }
}

}  // namespace
}  // namespace steps
