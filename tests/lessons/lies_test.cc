// Sabotage: the kernel lies to a lesson, and the claim that rests on what it
// said FAILS, by its name. A claim that no lie can make fail proves nothing.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernel/cgroups.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "tests/support/host_state.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"
#include "tests/support/sabotage.h"

namespace steps {
namespace {

using nlohmann::json;

struct Case {
  const char* lesson;
  const char* lie;    // As ParseLie() takes it.
  const char* claim;  // The one that FAILS.
};

constexpr Case kCases[] = {
    {"inspect", "readlink:2=1",
     "In /proc/PID/ns, a process has a link for each kind."},
    {"inspect", "stat:4@/ns/uts",
     "In /proc/PID/ns, a process has a link for each kind."},
    {"inspect", "stat:5@/ns/uts",
     "A forked child shares all its namespaces with its parent."},
    {"inspect", "clone-CLONE_NEWUTS",
     "With CLONE_NEWUTS, a child differs in uts, and in nothing else."},
    {"inspect", "sethostname",
     "The same device and inode means the same namespace."},
    {"inspect", "unshare-CLONE_NEWPID",
     "pid_for_children leads to where the next child will be."},
    {"inspect", "unshare-CLONE_NEWTIME",
     "time_for_children leads to where the next child will be."},
    {"clone", "stat:4@/ns/uts",
     "Without a flag, a child shares every namespace."},
    {"clone", "clone:1-CLONE_NEWIPC",
     "With one flag, it differs in that kind and no other."},
    {"clone", "clone:1-CLONE_NEWTIME",
     "With one flag, it differs in that kind and no other."},
    {"clone", "waitpid:10",
     "To clone(2), CLONE_NEWTIME is a part of the exit signal."},
    {"clone", "clone:2-CLONE_NEWUTS",
     "With all flags at once, it shares none."},
    {"clone", "clone:2-CLONE_NEWNS", "With all flags at once, it shares none."},
    {"clone", "clone:3-CLONE_NEWNS",
     "CLONE_FS excludes a new mount or user namespace (EINVAL)."},
    {"clone", "clone:3-CLONE_NEWUSER",
     "CLONE_FS excludes a new mount or user namespace (EINVAL)."},
    {"uts", "sethostname",
     "Without CLONE_NEWUTS, a child's new name is its parent's, too."},
    {"uts", "clone:2-CLONE_NEWUTS",
     "With CLONE_NEWUTS, a child is in a new UTS namespace."},
    {"uts", "sethostname:2",
     "Inside, the hostname and the NIS domain are the new ones."},
    {"uts", "setdomainname",
     "Inside, the hostname and the NIS domain are the new ones."},
    {"uts", "sethostname:3",
     "Root in a user namespace may rename only a UTS namespace it owns."},
    {"uts", "sethostname:4",
     "Root in a user namespace may rename only a UTS namespace it owns."},
    {"pid", "getpid:7=77", "Without CLONE_NEWPID, a child has one PID."},
    {"pid", "clone:1-CLONE_NEWPID",
     "Inside, the child is PID 1, and its parent's PID is 0."},
    {"pid", "getppid:2=77",
     "Inside, the child is PID 1, and its parent's PID is 0."},
    {"pid", "readlink:4=1", "Inside, /proc still has the PIDs of outside."},
    {"pid", "clone:2-CLONE_NEWPID",
     "Two levels down, a process has three PIDs."},
    {"pid", "clone:3-CLONE_NEWPID",
     "Two levels down, a process has three PIDs."},
    {"pid", "kill=-3", "An outer level sees in."},
    {"pid", "kill:2", "No inner level sees out."},
    {"pid", "getpid:10=77", "Inside, not even SIGKILL ends PID 1."},
    {"pid", "getppid:3=77", "The new parent of an orphan is PID 1."},
    {"pid", "kill:6",
     "Killed, the orphan stays a zombie until PID 1 reaps it."},
    {"pid", "kill:8",
     "When PID 1 ends, so does every process in its namespace."},
    {"ipc", "msgget",
     "Without CLONE_NEWIPC, a child's objects are shared and outlive it."},
    {"ipc", "clone:2-CLONE_NEWIPC",
     "With CLONE_NEWIPC, a child is in a new IPC namespace."},
    {"ipc", "msgget:2", "Inside, nothing exists that was made outside."},
    {"ipc", "semget:2", "Inside, nothing exists that was made outside."},
    {"ipc", "open:3@/proc/sysvipc/shm",
     "Outside, nothing exists that was made inside."},
    {"ipc", "clone:3-CLONE_NEWIPC",
     "A POSIX queue, too, is found only in its IPC namespace."},
    {"ipc", "mount@mqueue",
     "A POSIX queue, too, is found only in its IPC namespace."},
    {"ipc", "bind", "A file, a socket with a path and a signal get through."},
    {"ipc", "open@/late", "An IPC namespace ends with its last process."},
    {"leaks", "clone:1-CLONE_NEWCGROUP",
     "With all flags, a child shares no namespace."},
    {"leaks", "sethostname",
     "With all flags, a child is PID 1 and has its own hostname."},
    {"leaks", "sethostname:2",
     "With all flags, a child is PID 1 and has its own hostname."},
    {"leaks", "open:2@osrelease",
     "Kernel, CPUs, memory and threads-max are still the machine's."},
    {"leaks", "open:2@loadavg",
     "The load and the date (CLOCK_REALTIME) are the machine's, too."},
    {"leaks", "bind",
     "A mount that both sides have leads to its files and sockets."},
    {"leaks", "open:3@/file",
     "Another mount in the same place hides them: ENOENT."},
    {"user", "write@uid_map",
     "Without CLONE_NEWUSER, a child may not write its uid map."},
    {"user", "clone-CLONE_NEWUSER",
     "In a new user namespace, a child has all capabilities."},
    {"user", "geteuid:4=5", "Without a map, its uid is the overflow uid."},
    {"user", "write@gid_map",
     "A user must deny setgroups before writing a gid map."},
    {"user", "write:3@uid_map",
     "A map is written once: the second write is refused."},
    {"user", "write:2@gid_map", "With both maps, its uid and gid are 0."},
    {"user", "sethostname",
     "Root inside may rename only a UTS namespace that it made."},
    {"user", "sethostname:2",
     "Root inside may rename only a UTS namespace that it made."},
    {"user", "geteuid:6=5", "Outside, nothing has changed."},
    {"user", "ioctl=0@user:",
     "The new namespace's parent is the one outside, its owner the user."},
    {"user", "ioctl:2@user:",
     "The new namespace's parent is the one outside, its owner the user."},
    {"user", "ioctl=0@uts:",
     "The new user namespace owns the UTS namespace made in it."},
    {"time", "readlink:2=1",
     "Without CLONE_NEWTIME, a child has its parent's clocks."},
    {"time", "unshare-CLONE_NEWTIME",
     "unshare(CLONE_NEWTIME) moves the next child, not the caller."},
    {"time", "write@timens_offsets",
     "Inside, the three clocks are 100 days ahead."},
    {"time", "write:2@timens_offsets",
     "Once a process is inside, the offsets cannot be changed."},
    {"time", "setns",
     "By setns(2), a process can see CLOCK_MONOTONIC go back."},
    {"unshare", "clone-CLONE_NEWUTS",
     "clone(2) puts a child in a new namespace; the caller stays."},
    {"unshare", "unshare",
     "unshare(2) moves its caller itself, which keeps its PID."},
    {"unshare", "readlink:5=1@ns/uts", "Its sibling does not follow."},
    {"unshare", "unshare:2",
     "With CLONE_NEWPID the caller stays; its next child is PID 1."},
    {"unshare", "clone:7=-11",
     "When PID 1 has ended, clone(2) fails in its parent (ENOMEM)."},
    {"unshare", "setns",
     "Back in its own PID namespace, by setns(2), it succeeds."},
    {"unshare", "unshare:3", "unshare(2) moves only the thread that calls it."},
    {"unshare", "unshare:5",
     "With two threads, it may not unshare its user namespace (EINVAL)."},
    {"setns", "setns",
     "setns(2) moves its caller into the one namespace it names."},
    {"setns", "readlink:5=1@ns/pid",
     "setns(2) moves its caller into the one namespace it names."},
    {"setns", "sethostname",
     "setns(2) moves its caller into the one namespace it names."},
    {"setns", "setns:2=0",
     "For a link, a wrong nstype is EINVAL, and 0 takes any kind."},
    {"setns", "setns:3",
     "For a link, a wrong nstype is EINVAL, and 0 takes any kind."},
    {"setns", "setns:4=0",
     "A pidfd joins several kinds in one call; 0 is EINVAL."},
    {"setns", "setns:5",
     "A pidfd joins several kinds in one call; 0 is EINVAL."},
    {"setns", "readlink:6=1@ns/pid",
     "Joining a PID namespace moves the children, not the caller."},
    {"setns", "open:4@hostname",
     "A namespace lives on while a process is in it."},
    {"setns", "setns:6",
     "A bind mount or a descriptor keeps a namespace, too."},
    {"setns", "mount:3",
     "A bind mount or a descriptor keeps a namespace, too."},
    {"setns", "umount2",
     "A bind mount or a descriptor keeps a namespace, too."},
    {"mount", "mount:4",
     "Without CLONE_NEWNS, a child's mount is its parent's, too."},
    {"mount", "mount:3",
     "With CLONE_NEWNS alone, a shared mount still passes mounts on."},
    {"mount", "mount:5",
     "With CLONE_NEWNS alone, a shared mount still passes mounts on."},
    {"mount", "mount:6", "A private mount passes nothing on."},
    {"mount", "clone:3-CLONE_NEWNS", "A private mount passes nothing on."},
    {"mount", "mount:9",
     "A slave receives what its master mounts; a private mount does not."},
    {"mount", "mount:8", "A slave passes nothing on."},
    {"mount", "clone:4-CLONE_NEWNS", "A slave passes nothing on."},
    {"mount", "readlink:12=1",
     "In a new PID namespace, the old /proc shows the outside."},
    {"mount", "mount:12",
     "A new proc lists the processes of its PID namespace only."},
    {"mount", "readlink:15=1",
     "A tmpfs mounted inside is not mounted outside."},
    {"chroot", "chroot:1", "chroot(2) gives a process another root directory."},
    {"chroot", "open:2@hostname",
     "It changes neither the hostname, the PID nor a namespace."},
    {"chroot", "chroot:2",
     "Root leaves a chroot by an open descriptor and \"..\"."},
    {"chroot", "fchdir:1",
     "Root leaves a chroot by an open descriptor and \"..\"."},
    {"chroot", "pivot_root",
     "After pivot_root(2), the same calls end where they began."},
    {"chroot", "umount2",
     "After pivot_root(2), the same calls end where they began."},
    {"chroot", "fchdir:2",
     "After pivot_root(2), the same calls end where they began."},
    {"net", "bind:6",
     "Without CLONE_NEWNET, a child shares its parent's ports and names."},
    {"net", "clone:2-CLONE_NEWNET",
     "With CLONE_NEWNET, a child is in a new network namespace."},
    {"net", "connect:1", "Inside, not even lo is up."},
    {"net", "connect:2",
     "Once lo is up, inside reaches itself, not the outside."},
    {"net", "connect:4=-111",
     "The same TCP port is bound inside and outside at once."},
    {"net", "sendto:9=-13",
     "An abstract name is out of reach inside, a path is not."},
    {"net", "sendto:10=-13",
     "An abstract name is out of reach inside, a path is not."},
    {"net",
     "write:1@socket:", "Messages cross a veth pair, in both directions."},
    {"net", "readlink:9=1", "This machine has neither end of the pair."},
    {"net", "unshare", "A socket stays in the namespace in which it was made."},
    {"cgroup", "readlink:2=1",
     "Without CLONE_NEWCGROUP, a child reads its parent's paths."},
    {"cgroup", "unshare",
     "With CLONE_NEWCGROUP, it is in a new cgroup namespace."},
    {"cgroup", "write:1@cgroup.procs",
     "Inside, the path of a process above begins with \"/..\"."},
    {"cgroup", "readlink:5=1", "Outside, all paths are the same as before."},
    {"cgroup", "write:1@pids.max",
     "A limit that was set outside holds inside (EAGAIN)."},
    {"container", "unshare-CLONE_NEWCGROUP",
     "In a container all namespaces are new, but for the user namespace."},
    {"container", "uname:2",
     "Without flags, a child sees what its parent sees."},
    {"container", "sethostname:1", "The container has its own hostname."},
    {"container", "open@written_inside",
     "What is written to /usr inside is not outside."},
    {"container", "connect=-101",
     "Its loopback works, and a gateway sees its address."},
    {"container", "connect:2=-101",
     "Its loopback works, and a gateway sees its address."},
    {"container", "capset",
     "It has only capabilities that engines leave, and can gain no more in "
     "this user namespace."},
    {"container", "sethostname:2",
     "So even root inside may not rename it (EPERM)."},
    {"container", "unshare:2",
     "A filter refuses it a new user namespace (EPERM)."},
    {"container", "write@pids.max",
     "The limit on its processes holds (EAGAIN)."},
    {"container", "getppid:2=77", "Its PID 1 adopts an orphan, and reaps it."},
    {"container", "uname:8", "Outside, nothing has changed."},
};

// Claims that no lie of this kind can reach, and why.
struct Beyond {
  const char* lesson;
  const char* claim;
  const char* reason;
};

constexpr Beyond kBeyond[] = {
    {"clone", "A stack is handed over by its top, because it grows down.",
     "it rests on what the child writes to memory, without a call"},
    {"chroot", "Without chroot(2), a child's root is its parent's.",
     "what stat(2) says is compared with what it says"},
    {"chroot", "Outside, the root is the same as before.",
     "what would change it is noticed before"},
    {"container", "The host lists the command, with another PID than it has.",
     "without the flag, a claim before fails"},
    {"container", "Its PID 1 passes on a signal to the command.",
     "without the signal, the command gives no answer: status 1"},
    {"uts", "The namespace starts with a copy of its parent's names.",
     "the copy is made by clone(2) itself, which also makes the namespace"},
    {"uts", "Outside, they are the old ones.",
     "what would rename the outside is noticed one claim before"},
    {"pid", "Outside, the same process has an ordinary PID.",
     "clone(2) returns it, and without the flag the claim before fails"},
    {"leaks", "Without a flag, a child shares every namespace.",
     "a lie takes flags out of a call, and here there is none"},
    {"user", "execve(2) drops the capabilities of a process without a map.",
     "execve(2) itself drops them"},
    {"user", "Root inside, and its files, are an ordinary user's outside.",
     "the kernel translates the map; without a map, a claim before fails"},
    {"time", "CLOCK_REALTIME, the date, is the machine's.",
     "time(2) is read in the vDSO, without a call"},
    {"setns", "A child that does not join has its parent's hostname.",
     "the child only reads a file, and no lie is told about read(2)"},
    {"cgroup", "Inside, the cgroup in which it was is the root: \"/\".",
     "unshare(2) itself makes it the root, and without it the claim before "
     "fails"},
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = fmt::format("{}_{}", info.param.lesson, info.param.lie);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name + fmt::format("_{}", info.index);
}

// What the stand-in for the host looks like.
std::string Look() {
  std::string text;
  for (const auto& [what, how] : LookAtHost()) {
    // These are the machine's own, and others write to them meanwhile.
    const bool shared =
        what.starts_with("/tmp/") || what.starts_with("cgroup ");
    if (!shared) text += fmt::format("{}: {}\n", what, how);
  }
  return text;
}

class Lies : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Told, Lies, testing::ValuesIn(kCases), CaseName);

TEST_P(Lies, MakeTheClaimFail) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  const Case& it = GetParam();
  const LieResult result =
      RunWithLie({.program = fmt::format("lessons/{}", it.lesson),
                  .arguments = {"--json"}},
                 ParseLie(it.lie), {.look = Look});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.hung, "");
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1") << result.errors;
  EXPECT_EQ(result.before, result.after) << "the stand-in was changed";
  const json run = json::parse(result.output);
  std::string failed = "no claim; it says: " + result.errors;
  for (const json& claim : run["claims"]) {
    if (claim["holds"] == false) failed = claim["text"];
  }
  EXPECT_EQ(failed, it.claim);
}

TEST(LiesTable, HasEveryClaimOfEveryLesson) {
  for (const std::string& lesson : LessonNames()) {
    const json run = json::parse(
        RunCommand({.program = "lessons/" + lesson, .arguments = {"--json"}})
            .output);
    std::set<std::string> claims;
    for (const json& claim : run["claims"]) claims.insert(claim["text"]);
    std::set<std::string> listed;
    for (const Case& it : kCases) {
      if (it.lesson == lesson) listed.insert(it.claim);
    }
    for (const Beyond& it : kBeyond) {
      if (it.lesson != lesson) continue;
      EXPECT_TRUE(listed.insert(it.claim).second) << it.claim;
    }
    EXPECT_EQ(claims, listed) << lesson;
  }
}

// EINTR, as after Ctrl-Z and fg from a call that has a limit of time.
TEST(Interruptions, DisturbNoLesson) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  for (const char* lie :
       {"accept=-4", "accept:2=-4", "connect=-4", "connect:4=-4",
        "read=-4@socket:", "read:2=-4@socket:", "recv=-4", "sendto=-4"}) {
    SCOPED_TRACE(lie);
    const LieResult result =
        RunWithLie({.program = "lessons/net"}, ParseLie(lie));
    EXPECT_TRUE(result.told);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  }
}

// The cgroups of a lesson in this PID namespace.
std::string Cgroups() {
  const std::string end =
      fmt::format("-{}", NamespaceOf(getpid(), KindOf(CLONE_NEWPID)).inode);
  std::string cgroups;
  for (const auto& [what, how] : LookAtHost()) {
    if (what.starts_with("cgroup ") && what.ends_with(end)) cgroups += what;
  }
  return cgroups;
}

// EIO from one of the calls by which a cgroup is made and removed.
TEST(Failures, LeaveNoCgroup) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  if (!FindCgroupPlace("pids")) GTEST_SKIP() << "no cgroup may be made here";
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
                                        ParseLie(lie), {.look = Cgroups});
    EXPECT_TRUE(result.told);
    EXPECT_EQ(result.hung, "");
    EXPECT_EQ(result.after, "");
    EXPECT_TRUE(WIFEXITED(result.status)) << DescribeStatus(result.status);
  }
}

}  // namespace
}  // namespace steps
