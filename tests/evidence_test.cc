#include "common/evidence.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/namespaces.h"
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

TEST(FromField, ReadsOneLine) {
  const Finding state = FromField("State", "/proc/self/status");
  EXPECT_EQ(state.probe, "State");
  EXPECT_EQ(state.value, "R (running)");
  EXPECT_EQ(state.source, "/proc/self/status");
  InChild(
      [] {
        EXPECT_THAT(FromField("NSpid", "/proc/self/status").value,
                    testing::MatchesRegex("[0-9]+ 1"));
      },
      CLONE_NEWUSER | CLONE_NEWPID);
  EXPECT_THAT(FromField("MemTotal", "/proc/meminfo").value,
              testing::MatchesRegex("[0-9]+ kB"));
  EXPECT_THROW(FromField("NS", "/proc/self/status"), std::out_of_range);
  EXPECT_THROW(FromField("State", "/nonexistent"), CallError);
}

TEST(FromLink, ReadsALink) {
  const Finding finding = FromLink("namespace", "/proc/self/ns/uts");
  EXPECT_EQ(finding.value,
            std::filesystem::read_symlink("/proc/self/ns/uts").string());
  EXPECT_THAT(finding.value, testing::MatchesRegex("uts:\\[[0-9]+\\]"));
  EXPECT_THROW(FromLink("x", "/"), CallError);
}

TEST(FromLinks, ReadsALinkForEachKindThatTheKernelHas) {
  const Evidence links = FromLinks("self");
  std::vector<std::string> found;
  for (const Finding& finding : links.findings()) {
    EXPECT_EQ(finding.value,
              std::filesystem::read_symlink(finding.source).string());
    found.push_back(finding.probe);
  }
  std::vector<std::string> known;
  for (const Kind& kind : Kinds()) {
    if (NamespacesOf(getpid()).contains(kind.flag)) {
      known.emplace_back(kind.name);
    }
  }
  EXPECT_EQ(found, known);
}

TEST(FromLinks, ReadsThoseOfAnotherProcess) {
  Child child([](Line& line) { line.Checkpoint(); });
  const int flags = CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD;
  Check(child.Started(clone(Child::Main, child.stack_top(), flags, &child)),
        "clone()");
  const Evidence here = FromLinks("self");
  const Evidence there = FromLinks(std::to_string(child.pid()));
  EXPECT_NE(there.Value("uts"), here.Value("uts"));
  EXPECT_EQ(there.Value("ipc"), here.Value("ipc"));
  EXPECT_EQ(there.findings()[0].source,
            fmt::format("/proc/{}/ns/mnt", child.pid()));
  child.Finish();
}

TEST(FromLinkForChildren, LeadsNowhereBeforeTheFirstChild) {
  InChild([] {
    const std::string path = "/proc/self/ns/pid_for_children";
    EXPECT_EQ(FromLinkForChildren("next", path).value,
              FromLink("own", "/proc/self/ns/pid").value);
    Check(unshare(CLONE_NEWUSER | CLONE_NEWPID), "unshare()");
    const Finding nowhere = FromLinkForChildren("next", path);
    EXPECT_EQ(nowhere.probe, "next");
    EXPECT_EQ(nowhere.value, "ENOENT");
    EXPECT_EQ(nowhere.source, path);
  });
  EXPECT_THROW(FromLinkForChildren("next", "/"), CallError);
}

TEST(FromFolder, NamesWhatIsInAFolder) {
  const Finding finding = FromFolder("descriptors", "/proc/self/fd");
  EXPECT_EQ(finding.probe, "descriptors");
  EXPECT_THAT(finding.value, testing::StartsWith("0 1 2"));
  EXPECT_EQ(finding.source, "/proc/self/fd");
  EXPECT_THROW(FromFolder("x", "/nonexistent"),
               std::filesystem::filesystem_error);
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
            "no-such-tool is not installed: /proc/sys/kernel/ostype");
}

TEST(Cut, LeavesWhatFitsOnTheScreen) {
  const std::string full(66, 'x');
  const std::string blanks(66, ' ');
  const Finding table =
      Cut({"table", "\nkey  id  \n   \n" + full + "yz\n\n0x1" + blanks + "z",
           "$ tool"});
  EXPECT_EQ(table.probe, "table");
  EXPECT_EQ(table.value, "key  id\n" + full + "\n0x1");
  EXPECT_EQ(table.source, "$ tool");
  EXPECT_EQ(Cut({"table", "", "$ tool"}).value, "");
}

TEST(FromTool, SaysThatTheToolFailedAndReadsTheFile) {
  const Finding finding =
      FromTool({"false"}, FromFile("type", "/proc/sys/kernel/ostype"));
  EXPECT_EQ(finding.value, "Linux");
  EXPECT_EQ(finding.source, "false failed: /proc/sys/kernel/ostype");
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
