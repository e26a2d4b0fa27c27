#include "common/tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::HasSubstr;

TEST(RunTool, GivesWhatItPrintsWithoutTheLastNewline) {
  EXPECT_EQ(RunTool({"printf", "a\\nb\\n"}), "a\nb");
  EXPECT_EQ(RunTool({"true"}), "");
}

TEST(RunTool, GivesNothingWhenTheToolIsNotInstalled) {
  EXPECT_EQ(RunTool({"no-such-tool"}), std::nullopt);
}

TEST(RunTool, TellsAToolThatMayNotBeRunFromOneThatIsMissing) {
  try {
    RunTool({"/etc/passwd"});
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.call(), "execvp(\"/etc/passwd\")");
    EXPECT_EQ(error.error(), EACCES);
  }
}

TEST(RunTool, FailsWithTheToolsExitStatus) {
  try {
    RunTool({"sh", "-c", "exit 3"});
    FAIL();
  } catch (const ChildError& error) {
    EXPECT_THAT(error.what(), HasSubstr("sh -c exit 3: "));
    EXPECT_THAT(error.what(), HasSubstr("exit status 3"));
  }
}

TEST(RunTool, FailsWithTheSignalThatKilledTheTool) {
  try {
    RunTool({"sh", "-c", "kill -KILL $$"});
    FAIL();
  } catch (const ChildError& error) {
    EXPECT_THAT(error.what(), HasSubstr("killed by SIGKILL"));
  }
}

TEST(RunTool, ReadsNothingAndSpeaksEnglish) {
  InChild([] {
    const Descriptor typed(memfd_create("typed", MFD_CLOEXEC));
    WriteAll(typed.get(), "not for the tool");
    lseek(typed.get(), 0, SEEK_SET);
    Check(dup2(typed.get(), STDIN_FILENO), "dup2()");
    EXPECT_EQ(RunTool({"cat"}), "");
  });
  EXPECT_EQ(RunTool({"sh", "-c", "echo $LC_ALL"}), "C");
}

TEST(RunTool, LeaksNoDescriptorIntoTheTool) {
  const Descriptor open = Open("/dev/null", 0);
  // What ls has open: the three, and the folder that it reads.
  EXPECT_EQ(RunTool({"ls", "/proc/self/fd"}), "0\n1\n2\n3");
}

}  // namespace
}  // namespace steps
