#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
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
  Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
  Check(sethostname(hostname.data(), hostname.size()), "sethostname()");
}

TEST_P(UtsTest, OutsideIsThisMachine) {
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "hostname"), ElementsAre(names.nodename));
  EXPECT_THAT(Values(run, "outside", "domain name"),
              ElementsAre(names.domainname));
  EXPECT_THAT(
      Values(run, "outside", "namespace"),
      ElementsAre(std::filesystem::read_symlink("/proc/self/ns/uts").string()));
  EXPECT_EQ(run["kernel"], names.release);
  EXPECT_EQ(Found(run), names.nodename) << "while a child has another name";
}

TEST_P(UtsTest, ControlSharesTheNewNames) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "parent", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Values(run, "parent", "domain name"), ElementsAre("domain_001"));
  EXPECT_EQ(Values(run, "parent", "namespace"),
            Values(run, "child", "namespace"));
}

TEST_P(UtsTest, InsideHasNamesOfItsOwn) {
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "hostname"),
              ElementsAre("container_001", names.nodename))
      << "the new name, and before it a copy of the old one";
  EXPECT_NE(Values(run, "inside", "namespace"),
            Values(run, "outside", "namespace"));
  std::set<std::string> sources;
  for (const json& entry : run["evidence"]) {
    if (entry["side"] == "inside" && entry["value"] == "container_001") {
      sources.insert(entry["source"]);
    }
  }
  EXPECT_THAT(sources, ElementsAre("$ hostname", "/proc/sys/kernel/hostname",
                                   "uname(2)"));
}

TEST_P(UtsTest, ComparisonIsIsolatedInEveryRow) {
  const json run = RunJson();
  ExpectIsolated(run, {"hostname", "domain name", "namespace"});
}

TEST_P(UtsTest, RootOfAUserNamespaceIsRefusedTheHostsName) {
  const json run = RunJson();
  utsname names = {};
  uname(&names);
  EXPECT_THAT(Calls(run, "root"),
              ElementsAre(fmt::format("sethostname(\"{}\", {}) = EPERM",
                                      names.nodename, strlen(names.nodename)),
                          "unshare(CLONE_NEWUTS) = 0",
                          "sethostname(\"container_001\", 13) = 0",
                          "setdomainname(\"domain_001\", 10) = 0"));
  EXPECT_EQ(Values(run, "root", "uid"), std::set<std::string>{"0"});
  std::set<std::string> owners = Values(run, "root", "user");
  owners.insert("EPERM");
  EXPECT_EQ(Values(run, "root", "UTS owner"), owners);
}

TEST_P(UtsTest, RunsInsideItself) {
  const json run = RunJson([] { CallTheMachine("container_001"); });
  EXPECT_THAT(Values(run, "inside", "hostname"),
              ElementsAre("container_001", "container_002"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(UtsTest, FitsTheLongestHostname) {
  const std::string longest(64, 'h');
  const Result result = Run({}, [&] { CallTheMachine(longest); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, HasSubstr(longest));
  ExpectFits80Columns(result.output);
}

TEST_P(UtsTest, SurvivesAHostnameOfAnyBytes) {
  const auto rename = [] { CallTheMachine("\x1b[2J\xff\n"); };
  EXPECT_EQ(RunJson(rename)["verdict"], "holds");
  const Result result = Run({}, rename);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, Not(HasSubstr("\x1b")));
}

TEST_P(UtsTest, AwaitsItsChildrenThoughTheReaderIgnoresThem) {
  EXPECT_EQ(RunJson([] { signal(SIGCHLD, SIG_IGN); })["verdict"], "holds");
}

TEST_P(UtsTest, DoesWithoutTheToolAndSaysSo) {
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  EXPECT_EQ(RunJson(hide)["verdict"], "holds");
  EXPECT_THAT(Run({}, hide).output, HasSubstr(" hostname is not installed:\n"));
}

TEST_P(UtsTest, SkipsTheClaimThatNeedsAUserNamespaceOfItsOwn) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("user.max_user_namespaces is 0"));
  }
  EXPECT_EQ(skipped, 1);
  EXPECT_THAT(Run({}, ForbidUserNamespaces).output,
              HasSubstr("5 of 5 claims hold, 1 skipped.\n"));
}

TEST_P(UtsTest, EndsWith130OnCtrlC) {
  // A hostname(1) that never ends, so that the key is pressed in time.
  std::string folder = "/tmp/uts_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::permissions(folder, std::filesystem::perms(0755));
  const std::string tool = folder + "/hostname";
  WriteAll(Open(tool, O_WRONLY | O_CREAT, 0755).get(),
           "#!/bin/sh\nexec /bin/sleep 1000\n");
  Terminal terminal({.program = program(),
                     .as_nobody = as_nobody(),
                     .before = [&] { setenv("PATH", folder.c_str(), 1); }});
  terminal.ReadTo("1  Outside");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(terminal.screen(), HasSubstr("interrupted"));
  EXPECT_THAT(Survivors(), IsEmpty());
  std::filesystem::remove_all(folder);
}

TEST_P(UtsTest, ShellIsInside) {
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside uts] root@container_001:");
  // What is typed here is not the reader's to find in ~/.bash_history.
  terminal.Type("echo \"history <$HISTFILE>\"\n");
  terminal.ReadTo("\nhistory <>");
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
