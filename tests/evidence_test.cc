#include "common/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "common/call_error.h"
#include "tests/process.h"

namespace steps {
namespace {

TEST(Evidence, GivesTheFirstAnswerToAProbe) {
  const Evidence evidence = {{"hostname", "a", "uname(2)"},
                             {"hostname", "b", "$ hostname"}};
  EXPECT_EQ(evidence.Value("hostname"), "a");
}

TEST(Evidence, SaysWhetherAllSourcesAgree) {
  const Evidence evidence = {{"hostname", "a", "uname(2)"},
                             {"hostname", "b", "$ hostname"},
                             {"domain name", "d", "uname(2)"}};
  EXPECT_TRUE(evidence.AllSay("domain name", "d"));
  EXPECT_FALSE(evidence.AllSay("domain name", "a"));
  EXPECT_FALSE(evidence.AllSay("hostname", "a"));
  EXPECT_FALSE(evidence.AllSay("hostname", "b"));
}

TEST(Evidence, ThrowsWhereNobodyAsked) {
  EXPECT_THROW(Evidence().Value("hostname"), std::out_of_range);
  EXPECT_THROW(Evidence().AllSay("hostname", ""), std::out_of_range);
}

TEST(FromFile, ReadsAFileWithoutItsLastNewline) {
  const Finding finding = FromFile("release", "/proc/sys/kernel/ostype");
  EXPECT_EQ(finding.probe, "release");
  EXPECT_EQ(finding.value, "Linux");
  EXPECT_EQ(finding.source, "/proc/sys/kernel/ostype");
  EXPECT_THROW(FromFile("x", "/nonexistent"), CallError);
}

TEST(FromLink, ReadsALink) {
  const Finding finding = FromLink("namespace", "/proc/self/ns/uts");
  EXPECT_EQ(finding.value,
            std::filesystem::read_symlink("/proc/self/ns/uts").string());
  EXPECT_THAT(finding.value, testing::MatchesRegex("uts:\\[[0-9]+\\]"));
  EXPECT_THROW(FromLink("x", "/"), CallError);
}

TEST(FromTool, ShowsTheCommandAndWhatItPrints) {
  const Finding finding = FromTool({"printf", "hello"}, {"text", "", ""});
  EXPECT_EQ(finding.value, "hello");
  EXPECT_EQ(finding.source, "$ printf hello");
}

TEST(FromTool, SaysThatTheToolIsMissingAndReadsTheFile) {
  const Finding finding =
      FromTool({"no-such-tool"}, FromFile("type", "/proc/sys/kernel/ostype"));
  EXPECT_EQ(finding.value, "Linux");
  EXPECT_EQ(finding.source,
            "/proc/sys/kernel/ostype (no-such-tool is not installed)");
}

TEST(FromOwner, NamesTheOwnersUserNamespaceToItsMembers) {
  InChild([] {
    Check(unshare(CLONE_NEWUSER | CLONE_NEWUTS), "unshare()");
    EXPECT_EQ(FromOwner("owner", "/proc/self/ns/uts").value,
              FromLink("own", "/proc/self/ns/user").value);
    EXPECT_EQ(FromOwner("owner", "/proc/self/ns/ipc").value, "EPERM")
        << "what this process has kept belongs to somebody further out";
  });
  EXPECT_THROW(FromOwner("owner", "/dev/null"), CallError);
}

}  // namespace
}  // namespace steps
