// Sabotage: the kernel lies to a lesson, and the claim that rests on what it
// said FAILS, by its name. A claim that no lie can make fail proves nothing.

#include <cctype>

#include "common/kernel/cgroups.h"
#include "tests/support/host_state.h"
#include "tests/support/lessons.h"
#include "tests/support/sabotage.h"

namespace steps {
namespace {

struct Case {
  const char* lesson;
  const char* lie;    // As ParseLie() takes it.
  const char* claim;  // How the one begins that FAILS.
};

constexpr Case kCases[] = {
    {"inspect", "readlink:2=1", "In /proc/PID/ns"},
    {"inspect", "stat:4@/ns/uts", "In /proc/PID/ns"},
    {"inspect", "stat:5@/ns/uts", "A forked child"},
    {"inspect", "clone-CLONE_NEWUTS", "With CLONE_NEWUTS"},
    {"inspect", "sethostname", "The same device"},
    {"inspect", "unshare-CLONE_NEWPID", "pid_for_children leads"},
    {"inspect", "unshare-CLONE_NEWTIME", "time_for_children leads"},
    {"clone", "stat:4@/ns/uts", "Without a flag"},
    {"clone", "clone:1-CLONE_NEWIPC", "With one flag"},
    {"clone", "clone:1-CLONE_NEWTIME", "With one flag"},
    {"clone", "waitpid:10", "To clone(2), CLONE_NEWTIME"},
    {"clone", "clone:2-CLONE_NEWUTS", "With all flags"},
    {"clone", "clone:2-CLONE_NEWNS", "With all flags"},
    {"clone", "clone:3-CLONE_NEWNS", "CLONE_FS excludes"},
    {"clone", "clone:3-CLONE_NEWUSER", "CLONE_FS excludes"},
    {"uts", "sethostname", "Without CLONE_NEWUTS"},
    {"uts", "clone:2-CLONE_NEWUTS", "With CLONE_NEWUTS"},
    {"uts", "sethostname:2", "Inside, the hostname"},
    {"uts", "setdomainname", "Inside, the hostname"},
    {"uts", "sethostname:3", "Root in a user"},
    {"uts", "sethostname:4", "Root in a user"},
    {"pid", "getpid:6=77", "Without CLONE_NEWPID"},
    {"pid", "clone:1-CLONE_NEWPID", "Inside, the child"},
    {"pid", "getppid:2=77", "Inside, the child"},
    {"pid", "readlink:4=1", "Inside, /proc"},
    {"pid", "clone:2-CLONE_NEWPID", "Two levels down"},
    {"pid", "clone:3-CLONE_NEWPID", "Two levels down"},
    {"pid", "kill=-3", "An outer level"},
    {"pid", "kill:2", "No inner level"},
    {"pid", "getpid:9=77", "Inside, not even"},
    {"pid", "getppid:3=77", "The new parent"},
    {"pid", "kill:6", "Killed, the orphan"},
    {"pid", "kill:8", "When PID 1 ends"},
    {"ipc", "msgget", "Without CLONE_NEWIPC"},
    {"ipc", "clone:2-CLONE_NEWIPC", "With CLONE_NEWIPC"},
    {"ipc", "msgget:2", "Inside, nothing"},
    {"ipc", "semget:2", "Inside, nothing"},
    {"ipc", "open:3@/proc/sysvipc/shm", "Outside, nothing"},
    {"ipc", "clone:3-CLONE_NEWIPC", "A POSIX queue"},
    {"ipc", "mount@mqueue", "A POSIX queue"},
    {"ipc", "bind", "A file, a socket"},
    {"ipc", "open@/late", "An IPC namespace"},
    {"leaks", "clone:1-CLONE_NEWCGROUP", "With all flags, a child shares"},
    {"leaks", "sethostname", "With all flags, a child is"},
    {"leaks", "sethostname:2", "With all flags, a child is"},
    {"leaks", "open:2@osrelease", "Kernel, CPUs"},
    {"leaks", "open:2@loadavg", "The load and"},
    {"leaks", "bind", "A mount that"},
    {"leaks", "open:3@/file", "Another mount"},
    {"user", "write@uid_map", "Without CLONE_NEWUSER"},
    {"user", "clone-CLONE_NEWUSER", "In a new user"},
    {"user", "geteuid:4=5", "Without a map"},
    {"user", "write@gid_map", "A user must deny"},
    {"user", "write:3@uid_map", "A map is written"},
    {"user", "write:2@gid_map", "With both maps"},
    {"user", "sethostname", "Root inside may"},
    {"user", "sethostname:2", "Root inside may"},
    {"user", "geteuid:6=5", "Outside, nothing"},
    {"user", "ioctl=0@user:", "The new namespace's"},
    {"user", "ioctl:2@user:", "The new namespace's"},
    {"user", "ioctl=0@uts:", "The new user"},
    {"time", "readlink:2=1", "Without CLONE_NEWTIME"},
    {"time", "unshare-CLONE_NEWTIME", "unshare(CLONE_NEWTIME) moves"},
    {"time", "write@timens_offsets", "Inside, the three"},
    {"time", "write:2@timens_offsets", "Once a process"},
    {"time", "setns", "By setns(2), a"},
    {"unshare", "clone-CLONE_NEWUTS", "clone(2) puts"},
    {"unshare", "unshare", "unshare(2) moves its"},
    {"unshare", "readlink:5=1@ns/uts", "Its sibling does"},
    {"unshare", "unshare:2", "With CLONE_NEWPID"},
    {"unshare", "clone:7=-11", "When PID 1 has"},
    {"unshare", "setns", "Back in its own"},
    {"unshare", "unshare:3", "unshare(2) moves only"},
    {"unshare", "unshare:5", "With two threads"},
    {"setns", "setns", "setns(2) moves"},
    {"setns", "readlink:5=1@ns/pid", "setns(2) moves"},
    {"setns", "sethostname", "setns(2) moves"},
    {"setns", "setns:2=0", "For a link, a"},
    {"setns", "setns:3", "For a link, a"},
    {"setns", "setns:4=0", "A pidfd joins"},
    {"setns", "setns:5", "A pidfd joins"},
    {"setns", "readlink:6=1@ns/pid", "Joining a PID"},
    {"setns", "open:4@hostname", "A namespace lives"},
    {"setns", "setns:6", "A bind mount"},
    {"setns", "mount:3", "A bind mount"},
    {"setns", "umount2", "A bind mount"},
    {"mount", "mount:4", "Without CLONE_NEWNS"},
    {"mount", "mount:3", "With CLONE_NEWNS"},
    {"mount", "mount:5", "With CLONE_NEWNS"},
    {"mount", "mount:6", "A private mount"},
    {"mount", "clone:3-CLONE_NEWNS", "A private mount"},
    {"mount", "mount:9", "A slave receives"},
    {"mount", "mount:8", "A slave passes"},
    {"mount", "clone:4-CLONE_NEWNS", "A slave passes"},
    {"mount", "readlink:12=1", "In a new PID"},
    {"mount", "mount:12", "A new proc lists"},
    {"mount", "readlink:15=1", "A tmpfs mounted"},
    {"chroot", "chroot:1", "chroot(2) gives"},
    {"chroot", "open:2@hostname", "It changes neither"},
    {"chroot", "chroot:2", "Root leaves a"},
    {"chroot", "fchdir:1", "Root leaves a"},
    {"chroot", "pivot_root", "After pivot_root(2)"},
    {"chroot", "umount2", "After pivot_root(2)"},
    {"chroot", "fchdir:2", "After pivot_root(2)"},
    {"net", "bind:6", "Without CLONE_NEWNET"},
    {"net", "clone:2-CLONE_NEWNET", "With CLONE_NEWNET"},
    {"net", "connect:1", "Inside, not even"},
    {"net", "connect:2", "Once lo is up"},
    {"net", "connect:4=-111", "The same TCP"},
    {"net", "sendto:9=-13", "An abstract name"},
    {"net", "sendto:10=-13", "An abstract name"},
    {"net", "write:1@socket:", "Messages cross"},
    {"net", "readlink:9=1", "This machine"},
    {"net", "unshare", "A socket stays"},
    {"cgroup", "readlink:2=1", "Without CLONE_NEWCGROUP"},
    {"cgroup", "unshare", "With CLONE_NEWCGROUP"},
    {"cgroup", "write:1@cgroup.procs", "Inside, the path"},
    {"cgroup", "readlink:5=1", "Outside, all"},
    {"cgroup", "write:1@pids.max", "A limit that"},
    {"container", "unshare-CLONE_NEWCGROUP", "In a container"},
    {"container", "uname:2", "Without flags"},
    {"container", "sethostname:1", "The container"},
    {"container", "open@written_inside", "What is written"},
    {"container", "connect=-101", "Its loopback"},
    {"container", "connect:2=-101", "Its loopback"},
    {"container", "capset", "It has only capabilities"},
    {"container", "sethostname:2", "So even root"},
    {"container", "unshare:2", "A filter refuses"},
    {"container", "write@pids.max", "The limit on"},
    {"container", "getppid:2=77", "Its PID 1 adopts"},
    {"container", "uname:8", "Outside, nothing"},
};

// Claims that no lie of this kind can reach; instead of a lie, why.
constexpr Case kBeyond[] = {
    {"clone", "it rests on what the child writes to memory, without a call",
     "A stack is handed"},
    {"chroot", "what stat(2) says is compared with what it says",
     "Without chroot(2)"},
    {"chroot", "what would change it is noticed before", "Outside, the"},
    {"container", "without the flag, a claim before fails", "The host lists"},
    {"container", "without the signal, the command gives no answer: status 1",
     "Its PID 1 passes"},
    {"uts",
     "the copy is made by clone(2) itself, which also makes the namespace",
     "The namespace"},
    {"uts", "what would rename the outside is noticed one claim before",
     "Outside, they"},
    {"pid", "clone(2) returns it, and without the flag the claim before fails",
     "Outside, the"},
    {"leaks", "a lie takes flags out of a call, and here there is none",
     "Without a flag"},
    {"user", "execve(2) itself drops them", "execve(2) drops"},
    {"user",
     "the kernel translates the map; without a map, a claim before fails",
     "Root inside, and"},
    {"time", "time(2) is read in the vDSO, without a call",
     "CLOCK_REALTIME, the"},
    {"setns", "the child only reads a file, and no lie is told about read(2)",
     "A child that"},
    {"cgroup",
     "unshare(2) itself makes it the root, and without it the claim before "
     "fails",
     "Inside, the cgroup"},
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name =
      fmt::format("{}_{}_{}", info.param.lesson, info.param.lie, info.index);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

// What the stand-in for the host looks like, without what is the machine's own:
// others write to it meanwhile.
std::string Look() {
  return LookAtHost([](const std::string& line) {
    return !line.starts_with("/tmp/") && !line.starts_with("cgroup ");
  });
}

class Lies : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  }

  // What the lesson makes of the lie, which must end with this status.
  static LieResult Tell(const std::string& lesson, const std::string& lie,
                        int status, const Words& words,
                        const Before& before = {}) {
    LieResult result = RunWithLie(
        {.program = "lessons/" + lesson, .arguments = words, .before = before},
        ParseLie(lie), {.look = Look});
    EXPECT_TRUE(result.told);
    EXPECT_EQ(result.hung, "");
    EXPECT_EQ(ExitStatus(result.status), status) << result.errors;
    EXPECT_EQ(result.before, result.after) << "the stand-in was changed";
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Told, Lies, ValuesIn(kCases), CaseName);

TEST_P(Lies, MakeTheClaimFail) {
  const auto& [lesson, lie, claim] = GetParam();
  const LieResult result = Tell(lesson, lie, 1, {"--json"});
  std::string failed = "no claim; it says: " + result.errors;
  const json run = json::parse(result.output);
  for (const json& each : run["claims"]) {
    if (each["holds"] == false) failed = each["text"];
  }
  EXPECT_THAT(failed, StartsWith(claim));
}

// A directory that cannot be written to is the lesson's jail.
TEST_F(Lies, EndTheLessonChrootBeforeItLeavesAJailThatCanBeWrittenTo) {
  const LieResult result = Tell("chroot", "mount_setattr", 1, {});
  EXPECT_THAT(result.errors, HasSubstr("can be written to"));
  EXPECT_THAT(result.output, Not(HasSubstr("chroot(\".\")")));
}

// The search for another directory must not change what a refusal says.
TEST_F(Lies, AreNamedByTheLessonIpcWithoutDevShm) {
  const auto before = [] {
    HideShm();
    FilterCalls({{SYS_acct, EPERM}});  // What may be blamed for it.
  };
  EXPECT_THAT(Tell("ipc", "mount=-1@tmpfs", 77, {}, before).errors,
              HasSubstr("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL): "
                        "Operation not permitted (EPERM)"));
}

// EINTR, as after Ctrl-Z and fg from a call that has a limit of time.
TEST_F(Lies, OfAnInterruptionDisturbNoLesson) {
  for (const char* lie :
       {"accept=-4", "accept:2=-4", "connect=-4", "connect:4=-4",
        "read=-4@socket:", "read:2=-4@socket:", "recv=-4", "sendto=-4"}) {
    SCOPED_TRACE(lie);
    Tell("net", lie, 0, {});
  }
}

// EIO from one of the calls by which a cgroup is made and removed.
TEST_F(Lies, LeaveNoCgroup) {
  if (!FindCgroupPlace("pids")) GTEST_SKIP() << "no cgroup may be made here";
  const auto cgroups = [] {
    return LookAtHost(
        [](const std::string& line) { return line.starts_with("cgroup "); });
  };
  std::vector<std::string> lies = {
      "rmdir=-5", "write=-5@cgroup.procs", "write:2=-5@cgroup.procs",
      "open:2=-5@cgroup.procs", "open:3=-5@cgroup.procs"};
  // What the lesson and the guardian tell one another.
  for (int n = 1; n < 16; n += 2) {
    lies.push_back(fmt::format("sendmsg:{}=-5", n));
    lies.push_back(fmt::format("recvmsg:{}=-5", n));
  }
  for (const std::string& lie : lies) {
    SCOPED_TRACE(lie);
    const LieResult result = RunWithLie({.program = "lessons/cgroup"},
                                        ParseLie(lie), {.look = cgroups});
    EXPECT_TRUE(result.told);
    EXPECT_EQ(result.hung, "");
    EXPECT_EQ(result.after, "");
    EXPECT_TRUE(WIFEXITED(result.status)) << DescribeStatus(result.status);
  }
}

TEST(LiesTable, HasEveryClaimOfEveryLesson) {
  std::vector<Case> all(std::begin(kCases), std::end(kCases));
  all.insert(all.end(), std::begin(kBeyond), std::end(kBeyond));
  for (const std::string& lesson : LessonNames()) {
    std::set<std::string> begins;
    for (const Case& it : all) {
      if (it.lesson == lesson) begins.insert(it.claim);
    }
    const json run = json::parse(
        RunCommand({.program = "lessons/" + lesson, .arguments = {"--json"}})
            .output);
    EXPECT_THAT(run["claims"], SizeIs(begins.size())) << lesson;
    for (const std::string& begin : begins) {
      EXPECT_EQ(
          std::ranges::count_if(
              run["claims"],
              [&](const json& claim) {
                return claim["text"].get<std::string>().starts_with(begin);
              }),
          1)
          << lesson << ": " << begin;
    }
  }
}

}  // namespace
}  // namespace steps
