#include "common/kernel/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What processes have told, a line each.
class Record : public Observer {
 public:
  void OnCall(const std::string& process, const Call& call) override {
    lines.push_back(process + ": " + call.text + " = " +
                    (call.error == 0 ? std::to_string(call.result)
                                     : ErrnoName(call.error)));
  }
  void OnEvidence(const std::string& process, const Evidence& evidence,
                  Place) override {
    for (const Finding& finding : evidence.findings()) {
      lines.push_back(process + ": " + finding.label + " " + finding.value);
    }
  }
  std::vector<std::string> lines;
};

const Probe kSelf{"self", "getpid(2)", [] { return std::to_string(getpid()); }};
const Probe kParent{"parent", "getppid(2)",
                    [] { return std::to_string(getppid()); }};

std::string MessageOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

class ProcessTest : public testing::Test {
 protected:
  Record record_;
  Process outside_ = Process::Self("outside", &record_);
};

TEST_F(ProcessTest, RunsFunctionsElsewhereAndGivesTheirResults) {
  struct Pair {
    int one, two;
  };
  Process child = outside_.Clone("child", 0);
  EXPECT_EQ(child.Run([] { return getpid(); }), child.pid());
  EXPECT_EQ(child.Run([] { return getppid(); }), getpid());
  EXPECT_EQ(child.Run([two = 2] { return Pair{1, two}; }).two, 2);
  EXPECT_EQ(child.Run([] { return std::string(100'000, 'x'); }).size(),
            100'000U);
  static int value = 1;
  child.Run([] { value = 2; });
  EXPECT_EQ(value, 1);
  EXPECT_EQ(child.Run([] { return value; }), 2);
}

TEST_F(ProcessTest, TellsOfCallsAndEvidenceInTheirOrder) {
  Process child = outside_.Clone("child", 0);
  record_.lines.clear();
  child.Run([] { CALL(getppid); });
  CALL(kill, getpid(), 0);
  child.Run([] { TRY(kill, -1, 4711); });
  const Evidence evidence = child.Ask(kSelf, kParent);
  const std::string self = std::to_string(getpid());
  EXPECT_EQ(evidence[kParent], self);
  EXPECT_THAT(record_.lines,
              ElementsAre("child: getppid() = " + self,
                          "outside: kill(" + self + ", 0) = 0",
                          "child: kill(-1, 4711) = EINVAL",
                          "child: self " + std::to_string(child.pid()),
                          "child: parent " + self));
}

TEST_F(ProcessTest, PassesOnTheCallThatFailed) {
  Process child = outside_.Clone("child", 0);
  try {
    child.Run([] { CALL(open, "/nonexistent", O_RDONLY); });
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_EQ(error.call().text, "open(\"/nonexistent\", O_RDONLY)");
    EXPECT_THAT(error.call().place.file, HasSubstr("process_test.cc"));
  }
  EXPECT_THROW(child.Run([] { throw std::bad_alloc(); }), CallError);
  EXPECT_EQ(child.Run([] { return 1; }), 1);  // It lives on.
}

TEST_F(ProcessTest, PassesOnAnyOtherError) {
  Process child = outside_.Clone("child", 0);
  EXPECT_EQ(MessageOf([&] {
              child.Run([] { throw std::runtime_error("no luck"); });
            }),
            "child: no luck");
}

TEST_F(ProcessTest, NestsAsTheLessonDirects) {
  Process child = outside_.Clone("child", 0);
  Process grandchild = child.Clone("grandchild", 0);
  EXPECT_EQ(grandchild.Run([] { return getppid(); }), child.pid());
  EXPECT_EQ(grandchild.Run([] { return getpid(); }), grandchild.pid());
}

TEST_F(ProcessTest, HasItsPidAsTheLessonHasIt) {
  InChild([&] {
    EnterUserNamespaceAsRoot();
    Process outside = Process::Self("outside", nullptr);
    Process first = outside.Clone("first", CLONE_NEWPID);
    Process second = first.Clone("second", CLONE_NEWPID);
    EXPECT_EQ(first.Run([] { return getpid(); }), 1);
    EXPECT_EQ(second.Run([] { return getppid(); }), 0);
    EXPECT_EQ(
        ReadField("/proc/" + std::to_string(second.pid()) + "/status", "NSpid"),
        std::to_string(second.pid()) + " 2 1");
  });
}

TEST_F(ProcessTest, IsInTheNamespacesOfItsFlags) {
  const auto home = NamespacesOf(getpid());
  for (const Kind& kind : Kinds()) {
    if (!home.contains(kind.flag)) continue;
    InChild([&] {
      EnterUserNamespaceAsRoot();
      Process outside = Process::Self("outside", nullptr);
      Process child = outside.Clone("child", kind.flag);
      EXPECT_EQ(Difference(NamespacesOf(getpid()), NamespacesOf(child.pid())),
                kind.flag);
    });
  }
}

TEST_F(ProcessTest, SaysThatACloneWasRefused) {
  const auto clone = [&] {
    Process child = outside_.Clone("child", CLONE_NEWNS | CLONE_FS);
  };
  EXPECT_EQ(MessageOf(clone),
            "clone(CLONE_NEWNS | CLONE_FS | SIGCHLD): Invalid argument "
            "(EINVAL)");
}

TEST_F(ProcessTest, StandsInOnlyWhereEverythingIsNew) {
  Process child = outside_.Clone("child", 0);
  EXPECT_THAT(MessageOf([&] { child.MustDiffer(outside_, CLONE_NEWUTS); }),
              HasSubstr("child is in no uts namespace of its own"));
  InChild([] {
    EnterUserNamespaceAsRoot();
    Process outside = Process::Self("outside", nullptr);
    Process host = outside.StandIn("host", CLONE_NEWUTS | CLONE_NEWNS);
    EXPECT_EQ(host.Run([] {
      return ReadFile("/proc/self/mountinfo").find("shared:");
    }),
              std::string::npos);
  });
}

TEST_F(ProcessTest, EndsWithItsObject) {
  pid_t pid = -1;
  {
    Process child = outside_.Clone("child", 0);
    pid = child.pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ProcessTest, KeepsNoDescriptorButItsSocket) {
  Process elder = outside_.Clone("elder", 0);
  const Descriptor leaked(open("/dev/null", O_RDONLY));
  Process younger = outside_.Clone("younger", 0);
  const auto count = [] {
    std::size_t fds = 0;
    for (int fd = 3; fd < 1000; ++fd) fds += fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    return fds;
  };
  EXPECT_EQ(younger.Run(count), 1U);
}

TEST_F(ProcessTest, SaysWhatKilledIt) {
  Process child = outside_.Clone("child", 0);
  kill(child.pid(), SIGKILL);
  EXPECT_EQ(MessageOf([&] { child.Run([] {}); }),
            "child was killed by SIGKILL");
  Process other = outside_.Clone("other", 0);
  EXPECT_EQ(MessageOf([&] { other.Run([] { _exit(3); }); }),
            "other ended early: exit status 3");
  Process third = outside_.Clone("third", 0);
  EXPECT_EQ(MessageOf([&] { third.Run([] { raise(SIGKILL); }); }),
            "third was killed by SIGKILL");
}

TEST_F(ProcessTest, SaysWhatKilledTheChildOfAnother) {
  Process child = outside_.Clone("child", 0);
  Process inner = child.Clone("inner", 0);
  EXPECT_EQ(Process::DescribeEnded(), "");
  kill(inner.pid(), SIGKILL);
  EXPECT_EQ(MessageOf([&] { inner.Run([] {}); }),
            "inner was killed by SIGKILL");
  EXPECT_EQ(Process::DescribeEnded(), "inner was killed by SIGKILL");
}

TEST_F(ProcessTest, IsNamedWhenItDoesNotAnswer) {
  Process child = outside_.Clone("child", 0);
  EXPECT_EQ(MessageOf([&] {
              child.Run([] { pause(); }, std::chrono::milliseconds(1000));
            }),
            "child has given no answer for 1 s");
}

TEST_F(ProcessTest, DirectsNobodyElse) {
  Process child = outside_.Clone("child", 0);
  Process* outside = &outside_;
  EXPECT_THAT(MessageOf([&] { child.Run([=] { outside->Ask(kSelf); }); }),
              HasSubstr("a child may not direct other processes"));
}

TEST_F(ProcessTest, MayOutliveItsParent) {
  Process child = outside_.Clone("child", 0);
  Process orphan = child.Clone("orphan", 0);
  Process other = child.Clone("other", 0);
  orphan.Run(OutliveParent);
  kill(child.pid(), SIGKILL);
  waitpid(child.pid(), nullptr, 0);
  EXPECT_NE(orphan.Run([] { return getppid(); }), child.pid());
  EXPECT_THAT(MessageOf([&] { other.Run([] {}); }),
              HasSubstr("other was killed by SIGKILL"));
}

// In a PID namespace, where kill(-1, SIGKILL) would reach only the bystander.
TEST(Process, EndsNobodyWhereCloneFailedAndWaitidLies) {
  InChild(
      [] {
        ASSERT_EQ(getpid(), 1);
        const pid_t bystander = fork();
        if (bystander == 0) {
          pause();
          _exit(EXIT_SUCCESS);
        }
        FilterCalls({{SYS_clone, EPERM}, {SYS_waitid, 0}});
        EXPECT_THROW(Process::Quiet().Clone("none", 0), CallError);
        kill(bystander, SIGTERM);
        int status = 0;
        waitpid(bystander, &status, 0);
        EXPECT_EQ(DescribeStatus(status), "killed by SIGTERM");
      },
      CLONE_NEWUSER | CLONE_NEWPID);
}

TEST(RunTool, GivesWhatItPrints) {
  EXPECT_EQ(RunTool({"echo", "a", "b"}), "a b");
  EXPECT_EQ(RunTool({"sh", "-c", "echo x >&2; exit 1"}), "(sh failed)");
  EXPECT_EQ(RunTool({"no-such-tool"}), "(no-such-tool is not installed)");
  EXPECT_TRUE(IsMissing(RunTool({"no-such-tool"})));
  EXPECT_EQ(ToolSource("ls"), "ls(1)");
  EXPECT_EQ(ToolSource("no-such-tool"), "no no-such-tool(1)");
}

TEST(Agreed, ShowsWhereSourcesDiffer) {
  EXPECT_EQ(Agreed({"vm", "(x failed)", "vm"}), "vm");
  EXPECT_EQ(Agreed({"vm", "other"}), "vm / other");
}

TEST(ReadField, FindsALine) {
  EXPECT_EQ(ReadField("/proc/self/status", "Pid"), std::to_string(getpid()));
  EXPECT_THROW(ReadField("/proc/self/status", "Nothing"), std::out_of_range);
}

}  // namespace
}  // namespace steps
