#include "tests/support/sabotage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

std::string LinkTo(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/ns/" + name);
}

std::string Hostname() {
  std::array<char, 256> name = {};
  Check(gethostname(name.data(), name.size()), "gethostname()");
  return name.data();
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What `before` does comes before the program, so no lie is told about it.
Command Shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"-c", script}, .before = [] {
            Check(sethostname("stand-in", 8), "sethostname()");
            Check(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), "mount()");
          }};
}

class SabotageTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = WhyNoLies(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    hostname_ = Hostname();
  }

  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(Hostname(), hostname_) << "the host's own name";
  }

  std::string hostname_;
};

constexpr const char* kUnshareTwo =
    "readlink /proc/self/ns/uts /proc/self/ns/ipc;"
    "unshare --uts --ipc readlink /proc/self/ns/uts /proc/self/ns/ipc";

TEST_F(SabotageTest, UnshareLosesTheFlagAndKeepsTheRest) {
  const LieResult result =
      RunWithLie(Shell(kUnshareTwo), {.call = "unshare", .drop = CLONE_NEWUTS});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  const std::vector<std::string> links = Lines(result.output);
  ASSERT_EQ(links.size(), 4) << result.output;
  EXPECT_EQ(links[0], links[2]);
  EXPECT_NE(links[1], links[3]);
}

TEST_F(SabotageTest, ALieThatIsNotToldIsReportedAndChangesNothing) {
  for (const Lie& lie :
       {Lie{.call = "unshare", .occurrence = 2, .drop = CLONE_NEWUTS},
        Lie{.call = "unshare", .drop = CLONE_NEWUTS | CLONE_NEWPID},
        Lie{.call = "unshare", .path = "uts"}, Lie{.call = "setns"}}) {
    const LieResult result = RunWithLie(Shell(kUnshareTwo), lie);
    EXPECT_FALSE(result.told) << Describe(lie);
    const std::vector<std::string> links = Lines(result.output);
    ASSERT_EQ(links.size(), 4) << result.output;
    EXPECT_NE(links[0], links[2]) << Describe(lie);
    EXPECT_NE(links[1], links[3]) << Describe(lie);
  }
}

TEST_F(SabotageTest, AFakedCallAnswers0AndIsNotMade) {
  const LieResult result =
      RunWithLie(Shell("hostname lie && hostname"), {.call = "sethostname"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.output, "stand-in\n");
  EXPECT_EQ(result.errors, "");
}

TEST_F(SabotageTest, AFakedCallAnswersAnErrno) {
  const LieResult result =
      RunWithLie(Shell("hostname lie || hostname"),
                 {.call = "sethostname", .answer = -EPERM});
  EXPECT_EQ(result.output, "stand-in\n");
  EXPECT_THAT(result.errors, HasSubstr("must be root"));
}

TEST_F(SabotageTest, OnlyTheOccurrenceIsALie) {
  const LieResult result =
      RunWithLie(Shell("for name in a b c; do hostname $name; hostname; done"),
                 {.call = "sethostname", .occurrence = 2});
  EXPECT_EQ(result.output, "a\na\nc\n");
}

TEST_F(SabotageTest, AnyCallIsOneOfAll) {
  const auto function = [] {
    const int fd = dup(STDIN_FILENO);
    const int refused = close(fd);  // All the same it is closed.
    return refused == -1 && errno == EIO && fcntl(fd, F_GETFD) == -1 ? 0 : 1;
  };
  const Lie second = {.call = "any", .occurrence = 2, .answer = -EIO};
  const LieResult result = RunWithLie({.function = function}, second);
  EXPECT_EQ(result.number, SYS_close);
  EXPECT_EQ(result.status, 0) << result.errors;
}

constexpr int kSharesUts = 1;
constexpr int kSharesIpc = 2;

// A cloned child exits with what it shares with its parent.
int Compare(pid_t pid, const std::string& uts, const std::string& ipc) {
  if (pid == 0) {
    _exit((LinkTo("uts") == uts ? kSharesUts : 0) |
          (LinkTo("ipc") == ipc ? kSharesIpc : 0));
  }
  int status = 0;
  Check(waitpid(pid, &status, 0), "waitpid()");
  return WEXITSTATUS(status);
}

TEST_F(SabotageTest, CloneLosesTheFlag) {
  const auto function = [] {
    const std::string uts = LinkTo("uts");
    const std::string ipc = LinkTo("ipc");
    const long pid = syscall(SYS_clone, CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD,
                             nullptr, nullptr, nullptr, nullptr);
    return Compare(static_cast<pid_t>(pid), uts, ipc);
  };
  const Lie lie = {.call = "clone", .drop = CLONE_NEWIPC};
  const LieResult result = RunWithLie({.function = function}, lie);
  EXPECT_TRUE(result.told);
  EXPECT_EQ(WEXITSTATUS(result.status), kSharesIpc) << result.errors;
}

TEST_F(SabotageTest, Clone3LosesTheFlagAndItsCallerDoesNotSeeIt) {
  const auto function = [] {
    const std::string uts = LinkTo("uts");
    const std::string ipc = LinkTo("ipc");
    clone_args arguments = {};
    arguments.flags = CLONE_NEWUTS | CLONE_NEWIPC;
    arguments.exit_signal = SIGCHLD;
    const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    const int shared = Compare(static_cast<pid_t>(pid), uts, ipc);
    return arguments.flags == (CLONE_NEWUTS | CLONE_NEWIPC) ? shared : -1;
  };
  const Lie lie = {.call = "clone", .drop = CLONE_NEWUTS};
  const LieResult result = RunWithLie({.function = function}, lie);
  EXPECT_TRUE(result.told);
  EXPECT_EQ(WEXITSTATUS(result.status), kSharesUts) << result.errors;
}

TEST_F(SabotageTest, GrandchildrenAreLiedToAndCounted) {
  const LieResult result = RunWithLie(
      Shell("(hostname a; (hostname b; hostname); hostname c); hostname"),
      {.call = "sethostname", .occurrence = 2});
  EXPECT_EQ(result.output, "a\nc\n");
}

TEST_F(SabotageTest, ForksInANewPidNamespaceAreLiedTo) {
  const LieResult result =
      RunWithLie(Shell("unshare --pid --fork --mount-proc sh -c "
                       "'echo $$; hostname lie; (hostname)'"),
                 {.call = "sethostname"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.output, "1\nstand-in\n") << result.errors;
}

TEST_F(SabotageTest, AnotherUserIsLiedTo) {
  Command command = {.program = "/bin/sh",
                     .arguments = {"-c", "id -u; hostname lie"},
                     .as_nobody = true};
  EXPECT_NE(RunWithLie(command, {.call = "setns"}).status, 0);
  const LieResult result = RunWithLie(command, {.call = "sethostname"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output, "65534\n");
}

TEST_F(SabotageTest, AChildThatEndsWithoutASignalIsLiedTo) {
  const auto function = [] {
    const long pid = syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) _exit(sethostname("lie", 3) == 0 ? 0 : 1);
    int status = 0;
    Check(waitpid(static_cast<pid_t>(pid), &status, __WALL), "waitpid()");
    return Hostname() == "lie" ? 2 : WEXITSTATUS(status);
  };
  const LieResult result =
      RunWithLie({.function = function}, {.call = "sethostname"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
}

TEST_F(SabotageTest, Pid1OfTheStandInIsNotLiedTo) {
  const Command ends = {.program = "/bin/true"};
  EXPECT_FALSE(RunWithLie(ends, {.call = "wait4"}).told);
}

TEST_F(SabotageTest, RmdirIsNotUnlink) {
  const std::string script =
      "mkdir /mnt/d; touch /mnt/d/f; rm -r /mnt/d; find /mnt";
  EXPECT_EQ(RunWithLie(Shell(script), {.call = "rmdir"}).output,
            "/mnt\n/mnt/d\n");
}

TEST_F(SabotageTest, APathRestrictsTheLie) {
  EXPECT_EQ(RunWithLie(Shell("mkdir /mnt/a /mnt/b; ls /mnt"),
                       {.call = "mkdir", .path = "/mnt/b"})
                .output,
            "a\n");
  EXPECT_EQ(RunWithLie(Shell("mkdir /mnt/a /mnt/b; rmdir /mnt/*; ls /mnt"),
                       {.call = "rmdir", .path = "/mnt/b"})
                .output,
            "b\n");
  EXPECT_EQ(RunWithLie(Shell("mount -t tmpfs x /srv; mount -t tmpfs x /media;"
                             "mountpoint -q /srv || mountpoint /media"),
                       {.call = "mount", .path = "/srv"})
                .output,
            "/media is a mountpoint\n");
  EXPECT_EQ(RunWithLie(Shell("hostname outer; touch /mnt/uts;"
                             "unshare --uts=/mnt/uts hostname inner;"
                             "nsenter --uts=/mnt/uts hostname"),
                       {.call = "setns", .path = "/mnt/uts"})
                .output,
            "outer\n");
  EXPECT_EQ(RunWithLie(Shell("unshare --uts sh -c 'hostname inner;"
                             "nsenter --uts=/proc/1/ns/uts hostname'"),
                       {.call = "setns", .path = "uts:["})
                .output,
            "inner\n");
}

TEST_F(SabotageTest, AFakedWriteAnswersItsCount) {
  const LieResult result = RunWithLie(
      Shell("cd /mnt; echo one >a; echo two >b; echo three >>b; cat a b"),
      {.call = "write", .path = "/mnt/b"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.output, "one\nthree\n");
  EXPECT_EQ(result.errors, "");
}

// Whether the process sleeps, say in wait4(2).
bool Sleeps(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:")) return line.find('S', 6) != line.npos;
  }
  return false;
}

TEST_F(SabotageTest, ACallThatIsInterruptedCountsOnce) {
  const auto function = [] {
    const pid_t parent = getpid();
    const pid_t first = Check(fork(), "fork()");
    if (first == 0) {
      while (!Sleeps(parent)) sched_yield();
      kill(parent, SIGWINCH);  // Ignored, but a tracer gets to see it.
      while (!Sleeps(parent)) sched_yield();
      _exit(0);
    }
    if (waitpid(first, nullptr, 0) != first) return 1;
    const pid_t second = Check(fork(), "fork()");
    if (second == 0) _exit(0);
    return waitpid(second, nullptr, 0) == -1 && errno == ECHILD ? 0 : 2;
  };
  const LieResult result =
      RunWithLie({.function = function},
                 {.call = "wait4", .occurrence = 2, .answer = -ECHILD});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
}

TEST_F(SabotageTest, AStoppedChildIsStoppedToItsParentToo) {
  const auto function = [] {
    std::array<int, 2> ends = {};
    Check(pipe(ends.data()), "pipe()");
    const pid_t child = Check(fork(), "fork()");
    if (child == 0) {
      raise(SIGSTOP);
      close(ends[1]);
      pause();
    }
    int status = 0;
    waitpid(child, &status, WUNTRACED);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) return 1;
    // If it went on now, the pipe would be closed.
    close(ends[1]);
    pollfd closed = {.fd = ends[0], .events = POLLIN, .revents = 0};
    if (poll(&closed, 1, 100) != 0) return 4;
    kill(child, SIGCONT);
    if (poll(&closed, 1, -1) != 1) return 5;
    waitpid(child, &status, WCONTINUED);
    if (!WIFCONTINUED(status)) return 2;
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 3;
  };
  const LieResult result =
      RunWithLie({.function = function}, {.call = "setns"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.hung;
}

TEST_F(SabotageTest, SignalsAndStatusesArriveAsTheyWere) {
  const Lie lie = {.call = "setns"};
  EXPECT_EQ(DescribeStatus(RunWithLie(Shell("kill -TERM $$"), lie).status),
            "killed by SIGTERM");
  EXPECT_EQ(DescribeStatus(RunWithLie(Shell("kill -KILL $$"), lie).status),
            "killed by SIGKILL");
  EXPECT_EQ(DescribeStatus(RunWithLie(Shell("exit 77"), lie).status),
            "exit status 77");
  EXPECT_EQ(
      RunWithLie(Shell("trap 'echo USR1' USR1; kill -USR1 $$"), lie).output,
      "USR1\n");
  Command reads = Shell("cat");
  reads.input = "input\n";
  EXPECT_EQ(RunWithLie(reads, lie).output, "input\n");
}

TEST_F(SabotageTest, WhatHangsIsKilledAndNamed) {
  const auto start = steady_clock::now();
  const LieResult result =
      RunWithLie(Shell("exec sleep 1000"), {.call = "setns"},
                 {.deadline = milliseconds(300)});
  EXPECT_THAT(result.hung, MatchesRegex("[0-9]+ sleep\n"));
  EXPECT_EQ(DescribeStatus(result.status), "killed by SIGKILL");
  EXPECT_LT(steady_clock::now() - start, milliseconds(10'000));
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_F(SabotageTest, WhatAProgramLeavesBehindIsKilledAndNamed) {
  const LieResult result =
      RunWithLie(Shell("sleep 1000 & exit 3"), {.call = "setns"},
                 {.deadline = milliseconds(300)});
  EXPECT_THAT(result.hung, EndsWith(" sleep\n"));
  EXPECT_EQ(DescribeStatus(result.status), "exit status 3");
}

TEST_F(SabotageTest, NothingHangsWhenALieTakesAKillAway) {
  const LieResult result =
      RunWithLie(Shell("sleep 1000 & kill $!; wait $!"), {.call = "kill"},
                 {.deadline = milliseconds(300)});
  EXPECT_TRUE(result.told);
  EXPECT_THAT(result.hung, HasSubstr(" sleep\n"));
}

TEST_F(SabotageTest, TheStandInIsLookedAtBeforeAndAfter) {
  const LieOptions look = {.look = [] { return Hostname(); }};
  const LieResult result =
      RunWithLie(Shell("hostname after"), {.call = "setns"}, look);
  EXPECT_EQ(result.before, hostname_);
  EXPECT_EQ(result.after, "after");
}

TEST_F(SabotageTest, NothingSurvivesItsTest) {
  const pid_t test = fork();
  if (test == 0) {
    RunWithLie(Shell("sleep 1001 & sleep 1002"), {.call = "setns"});
    _exit(0);
  }
  std::size_t sleeping = 0;
  while (sleeping < 2) {
    sleeping = 0;
    for (const pid_t pid : Descendants()) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"),
                   name);
      if (name == "sleep") ++sleeping;
    }
    ASSERT_EQ(waitpid(test, nullptr, WNOHANG), 0) << "it ended by itself";
  }
  kill(test, SIGKILL);
  int status = 0;
  waitpid(test, &status, 0);
  EXPECT_EQ(DescribeStatus(status), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(LieTest, MustBePossible) {
  EXPECT_THROW(RunWithLie(Shell("true"), {.call = "sethostnam"}),
               std::invalid_argument);
  EXPECT_THROW(RunWithLie(Shell("true"), {.call = "kill", .drop = CLONE_NEWNS}),
               std::invalid_argument);
  EXPECT_THROW(RunWithLie(Shell("true"), {.call = "kill", .occurrence = 0}),
               std::invalid_argument);
}

TEST(LieTest, IsReadAsItIsDescribed) {
  for (const char* text :
       {"sethostname", "clone:3-CLONE_NEWNS-CLONE_NEWUTS", "setns:2=-1@uts:[4",
        "write@/uid_map", "unshare-CLONE_NEWTIME"}) {
    EXPECT_EQ(Describe(ParseLie(text)), text);
  }
  const Lie lie = ParseLie("clone:3-CLONE_NEWUTS");
  EXPECT_EQ(lie.call, "clone");
  EXPECT_EQ(lie.occurrence, 3);
  EXPECT_EQ(lie.drop, CLONE_NEWUTS);
  for (const char* text : {"", ":2", "clone:0", "clone-CLONE_NEWNOTHING",
                           "clone-", "clone CLONE_NEWUTS"}) {
    EXPECT_THROW(ParseLie(text), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace steps
