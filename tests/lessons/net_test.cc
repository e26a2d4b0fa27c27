#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
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
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/interfaces.h"
#include "common/kernel/sockets.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class NetTest : public LessonTest {
 protected:
  NetTest() : LessonTest("net") {}
};

INSTANTIATE_TEST_SUITE_P(As, NetTest, testing::Bool(), UserName);

std::string Namespace() { return fs::read_symlink("/proc/self/ns/net"); }

// What `side` answers to `probe`, one answer after the other.
std::vector<std::string> Answers(const json& run, const std::string& side,
                                 const std::string& probe) {
  std::vector<std::string> answers;
  for (const json& entry : run["evidence"]) {
    if (entry["side"] == side && entry["probe"] == probe) {
      answers.push_back(entry["value"]);
    }
  }
  return answers;
}

void MakeVethPair() {
  const Descriptor socket = MakeRouteSocket();
  const std::string message = VethMessage("outer", "inner", getpid());
  Check(send(socket.get(), message.data(), message.size(), 0), "send()");
  CheckAnswer(socket, "veth");
}

// As on a kernel that has none: only the lesson's own message is this long and
// goes to nobody in particular.
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
  Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)");
  Check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "prctl(SECCOMP)");
}

TEST_P(NetTest, OutsideIsNotThisMachine) {
  const json run = RunJson();
  EXPECT_THAT(Answers(run, "host", "namespace"),
              ElementsAre(Namespace(), Namespace()));
  const std::string count = fmt::format("{} in all", Interfaces().size());
  EXPECT_THAT(Answers(run, "host", "interfaces"), ElementsAre(count, count));
  EXPECT_THAT(Values(run, "outside", "namespace"), Not(Contains(Namespace())));
}

TEST_P(NetTest, ControlSharesPortsAndNames) {
  const json run = RunJson();
  EXPECT_EQ(Values(run, "child", "namespace"),
            Values(run, "outside", "namespace"));
  EXPECT_THAT(Values(run, "child", "TCP"), ElementsAre("reached"));
  EXPECT_THAT(Values(run, "child", "abstract"), ElementsAre("reached"));
  EXPECT_THAT(Calls(run, "child"),
              ElementsAre(MatchesRegex("bind\\([0-9]+, \\{\"0.0.0.0\", "
                                       "8080\\}\\) = EADDRINUSE")));
}

TEST_P(NetTest, InsideHasOnlyLoAndItIsDown) {
  const json run = RunJson();
  EXPECT_THAT(
      Answers(run, "inside", "interfaces"),
      ElementsAre("lo down",
                  MatchesRegex("lo +DOWN +00:00:00:00:00:00 <LOOPBACK>"),
                  "inner up, lo up", HasSubstr("inner")));
  EXPECT_THAT(Answers(run, "inside", "TCP"),
              ElementsAre("ENETUNREACH", testing::_, testing::_));
}

TEST_P(NetTest, LoUpReachesItselfAndNotTheOutside) {
  const json run = RunJson();
  EXPECT_THAT(Answers(run, "inside", "TCP"),
              ElementsAre("ENETUNREACH", "ECONNREFUSED", "reached"));
  EXPECT_THAT(Calls(run, "inside"),
              Contains(MatchesRegex("accept\\(.*\\) = [0-9]+")).Times(2));
}

TEST_P(NetTest, SamePortIsBoundOnBothSides) {
  const json run = RunJson();
  for (const std::string side : {"outside", "inside"}) {
    EXPECT_THAT(Calls(run, side), Contains(MatchesRegex("bind\\([0-9]+, "
                                                        "\\{\"0.0.0.0\", "
                                                        "8080\\}\\) = 0")))
        << side;
  }
  EXPECT_THAT(Answers(run, "outside", "TCP"),
              ElementsAre("reached", "reached"));
}

TEST_P(NetTest, AbstractNamesAreIsolatedAndPathsAreNot) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "abstract"), ElementsAre("ECONNREFUSED"));
  EXPECT_THAT(Values(run, "inside", "path"), ElementsAre("reached"));
}

TEST_P(NetTest, MessagesCrossTheVethPairBothWays) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "message"), ElementsAre("from outside"));
  EXPECT_THAT(Values(run, "outside", "message"), ElementsAre("from inside"));
  EXPECT_THAT(Values(run, "inside", "interfaces"),
              Contains(MatchesRegex("lo +UNKNOWN +127.0.0.1/8\n"
                                    "inner@if[0-9]+ +UP +192.0.2.2/24")));
  EXPECT_THAT(Values(run, "outside", "interfaces"),
              Contains(MatchesRegex("lo +UNKNOWN +127.0.0.1/8\n"
                                    "outer@if[0-9]+ +UP +192.0.2.1/24")));
}

TEST_P(NetTest, ComparisonIsIsolatedButForThePath) {
  std::map<std::string, std::string> verdicts;
  const json run = RunJson();
  for (const json& row : run["comparison"]) {
    verdicts[row["probe"]] = row["verdict"];
  }
  const std::map<std::string, std::string> expected = {
      {"TCP", "isolated"},
      {"abstract", "isolated"},
      {"path", "shared"},
      {"namespace", "isolated"}};
  EXPECT_EQ(verdicts, expected);
}

TEST_P(NetTest, HostGetsNeitherEnd) {
  EXPECT_THAT(Answers(RunJson(), "host", "veth ends"),
              ElementsAre("0 of 2", "0 of 2"));
}

// As in the shell of another run.
TEST_P(NetTest, RunsWhereThereAreSuchInterfaces) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNET), "unshare()");
    MakeVethPair();
  });
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_THAT(Answers(run, "host", "veth ends"),
              ElementsAre("2 of 2", "2 of 2"));
}

TEST_P(NetTest, RunsWhereThePortIsTaken) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNET), "unshare()");
    const Descriptor socket = MakeTcpSocket();
    Check(Bind(socket, "0.0.0.0", 8080), "bind()");
    Check(listen(socket.get(), 1), "listen()");
    Check(dup(socket.get()), "dup()");  // It stays open in the lesson.
  });
  EXPECT_EQ(run["verdict"], "holds");
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
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("crosses a veth pair")));
  EXPECT_THAT(Run({}, RefuseVeth).output,
              HasSubstr("7 of 7 claims hold, 1 skipped.\n"));
}

TEST_P(NetTest, DoesWithoutTheToolAndSaysSo) {
  const std::string output =
      Run({}, [] { setenv("PATH", "/nonexistent", 1); }).output;
  EXPECT_THAT(output, HasSubstr("ip is not installed:\n"));
  ExpectFits80Columns(output);
}

TEST_P(NetTest, RunsManyTimesAtOnce) {
  std::vector<std::unique_ptr<Process>> runs(10);
  for (auto& run : runs) {
    run = std::make_unique<Process>(
        Command{.program = program(), .as_nobody = as_nobody()});
  }
  for (const auto& run : runs) {
    const Result result = run->Await();
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0")
        << result.errors << result.output;
  }
}

TEST_P(NetTest, ShellReachesTheOutsideByTheVethPair) {
  const auto before = Interfaces();
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside net] ");
  // Of bash(1): a connection that is opened as a file.
  terminal.Type("echo hello >/dev/tcp/192.0.2.1/8080 && echo arr''ived\n");
  terminal.ReadTo("\narrived");
  EXPECT_EQ(Interfaces(), before);
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
