#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class UtsTest : public LessonTest {
 protected:
  UtsTest() : LessonTest("uts") {}
};

INSTANTIATE_TEST_SUITE_P(As, UtsTest, testing::Bool(), UserName);

// A throwaway user namespace and UTS namespace, in which this is the hostname.
void CallTheMachine(const std::string& hostname) {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWUTS);
  MUST(sethostname, hostname.c_str(), hostname.size());
}

TEST_P(UtsTest, OutsideIsThisMachineBeforeAndAfter) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "hostname"),
              ElementsAre(Uname().nodename));
  EXPECT_THAT(Values(run, "outside", "NIS domain"),
              ElementsAre(Uname().domainname));
  EXPECT_THAT(Values(run, "outside", "UTS namespace"),
              ElementsAre(ReadLink("/proc/self/ns/uts")));
  ExpectIsolated(run, {"hostname", "NIS domain", "UTS namespace"});
}

TEST_P(UtsTest, InsideHasACopyAndThenItsOwnNames) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "hostname"),
              ElementsAre("container_001", Uname().nodename));
  EXPECT_THAT(Values(run, "host", "hostname"), ElementsAre("container_001"));
  EXPECT_EQ(Found(run), Uname().nodename);
}

TEST_P(UtsTest, RootOfAUserNamespaceIsRefusedTheHostsName) {
  EXPECT_THAT(
      Calls(RunJson(), "root"),
      ElementsAre("sethostname(\"root\", 4) = EPERM",
                  "unshare(CLONE_NEWUTS) = 0", "sethostname(\"root\", 4) = 0"));
}

TEST_P(UtsTest, HoldsWhateverTheMachineIsCalled) {
  for (const std::string& hostname :
       {std::string("container_001"), std::string(64, 'h'),
        std::string("\x1b[2J\xff\n")}) {
    const auto rename = [&] { CallTheMachine(hostname); };
    EXPECT_EQ(RunJson(rename)["verdict"], "holds");
    const std::string output = Run({}, rename).output;
    EXPECT_THAT(output, Not(HasSubstr("\x1b")));
    ExpectFits80Columns(output);
  }
}

TEST_P(UtsTest, AwaitsItsChildrenThoughTheReaderIgnoresThem) {
  EXPECT_EQ(RunJson([] { signal(SIGCHLD, SIG_IGN); })["verdict"], "holds");
}

TEST_P(UtsTest, SkipsTheClaimThatNeedsAnotherUserNamespace) {
  EXPECT_THAT(Run({}, ForbidUserNamespaces).output,
              HasSubstr("5 of 5 claims hold, 1 skipped.\n"));
  for (const json& claim : RunJson(ForbidUserNamespaces)["claims"]) {
    if (!claim["holds"].is_null()) continue;
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("user.max_user_namespaces is 0"));
  }
}

TEST_P(UtsTest, EndsWith130OnCtrlC) {
  // A hostname(1) that never ends, so that the key is pressed in time.
  std::string directory = "/tmp/uts_test.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  std::filesystem::permissions(directory, std::filesystem::perms(0755));
  WriteAll(Open(directory + "/hostname", O_WRONLY | O_CREAT, 0755).get(),
           "#!/bin/sh\nexec /bin/sleep 1000\n");
  Terminal terminal({.program = program(),
                     .as_nobody = as_nobody(),
                     .before = [&] { setenv("PATH", directory.c_str(), 1); }});
  terminal.ReadTo("1  Before");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(terminal.screen(), HasSubstr("interrupted"));
  EXPECT_THAT(Survivors(), IsEmpty());
  std::filesystem::remove_all(directory);
}

TEST_P(UtsTest, ShellIsInside) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside uts] root@container_001:");
  // What is typed here must not turn up in ~/.bash_history.
  terminal.Type("echo \"history <$HISTFILE>\"\n");
  terminal.ReadTo("\nhistory <>");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
