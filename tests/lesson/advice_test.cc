#include "common/lesson/advice.h"

#include <sys/capability.h>

#include <system_error>

#include "tests/support/test.h"

namespace steps {
namespace {

using testing::ResultOf;

// A machine without time namespaces, with few PID namespaces and no IPC ones.
Machine MadeUp(unsigned traits, uid_t uid) {
  Machine machine = {.traits = traits, .profile = "docker-default"};
  for (const Kind& kind : Kinds()) machine.most[kind.flag] = 15000;
  machine.most.erase(CLONE_NEWTIME);
  machine.most[CLONE_NEWUTS] = 100;
  machine.most[CLONE_NEWPID] = 1;
  machine.most[CLONE_NEWIPC] = 0;
  if (uid == 0) machine.traits |= kUidZero;
  return machine;
}

std::string CauseOf(const std::exception& error, const Machine& machine) {
  const std::optional<Advice> advice = Explain(error, machine);
  return advice ? advice->cause : "";
}

constexpr unsigned kIn = kInContainer;
constexpr unsigned kRoot = kPrivileged;
constexpr const char* kUser = "unshare(CLONE_NEWUSER)";
constexpr const char* kUts = "clone(CLONE_NEWUTS | SIGCHLD)";
constexpr const char* kPid = "clone(CLONE_NEWPID)";
constexpr const char* kTime = "unshare(CLONE_NEWTIME)";
constexpr const char* kMap = "write(\"/proc/self/uid_map\", \"0 0 1\")";
constexpr const char* kPrivate = "mount(\"none\", \"/\", NULL, MS_PRIVATE)";
constexpr const char* kNewProc = "mount(\"proc\", \"/proc\", \"proc\", 0)";
constexpr const char* kLink = "readlink(\"/proc/1/ns/uts\")";
constexpr const char* kJoin = "setns(4, CLONE_NEWUSER)";
constexpr const char* kMkdir = "mkdir(\"/sys/fs/cgroup/steps-1\", 0755)";
constexpr const char* kProcs = "open(\"/sys/fs/cgroup/x/cgroup.procs\")";
constexpr const char* kOffsets = "write(4, \"monotonic 1 0\", 13)";
constexpr const char* kCable = "send(3, RTM_NEWLINK, \"veth\")";

struct Row {
  int error;
  const char* call;
  unsigned traits = 0;
  uid_t uid = 0;
  // A part of it, or nothing where the machine is not to blame; and its end,
  // or all of it where sudo or sysctl may be in it.
  const char* cause = "";
  const char* remedy = "";
};

const std::vector<Row> kRows = {
    // What the kernel lacks.
    {EINVAL, kTime, 0, 0, "no time", "from 5.6 on, configured with them"},
    {ENOENT, "readlink(\"/proc/self/ns/time\")", 0, 0, "no time", "with them"},
    {ENODEV, "mount(\"mqueue\")", 0, 0, "file system", "configured with it"},
    {EOPNOTSUPP, kCable, 0, 0, "no veth", "CONFIG_VETH"},
    {ENOSYS, "clone3()", 0, 0, "does not have the call", "a newer kernel"},
    {ENOSYS, "clone3()", kFiltered, 0, "seccomp", "has the filter"},
    {ENOSYS, "clone3()", kFiltered | kIn, 0, "seccomp", "seccomp=unconfined"},
    {ENOENT, "mount(\"tmpfs\", \"/mnt\", 0)", 0, 7, "directory /mnt", "/mnt"},
    {ENOENT, "execvp(\"dot\")", 0, 7, "Graphviz",
     "sudo apt-get install graphviz"},
    {ENOENT, "readlink(\"/proc/self\", buffer, 9)", 0, 7, "not mounted",
     "sudo mount -t proc proc /proc"},

    // Limits.
    {ENOSPC, "clone(CLONE_NEWUTS | CLONE_NEWIPC)", 0, 1000,
     "max_ipc_namespaces is 0", "sudo sysctl user.max_ipc_namespaces=15000"},
    {ENOSPC, kPid, 0, 0, "user.max_pid_namespaces is 1",
     "with root's capabilities: sysctl user.max_pid_namespaces=15000"},
    {ENOSPC, kPid, kRoot, 0, "No more pid namespaces may be made: ",
     "sysctl user.max_pid_namespaces=15000"},
    {EUSERS, kPid, kIn, 0, "user.max_pid_namespaces is 1",
     "outside of the container: sysctl user.max_pid_namespaces=15000"},
    {ENOSPC, kUser, 0, 0, "deeper than 32 levels", "lsns"},
    {EAGAIN, kUts, 0, 0, "(ulimit -u, or pids.max", "processes"},
    {EMFILE, "open(\"/file\")", 0, 0, "(ulimit -n)", "limits.conf(5)"},
    {EMFILE, "mq_open(\"/queue\")", 0, 0, "(ulimit -q)", "the queues"},

    // Cgroups and programs.
    {EROFS, kMkdir, kIn, 0, "mounted read-only", "--cgroupns=host"},
    {EROFS, kMkdir, 0, 1000, "mounted read-only",
     "or what of it is ro: findmnt -t cgroup"},
    {EACCES, kMkdir, 0, 1000, "delegated",
     "sudo, or run it in what systemd-run --user --scope starts"},
    {EPERM, kProcs, 0, 0, "delegated", "systemd-run --user --scope starts"},
    {EACCES, kProcs, kIn, 0, "delegated", "--privileged"},
    {EACCES, "execv(\"/root/x/uts\")", 0, 1000, "that program", "may read"},

    // Other processes. What forbids a new namespace is not to blame.
    {EACCES, kLink, kRestricted, 1000, "belongs to somebody else",
     "sudo, or CAP_SYS_PTRACE in its user namespace"},
    {EPERM, "access(\"/proc/1/ns\")", 0, 1000, "belongs to somebody",
     "sudo, or CAP_SYS_PTRACE in its user namespace"},
    {EACCES, kLink, kRoot, 0, "may do more",
     "CAP_SYS_PTRACE in its user namespace"},
    {EPERM, kJoin, kRestricted | kNoUserClone, 1000, "CAP_SYS_ADMIN", "sudo"},
    {EPERM, kJoin, kFiltered | kIn, 1000, "seccomp", "seccomp=unconfined"},
    {EPERM, kJoin, kFiltered | kRoot, 0, "CAP_SYS_ADMIN", "user namespace"},

    // Where a process is, and what confines it.
    {EPERM, kUser, kInChroot, 1000, "Inside a chroot", "the chroot"},
    {EPERM, kUser, kRoot, 0, "Inside a chroot", "the chroot"},
    {EINVAL, kPrivate, kInChroot, 0, "no mount point", "chroot"},
    {EINVAL, "pivot_root(\".\")", kInChroot, 0, "no mount point", "chroot"},
    {EPERM, kUser, kUnmapped, 65534, "no number", "unshare --map-root-user"},
    {EPERM, kUts, kFiltered | kIn | kRoot, 0, "seccomp", "seccomp=unconfined"},
    {EPERM, kUser, kFiltered, 1000, "seccomp", "has the filter"},
    {EPERM, kNewProc, kMaskedProc | kIn | kRoot, 0, "masked", "unmask=ALL"},
    {EPERM, kNewProc, kMaskedProc, 0, "/proc is masked", "findmnt -R /proc"},
    {EACCES, kPrivate, kSelinux | kIn | kRoot, 0, "SELinux", "label=disable"},
    {EACCES, kUser, kSelinux, 1000, "SELinux",
     "see what to allow: sudo ausearch -m avc -ts recent"},
    {EACCES, kPrivate, kConfined | kIn | kRoot, 0, "AppArmor",
     "apparmor=unconfined"},
    {EACCES, kPrivate, kConfined, 1000, "AppArmor",
     "sudo aa-complain docker-default"},

    // Root that is not quite root.
    {EPERM, kMap, kNoSetfcap, 0, "CAP_SETFCAP is missing", "an ordinary user"},
    {EPERM, kMap, kNoSetfcap | kIn, 0, "CAP_SETFCAP", "--cap-add SETFCAP"},
    {EPERM, "umount2(\".\")", kFiltered | kRoot, 0, "seccomp", "filter"},
    {EPERM, "sethostname(\"web\")", kFiltered | kRoot, 0, "seccomp", "filter"},

    // Ordinary users; uid 0 without capabilities is one, too.
    {EPERM, kUser, kNoUserClone, 1000, "userns_clone is 0",
     "sudo sysctl kernel.unprivileged_userns_clone=1"},
    {EPERM, kMap, kRestricted, 1000, "AppArmor restricts",
     "sudo, or until the next boot: sudo sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
    {EPERM, kMap, kRestricted | kIn, 1000, "AppArmor restricts",
     "outside of the container: until the next boot: sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
    {EPERM, "open(\"/x\")", kFiltered | kIn, 1000, "seccomp", "unconfined"},
    {EPERM, kUts, 0, 1000, "to this user", "sudo"},
    {EPERM, kUts, 0, 0, "to this user", "all of root's capabilities"},
    {EPERM, kUts, kIn, 0, "to this user", "--privileged"},

    // What the machine is not to blame for.
    {EINVAL, kUts},
    {ENOENT, "readlink(\"/proc/self/ns/uts\")"},
    {ENODEV, "open(\"/dev/x\")"},
    {EOPNOTSUPP, "listen(3, 8)"},
    {ENOENT, "execvp(\"sh\")"},
    {ENOSPC, "write()"},
    {EAGAIN, "recv(3)"},
    {ENOMEM, kUts},
    {EROFS, "mkdir(\"/x\", 0755)", kIn},
    {ESRCH, "setns(3, CLONE_NEWUTS)"},
    {EACCES, "mkdir(\"/x\", 0755)", kRoot},
    {EBADF, "close(-1)"},
    {EPERM, "mount(\"/proc/1/ns/uts\", \"/uts\")", kRoot},
    {EPERM, kUts, kInChroot | kRoot},
    {EPERM, kPrivate, kMaskedProc | kRoot},
    {EPERM, kPrivate, kSelinux | kRoot},
    {EACCES, "open(\"/root\")", kConfined | kRoot},
    {EACCES, kOffsets, kRoot},
    {EPERM, "kill(1, SIGTERM)", kFiltered | kRoot},
    {EPERM, kUts, kRoot | kNoUserClone | kRestricted}};

TEST(Explain, NamesACauseAndARemedyForWhoIsRefused) {
  for (const Row& row : kRows) {
    const CallError error(row.error, row.call);
    SCOPED_TRACE(error.what());
    const std::optional<Advice> advice =
        Explain(error, MadeUp(row.traits, row.uid));
    EXPECT_EQ(advice.has_value(), *row.cause != '\0');
    if (!advice) continue;
    EXPECT_THAT(advice->cause, HasSubstr(row.cause));
    EXPECT_THAT(advice->remedy, EndsWith(row.remedy));
    if (std::regex_search(row.remedy, std::regex("sudo|sysctl"))) {
      EXPECT_EQ(advice->remedy, row.remedy);
    }
    EXPECT_THAT(advice->cause + advice->remedy, Not(HasSubstr("{")));
    if (row.uid == 0) {
      EXPECT_THAT(advice->remedy, Not(HasSubstr("sudo")));
    }
  }
}

TEST(Explain, KnowsWhatTheStandardLibraryThrows) {
  const Machine machine = MadeUp(0, 0);
  const auto code = [](int error) {
    return std::error_code(error, std::generic_category());
  };
  EXPECT_THAT(CauseOf(fs::filesystem_error("", "/x", code(EMFILE)), machine),
              HasSubstr("ulimit -n"));
  EXPECT_THAT(CauseOf(std::system_error(code(EAGAIN)), machine),
              HasSubstr("ulimit -u"));
  EXPECT_THAT(CauseOf(std::runtime_error(""), machine), IsEmpty());
  EXPECT_EQ(CauseOf(ExplainedError("", {"Because.", ""}), machine), "Because.");
}

void UnshareUser() { MUST(unshare, CLONE_NEWUSER); }

// A chroot in a root directory that is a mount point.
void EnterMountedChroot() {
  EnterPrivateMounts();
  MountTmpfs("/mnt");
  MUST(mkdir, "/mnt/proc", 0755);
  MUST(mount, "/proc", "/mnt/proc", nullptr, MS_BIND | MS_REC, nullptr);
  MUST(chroot, "/mnt");
}

void LoseCapabilities() {
  EnterUserNamespaceAsRoot();
  const std::unique_ptr<void, int (*)(void*)> none(cap_init(), cap_free);
  MUST(cap_set_proc, static_cast<cap_t>(none.get()));
}

// What the kernel itself refuses, and no test tries from end to end.
struct Refusal {
  unsigned trait;     // What the machine has become,
  void (*become)();   // and how.
  void (*attempt)();  // What is tried then, in vain,
  const char* cause;  // and why: it begins so.
};

TEST(Machine, SeesWhatTheKernelRefuses) {
  std::string left_out;  // Where this machine is like that itself.
  for (const Refusal& refusal : std::vector<Refusal>{
           {0, EnterMountedChroot, UnshareUser, "Inside a chroot"},
           // Before the map is written.
           {kUnmapped, UnshareUser, UnshareUser, "This user has no number"},
           // As of a container's root: not all that uid 0 can do.
           {kNoSetfcap, LoseCapabilities, EnterUserNamespaceAsRoot,
            "CAP_SETFCAP is missing"}}) {
    SCOPED_TRACE(refusal.cause);
    if ((Machine::Look().traits & refusal.trait) != 0) {
      left_out += refusal.cause;
      continue;
    }
    InChild([&refusal] {
      refusal.become();
      const Machine machine = Machine::Look();
      EXPECT_EQ(machine.traits & refusal.trait, refusal.trait);
      EXPECT_THAT(
          refusal.attempt,
          Throws<CallError>(ResultOf(
              [&](const CallError& error) { return CauseOf(error, machine); },
              StartsWith(refusal.cause))));
    });
  }
  if (!left_out.empty()) GTEST_SKIP() << "left out: " << left_out;
}

TEST(Machine, KnowsItsKinds) {
  int kinds = 0;
  for (const auto& [flag, most] : Machine::Look().most) kinds |= flag;
  EXPECT_EQ(kinds, KnownFlags());
}

// What a file of another machine holds: what says so, and what does not.
struct File {
  const char* name;
  const char* text;
  unsigned traits;
  const char* harmless = "";
};

constexpr const char* kMounts = "proc/self/mountinfo";
constexpr const char* kUidMap = "proc/self/uid_map";

const std::vector<File> kFiles = {
    {"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
     kRestricted, "0\n"},
    {"proc/sys/kernel/unprivileged_userns_clone", "0\n", kNoUserClone, "1\n"},
    {"proc/self/attr/apparmor/current", "docker-default (enforce)\n", kConfined,
     "unconfined\n"},
    {"sys/fs/selinux/enforce", "1", kSelinux, "0"},
    {"run/.containerenv", "", kInContainer},
    {"run/systemd/container", "lxc\n", kInContainer},
    // An image of Docker's may be that of a virtual machine.
    {".dockerenv", "", 0},
    {kMounts,
     "9 8 0:5 / / rw - overlay o r\n10 9 0:6 /x /etc/hostname rw - ext4 e r\n",
     kInContainer},
    {kMounts, "10 9 0:6 / /tmp rw - tmpfs t r\n", kInChroot},
    // The other directory is empty, and exists to be mounted on.
    {kMounts, "9 8 0:5 / / rw - o o r\n10 9 0:6 / /proc/tty rw - tmpfs t r\n",
     kMaskedProc,
     "9 8 0:5 / / rw - o o r\n"
     "10 9 0:6 / /proc/sys/fs/binfmt_misc rw - autofs a r\n"},
    {"proc/self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n",
     kFiltered, "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t2\n"},
    {kUidMap, "", kUnmapped, "1000 1000 1\n"},
};

TEST(Machine, SeesWhatItsFilesSay) {
  const unsigned own =
      Machine::Look().traits & (kUidZero | kPrivileged | kNoSetfcap);
  for (const auto& [name, says, traits, harmless] : kFiles) {
    for (const std::string text : {says, harmless}) {
      if (text.empty() && text != says) continue;
      SCOPED_TRACE(std::string(name) + ": " + text);
      const TemporaryDirectory root;
      root.Put(kUidMap, "0 0 4294967295\n");
      root.Put(name, text);
      EXPECT_EQ(Machine::Look(root.path()).traits,
                own | (text == says ? traits : 0U));
    }
  }
}

TEST(CheckProc, BlamesNotProcForACallThatFails) {
  for (const int call : {SYS_getpid, SYS_readlink}) {
    InChild([call] {
      FilterCalls({{call, EACCES}});
      EXPECT_THROW(CheckProc(), CallError);
    });
  }
}

}  // namespace
}  // namespace steps
