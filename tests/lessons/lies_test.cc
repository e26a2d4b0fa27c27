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
  const char* claim;  // How the one begins that FAILS,
  const char* lies;   // and by which of these, as RunWithLie() takes them.
};

constexpr Case kCases[] = {
    {"inspect", "In /proc/PID/ns", "readlink:2=1 stat:3@/ns/uts"},
    {"inspect", "A forked child", "stat:5@/ns/uts"},
    {"inspect", "With CLONE_NEWUTS", "clone-CLONE_NEWUTS"},
    {"inspect", "The same device", "sethostname"},
    {"inspect", "pid_for_children leads", "unshare-CLONE_NEWPID"},
    {"inspect", "time_for_children leads", "unshare-CLONE_NEWTIME"},
    {"clone", "Without a flag", "stat:4@/ns/uts"},
    {"clone", "With one flag", "clone:1-CLONE_NEWIPC clone:1-CLONE_NEWTIME"},
    {"clone", "To clone(2), CLONE_NEWTIME", "waitpid:10"},
    {"clone", "With all flags", "clone:2-CLONE_NEWUTS clone:2-CLONE_NEWNS"},
    {"clone", "CLONE_FS excludes", "clone:3-CLONE_NEWNS clone:3-CLONE_NEWUSER"},
    {"uts", "Without CLONE_NEWUTS", "sethostname"},
    {"uts", "With CLONE_NEWUTS", "clone:2-CLONE_NEWUTS"},
    {"uts", "Inside, the hostname", "sethostname:2 setdomainname"},
    {"uts", "Root in a user", "sethostname:3 sethostname:4"},
    {"pid", "Without CLONE_NEWPID", "getpid:6=77"},
    {"pid", "Inside, the child", "clone:1-CLONE_NEWPID getppid:2=77"},
    {"pid", "Inside, /proc", "readlink:4=1"},
    {"pid", "Two levels down", "clone:2-CLONE_NEWPID clone:3-CLONE_NEWPID"},
    {"pid", "An outer level", "kill=-3"},
    {"pid", "No inner level", "kill:2"},
    {"pid", "Inside, not even", "getpid:9=77"},
    {"pid", "The new parent", "getppid:3=77"},
    {"pid", "Killed, the orphan", "kill:6"},
    {"pid", "When PID 1 ends", "kill:8"},
    {"ipc", "Without CLONE_NEWIPC", "msgget"},
    {"ipc", "With CLONE_NEWIPC", "clone:2-CLONE_NEWIPC"},
    {"ipc", "Inside, nothing", "msgget:2 semget:2"},
    {"ipc", "Outside, nothing", "open:3@/proc/sysvipc/shm"},
    {"ipc", "A POSIX queue", "clone:3-CLONE_NEWIPC mount@mqueue"},
    {"ipc", "A file, a socket", "bind"},
    {"ipc", "An IPC namespace", "open@/late"},
    {"leaks", "With all flags, a child shares", "clone:1-CLONE_NEWCGROUP"},
    {"leaks", "With all flags, a child is", "sethostname sethostname:2"},
    {"leaks", "Kernel, CPUs", "open:2@osrelease"},
    {"leaks", "The load and", "open:2@loadavg"},
    {"leaks", "A mount that", "bind"},
    {"leaks", "Another mount", "open:3@/file"},
    {"user", "Without CLONE_NEWUSER", "write@uid_map"},
    {"user", "In a new user", "clone-CLONE_NEWUSER"},
    {"user", "Without a map", "geteuid:5=5"},
    {"user", "A user must deny", "write@gid_map"},
    {"user", "A map is written", "write:3@uid_map"},
    {"user", "With both maps", "write:2@gid_map"},
    {"user", "Root inside may", "sethostname sethostname:2"},
    {"user", "Outside, nothing", "geteuid:7=5"},
    {"user", "The new namespace's", "ioctl=0@user: ioctl:2@user:"},
    {"user", "The new user", "ioctl=0@uts:"},
    {"time", "Without CLONE_NEWTIME", "readlink:2=1"},
    {"time", "unshare(CLONE_NEWTIME) moves", "unshare-CLONE_NEWTIME"},
    {"time", "Inside, the three", "write@timens_offsets"},
    {"time", "Once a process", "write:2@timens_offsets"},
    {"time", "By setns(2), a", "setns"},
    {"unshare", "clone(2) puts", "clone-CLONE_NEWUTS"},
    {"unshare", "unshare(2) moves its", "unshare"},
    {"unshare", "Its sibling does", "readlink:5=1@ns/uts"},
    {"unshare", "With CLONE_NEWPID", "unshare:2"},
    {"unshare", "When PID 1 has", "clone:7=-11"},
    {"unshare", "Back in its own", "setns"},
    {"unshare", "unshare(2) moves only", "unshare:3"},
    {"unshare", "With two threads", "unshare:5"},
    {"setns", "setns(2) moves", "setns readlink:5=1@ns/pid sethostname"},
    {"setns", "For a link, a", "setns:2=0 setns:3"},
    {"setns", "A pidfd joins", "setns:4=0 setns:5"},
    {"setns", "Joining a PID", "readlink:6=1@ns/pid"},
    {"setns", "A namespace lives", "open:4@hostname"},
    {"setns", "A bind mount", "setns:6 mount:3 umount2"},
    {"mount", "Without CLONE_NEWNS", "mount:4"},
    {"mount", "With CLONE_NEWNS", "mount:3 mount:5"},
    {"mount", "A private mount", "mount:6 clone:3-CLONE_NEWNS"},
    {"mount", "A slave receives", "mount:9"},
    {"mount", "A slave passes", "mount:8 clone:4-CLONE_NEWNS"},
    {"mount", "In a new PID", "readlink:12=1"},
    {"mount", "A new proc lists", "mount:12"},
    {"mount", "A tmpfs mounted", "readlink:15=1"},
    {"chroot", "chroot(2) gives", "chroot:1"},
    {"chroot", "It changes neither", "open:2@hostname"},
    {"chroot", "Root leaves a", "chroot:2 fchdir:1"},
    {"chroot", "After pivot_root(2)", "pivot_root umount2 fchdir:2"},
    {"net", "Without CLONE_NEWNET", "bind:6"},
    {"net", "With CLONE_NEWNET", "clone:2-CLONE_NEWNET"},
    {"net", "Inside, not even", "connect:1"},
    {"net", "Once lo is up", "connect:2"},
    {"net", "The same TCP", "connect:4=-111"},
    {"net", "An abstract name", "sendto:9=-13 sendto:10=-13"},
    {"net", "Messages cross", "write:1@socket:"},
    {"net", "This machine", "readlink:9=1"},
    {"net", "A socket stays", "unshare"},
    {"cgroup", "Without CLONE_NEWCGROUP", "readlink:2=1"},
    {"cgroup", "With CLONE_NEWCGROUP", "unshare"},
    {"cgroup", "Inside, the path", "write:1@cgroup.procs"},
    {"cgroup", "Outside, all", "readlink:5=1"},
    {"cgroup", "A limit that", "write:1@pids.max"},
    {"container", "In a container", "unshare-CLONE_NEWCGROUP"},
    {"container", "Without flags", "uname:2"},
    {"container", "The container", "sethostname:1"},
    {"container", "What is written", "open@written_inside"},
    {"container", "Its loopback", "connect=-101 connect:2=-101"},
    {"container", "It has only capabilities", "capset"},
    {"container", "So even root", "sethostname:2"},
    {"container", "A filter refuses", "unshare:2"},
    {"container", "The limit on", "write@pids.max"},
    {"container", "Its PID 1 adopts", "getppid:2=77"},
    {"container", "Outside, nothing", "uname:8"},
};

// Claims that no lie of this kind can reach; instead of lies, why.
constexpr Case kBeyond[] = {
    {"clone", "A stack is handed", "the child writes to memory, and no call"},
    {"chroot", "Without chroot(2)", "stat(2) is compared with itself"},
    {"chroot", "Outside, the", "what would change it is noticed before"},
    {"container", "The host lists", "without the flag, a claim before fails"},
    {"container", "Its PID 1 passes", "without the signal, there is no answer"},
    {"uts", "The namespace", "clone(2) itself makes the copy"},
    {"uts", "Outside, they", "what would rename it is noticed before"},
    {"pid", "Outside, the", "clone(2) returns it"},
    {"leaks", "Without a flag", "there is no flag to take out of a call"},
    {"user", "execve(2) drops", "execve(2) itself drops them"},
    {"user", "Root inside, and", "without a map, a claim before fails"},
    {"time", "CLOCK_REALTIME, the", "time(2) is in the vDSO: there is no call"},
    {"setns", "A child that",
     "it only reads a file: read(2) is not lied about"},
    {"cgroup", "Inside, the cgroup", "unshare(2) itself makes it the root"},
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name =
      fmt::format("{}_{}_{}", info.param.lesson, info.param.claim, info.index);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

// The stand-in for the host, without what others write to meanwhile.
std::string Look() {
  return LookAtHost([](const std::string& line) {
    return !line.starts_with("/tmp/") && !line.starts_with("cgroup ");
  });
}

class Lies : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
    if (kSanitized) GTEST_SKIP() << "sanitizers make calls, which are counted";
  }

  // What the lesson makes of the lie, which must end with this status.
  static LieResult Tell(const std::string& lesson, const std::string& lie,
                        int status, const Words& words,
                        const Before& before = {}) {
    LieResult result = RunWithLie(
        {.program = "lessons/" + lesson, .arguments = words, .before = before},
        lie, Look);
    EXPECT_TRUE(result.told);
    EXPECT_EQ(result.hung, "");
    EXPECT_EQ(ExitStatus(result.status), status) << result.errors;
    EXPECT_EQ(result.before, result.after) << "the stand-in was changed";
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Told, Lies, ValuesIn(kCases), CaseName);

TEST_P(Lies, MakeTheClaimFail) {
  std::istringstream lies(GetParam().lies);
  for (std::string lie; lies >> lie;) {
    SCOPED_TRACE(lie);
    const LieResult result = Tell(GetParam().lesson, lie, 1, {"--json"});
    std::string failed = "no claim; it says: " + result.errors;
    const json run = json::parse(result.output);
    for (const json& each : run["claims"]) {
      if (each["holds"] == false) failed = each["text"];
    }
    EXPECT_THAT(failed, StartsWith(GetParam().claim));
  }
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

// EIO from one of the calls by which a cgroup is made and removed, or from
// those by which the lesson and the guardian tell one another.
TEST_F(Lies, LeaveNoCgroup) {
  if (!FindCgroupPlace("pids")) GTEST_SKIP() << "no cgroup may be made here";
  const auto cgroups = [] {
    return LookAtHost(
        [](const std::string& line) { return line.starts_with("cgroup "); });
  };
  Words lies = {"rmdir=-5", "write=-5@cgroup.procs", "write:2=-5@cgroup.procs",
                "open:2=-5@cgroup.procs", "open:3=-5@cgroup.procs"};
  for (int n = 1; n < 16; n += 2) {
    lies.push_back(fmt::format("sendmsg:{}=-5", n));
    lies.push_back(fmt::format("recvmsg:{}=-5", n));
  }
  for (const std::string& lie : lies) {
    SCOPED_TRACE(lie);
    const LieResult result =
        RunWithLie({.program = "lessons/cgroup"}, lie, cgroups);
    EXPECT_TRUE(result.told);
    EXPECT_EQ(result.hung, "");
    EXPECT_EQ(result.after, "");
    EXPECT_TRUE(WIFEXITED(result.status)) << DescribeStatus(result.status);
  }
}

TEST(LiesTable, HasEveryClaimOfEveryLesson) {
  std::vector<Case> all(std::begin(kCases), std::end(kCases));
  all.insert(all.end(), std::begin(kBeyond), std::end(kBeyond));
  std::size_t claims = 0;
  for (const std::string& lesson : LessonNames()) {
    const Command command = {.program = "lessons/" + lesson,
                             .arguments = {"--json"}};
    const json run = json::parse(RunCommand(command).output);
    claims += run["claims"].size();
    for (const json& claim : run["claims"]) {
      const std::string text = claim["text"];
      const auto names = [&](const Case& row) {
        return row.lesson == lesson && text.starts_with(row.claim);
      };
      EXPECT_EQ(std::ranges::count_if(all, names), 1) << text;
    }
  }
  EXPECT_EQ(claims, all.size());
}

}  // namespace
}  // namespace steps
