#include "tests/support/sabotage.h"

#include <chrono>

#include "tests/support/test.h"

namespace steps {
namespace {

// What `before` does comes before the program, so no lie is told about it.
Command Shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"-c", script}, .before = [] {
            MUST(sethostname, "stand-in", 8);
            MUST(mount, "tmpfs", "/mnt", "tmpfs", 0, nullptr);
          }};
}

class SabotageTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  }

  void TearDown() override {
    EXPECT_EQ(Uname().nodename, hostname_) << "the host's own name";
  }

  const std::string hostname_ = Uname().nodename;
};

// Whether the two namespaces are still those of the shell above.
constexpr const char* kUnshareTwo =
    "export u=$(readlink /proc/self/ns/uts) i=$(readlink /proc/self/ns/ipc)\n"
    "unshare --uts --ipc sh -c '\n"
    "test $(readlink /proc/self/ns/uts) = $u && echo uts\n"
    "test $(readlink /proc/self/ns/ipc) = $i && echo ipc; true'";

// The tables of lies_test show what a lie does to the call that it is about.
TEST_F(SabotageTest, NothingElseIsALie) {
  struct Case {
    const char* lie;
    const char* script;
    const char* output;
    bool told = false;
  };
  const Case cases[] = {
      {"unshare-CLONE_NEWUTS", kUnshareTwo, "uts\n", true},
      {"unshare:2-CLONE_NEWUTS", kUnshareTwo, ""},
      {"unshare-CLONE_NEWUTS-CLONE_NEWPID", kUnshareTwo, ""},
      {"unshare@uts", kUnshareTwo, ""},
      {"setns", "trap 'echo USR1' USR1; kill -USR1 $$", "USR1\n"},
      // Grandchildren are lied to, and counted.
      {"sethostname:2",
       "(hostname a; (hostname b; hostname); hostname c); hostname", "a\nc\n",
       true},
      {"write@/mnt/b",
       "cd /mnt; echo one >a; echo two >b; echo three >>b; cat a b",
       "one\nthree\n", true},
      // PID 1 of the stand-in waits, too.
      {"waitpid", "exec true", ""},
  };
  for (const auto& [lie, script, output, told] : cases) {
    const LieResult result = RunWithLie(Shell(script), lie);
    EXPECT_EQ(result.output, output) << lie << "\n" << result.errors;
    EXPECT_EQ(result.told, told) << lie;
    EXPECT_EQ(result.hung, "") << lie;
  }
}

// Whether the process sleeps, say in wait4(2).
bool Sleeps(pid_t pid) {
  return ReadField("/proc/" + std::to_string(pid) + "/status", "State")
      .starts_with('S');
}

TEST_F(SabotageTest, ACallThatIsInterruptedCountsOnce) {
  const auto function = [] {
    const pid_t parent = getpid();
    const pid_t first = MUST(fork);
    if (first == 0) {
      while (!Sleeps(parent)) sched_yield();
      kill(parent, SIGWINCH);  // Ignored, but a tracer gets to see it.
      while (!Sleeps(parent)) sched_yield();
      _exit(0);
    }
    if (waitpid(first, nullptr, 0) != first) return 1;
    const pid_t second = MUST(fork);
    if (second == 0) _exit(0);
    return waitpid(second, nullptr, 0) == -1 && errno == ECHILD ? 0 : 2;
  };
  const LieResult result =
      RunWithLie({.function = function}, "waitpid:2=-10");  // ECHILD
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
}

TEST_F(SabotageTest, WhatHangsOrIsLeftBehindIsKilledAndNamed) {
  for (const auto& [script, status] :
       {std::pair{"exec sleep 1000", "killed by SIGKILL"},
        {"sleep 1000 & exit 3", "exit status 3"}}) {
    const LieResult result =
        RunWithLie(Shell(script), "setns", {}, std::chrono::seconds(2));
    EXPECT_THAT(result.hung, MatchesRegex("[0-9]+ sleep\n"));
    EXPECT_EQ(DescribeStatus(result.status), status);
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

TEST_F(SabotageTest, TheStandInIsLookedAtBeforeAndAfter) {
  const LieResult result = RunWithLie(Shell("hostname after"), "setns", [] {
    return std::string(Uname().nodename);
  });
  EXPECT_EQ(result.before, hostname_);
  EXPECT_EQ(result.after, "after");
}

TEST_F(SabotageTest, NothingSurvivesItsTest) {
  Program test({.function = [] {
    return RunWithLie(Shell("sleep 1001 & sleep 1002"), "setns").status;
  }});
  for (int sleeping = 0; sleeping < 2;) {
    sleeping = 0;
    for (const pid_t pid : Descendants()) {
      const std::string path = "/proc/" + std::to_string(pid) + "/comm";
      if (ReadText(path) == "sleep") ++sleeping;
    }
  }
  kill(test.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(test.Await().status), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(RunWithLie, RefusesWhatIsNoLie) {
  for (const char* text : {"sethostnam", "kill-CLONE_NEWNS", "clone:0"}) {
    EXPECT_THROW(RunWithLie(Shell("true"), text), std::invalid_argument);
  }
}

}  // namespace
}  // namespace steps
