#include "common/kernel/process.h"

#include <iterator>
#include <new>

#include "tests/support/test.h"

namespace steps {
namespace {

class ProcessTest : public testing::Test {
 protected:
  Process outside_ = Process::Quiet();
  Process child_ = outside_.Clone("child", 0);
};

TEST_F(ProcessTest, RunsFunctionsElsewhereAndGivesTheirResults) {
  EXPECT_EQ(child_.Run([] { return std::string(100'000, 'x'); }).size(),
            100'000U);
  Process grandchild = child_.Clone("grandchild", 0);
  EXPECT_EQ(grandchild.Run([] { return getppid(); }), child_.pid());
}

TEST_F(ProcessTest, PassesOnTheCallThatFailedAndLivesOn) {
  EXPECT_THAT(
      [&] { child_.Run([] { CALL(open, "/nonexistent", O_RDONLY); }); },
      Throws<CallError>(AllOf(
          Property(&CallError::error, ENOENT),
          Property(&CallError::call,
                   AllOf(Field(&Call::text, "open(\"/nonexistent\", O_RDONLY)"),
                         Field(&Call::place,
                               Field(&Place::file,
                                     HasSubstr("process_test.cc"))))))));
  EXPECT_THROW(child_.Run([] { throw std::bad_alloc(); }), CallError);
  EXPECT_EQ(child_.Run([] { return 1; }), 1);
}

TEST_F(ProcessTest, SaysHowAFunctionEndedWithoutAResult) {
  static Process* const outside = &outside_;
  struct Case {
    const char* message;
    void (*function)();
    int patience = Process::kPatience;
  };
  for (const Case& each : std::vector<Case>{
           {"child: no luck", [] { throw std::runtime_error("no luck"); }},
           {"child: a child may not direct other processes",
            [] { outside->Run([] {}); }},
           {"child has given no answer for 1 s", [] { pause(); }, 1000},
           {"child ended early: exit status 3", [] { _exit(3); }},
           {"child was killed by SIGKILL", [] { raise(SIGKILL); }}}) {
    Process child = outside_.Clone("child", 0);
    EXPECT_THAT(
        [&] { child.Run([run = each.function] { run(); }, each.patience); },
        ThrowsMessage<std::exception>(HasSubstr(each.message)));
  }
  // So it says of the child of another process, which is a zombie there.
  Process grandchild = child_.Clone("grandchild", 0);
  kill(grandchild.pid(), SIGKILL);
  EXPECT_THAT(
      [&] { grandchild.Run([] {}); },
      ThrowsMessage<std::runtime_error>("grandchild was killed by SIGKILL"));
  kill(child_.pid(), SIGKILL);
  EXPECT_THAT([&] { child_.Run([] {}); },
              ThrowsMessage<std::runtime_error>("child was killed by SIGKILL"));
}

TEST_F(ProcessTest, StandsInOnlyWhereEverythingIsNew) {
  EXPECT_THAT([&] { child_.MustDiffer(outside_, CLONE_NEWUTS); },
              ThrowsMessage<std::exception>(
                  HasSubstr("child is in no uts namespace of its own")));
  InChild([] {
    EnterUserNamespaceAsRoot();
    MUST(unshare, CLONE_NEWNS);
    MUST(mount, "none", "/", nullptr, MS_REC | MS_SHARED, nullptr);
    Process outside = Process::Quiet();
    Process host = outside.StandIn("host", CLONE_NEWUTS | CLONE_NEWNS);
    EXPECT_THAT(host.Run([] { return ReadFile("/proc/self/mountinfo"); }),
                Not(HasSubstr("shared:")));
  });
}

TEST_F(ProcessTest, EndsWithItsObjectAndKeepsNoDescriptorButItsSocket) {
  pid_t pid = -1;
  {
    const Descriptor leaked(open("/dev/null", O_RDONLY));
    Process younger = outside_.Clone("younger", 0);
    pid = younger.pid();
    EXPECT_EQ(kill(pid, 0), 0);
    const auto count = [] {
      return std::distance(fs::directory_iterator("/proc/self/fd"), {});
    };
    EXPECT_EQ(younger.Run(count), 5) << "three streams, its socket, and this";
    EXPECT_THROW(younger.Run([] { pause(); }, 1), std::runtime_error);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ProcessTest, MayOutliveItsParent) {
  Process orphan = child_.Clone("orphan", 0);
  Process other = child_.Clone("other", 0);
  orphan.Run(OutliveParent);
  kill(child_.pid(), SIGKILL);
  waitpid(child_.pid(), nullptr, 0);
  EXPECT_NE(orphan.Run([] { return getppid(); }), child_.pid());
  // How it ended cannot be told once init has reaped it.
  EXPECT_THAT([&] { other.Run([] {}); },
              ThrowsMessage<std::runtime_error>(
                  AnyOf("other was killed by SIGKILL", "other ended early")));
}

// In a PID namespace, where kill(-1, SIGKILL) would reach only the bystander.
TEST(Process, EndsNobodyWhereCloneFailedAndWaitidLies) {
  InChild(
      [] {
        ASSERT_EQ(getpid(), 1);
        const pid_t bystander = fork();
        if (bystander == 0) pause();
        FilterCalls({{SYS_clone, EPERM}, {SYS_waitid, 0}});
        EXPECT_THROW(Process::Quiet().Clone("none", 0), CallError);
        kill(bystander, SIGTERM);
        int status = 0;
        waitpid(bystander, &status, 0);
        EXPECT_EQ(DescribeStatus(status), "killed by SIGTERM");
      },
      CLONE_NEWUSER | CLONE_NEWPID);
}

TEST(Process, HasAPidOrIsRefused) {
  InChild([] {
    FilterCalls({{SYS_setsockopt, 0}});
    EXPECT_THROW(Process::Quiet().Clone("child", 0), std::runtime_error);
  });
}

TEST(Agreed, ShowsWhereSourcesDiffer) {
  EXPECT_EQ(Agreed({"vm", "(x failed)", "vm"}), "vm");
  EXPECT_EQ(Agreed({"vm", "other"}), "vm / other");
}

TEST(ReadField, FailsWhereThereIsNoSuchField) {
  EXPECT_THROW(ReadField("/proc/self/status", "Nothing"), std::out_of_range);
}

}  // namespace
}  // namespace steps
