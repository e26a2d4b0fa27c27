#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/network.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/sabotage.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::MatchesRegex;

class NetTest : public LessonTest {
 protected:
  NetTest() : LessonTest("net") {}
};

INSTANTIATE_TEST_SUITE_P(As, NetTest, testing::Bool(), UserName);

TEST(NetLies, ReadsOnWhenItWasInterrupted) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  const LieResult result =
      RunWithLie({.program = "lessons/net"},
                 {.call = "read", .answer = -EINTR, .path = "socket:"});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.output;
}

// As on a kernel that has none: only that message is this long and goes to
// nobody in particular.
void RefuseVeth() {
  std::array<sock_filter, 8> program = {
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 5),
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[4])),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
       BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 64, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog filter = {.len = program.size(), .filter = program.data()};
  MUST(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  MUST(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

TEST_P(NetTest, EitherSideHasItsOwnPortsAndNames) {
  const json run = RunJson();
  EXPECT_EQ(Found(run), "ENETUNREACH");
  ExpectIsolated(run, {"lo", "net namespace"});
  EXPECT_THAT(Values(run, "outside", "net namespace"),
              ElementsAre(ReadLink("/proc/self/ns/net")));
  EXPECT_THAT(
      Calls(run, "child"),
      ElementsAre(MatchesRegex("bind.*8080\\) = EADDRINUSE"),
                  MatchesRegex("sendto.*@abstract.* = 5"),
                  "unshare(CLONE_NEWNET) = 0", MatchesRegex("connect.* = 0"),
                  MatchesRegex("connect.* = ENETUNREACH")));
  EXPECT_THAT(Calls(run, "inside"),
              IsSupersetOf({MatchesRegex("connect.* = ENETUNREACH"),
                            MatchesRegex("connect.* = ECONNREFUSED"),
                            MatchesRegex("bind.*8080\\) = 0"),
                            MatchesRegex("connect.* = 0"),
                            MatchesRegex("sendto.*@abstract.* = ECONNREFUSED"),
                            MatchesRegex("sendto.*/tmp/path.* = 5")}));
  EXPECT_THAT(Values(run, "inside", "message"), ElementsAre("from outside"));
  EXPECT_THAT(Values(run, "host", "message"), ElementsAre("from inside"));
}

TEST_P(NetTest, RunsWhereThereAreSuchInterfacesAndThePortIsTaken) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNET);
    MUST(send, OpenSocket(AF_NETLINK, SOCK_RAW), RTM_NEWLINK, "veth", "outer",
         "inner", getpid());
    const int fd = MUST(dup, OpenSocket(AF_INET, SOCK_STREAM));
    MUST(bind, fd, "0.0.0.0", 8080);
    MUST(listen, fd, 1);
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "outside", "interfaces"), ElementsAre("3"));
}

TEST_P(NetTest, SkipsTheClaimThatNeedsVeth) {
  const json run = RunJson(RefuseVeth);
  EXPECT_EQ(run["verdict"], "holds");
  std::vector<std::string> skipped;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    skipped.push_back(claim["text"]);
    EXPECT_THAT(claim["reason"].get<std::string>(), HasSubstr("no veth"));
  }
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("cross a veth pair")));
}

TEST_P(NetTest, DoesWithoutTheToolAndSaysSo) {
  const json run = RunJson([] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Values(run, "inside", ""),
              ElementsAre(HasSubstr("not installed")));
}

TEST_P(NetTest, ShellHasBothInterfaces) {
  const auto before = Interfaces();
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside net] ");
  // Of bash(1): a connection that is opened as a file.
  terminal.Type("echo hello >/dev/tcp/192.0.2.2/8080 && echo arr''ived\n");
  terminal.ReadTo("\narrived");
  EXPECT_EQ(Interfaces(), before);
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
