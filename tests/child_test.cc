#include "common/child.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/call_error.h"
#include "common/namespaces.h"

namespace steps {
namespace {

using testing::HasSubstr;

// What() of the ChildError that `act` throws; empty when it throws none.
template <typename Act>
std::string ChildErrorOf(Act act) {
  try {
    act();
  } catch (const ChildError& error) {
    return error.what();
  }
  return "";
}

TEST(Child, IsWaitedForWhateverSignalItsEndSends) {
  for (const int signal : {0, SIGUSR1, SIGCHLD}) {
    Child child([](Line&) { _exit(3); });
    const auto previous = std::signal(SIGUSR1, SIG_IGN);
    Check(child.Started(clone(Child::Main, child.stack_top(), signal, &child)),
          "clone()");
    EXPECT_EQ(DescribeStatus(child.Wait()), "exit status 3");
    std::signal(SIGUSR1, previous);
  }
}

TEST(Child, SendsMessagesInOrder) {
  Child child([](Line& line) {
    line.Send("one");
    line.Send("");
    line.Send(std::string("t\0o", 3));
  });
  child.Fork();
  EXPECT_EQ(child.Receive(), "one");
  EXPECT_EQ(child.Receive(), "");
  EXPECT_EQ(child.Receive(), std::string("t\0o", 3));
  EXPECT_EQ(child.Receive(), std::nullopt);
  child.Finish();
}

TEST(Child, SendsAMessageLargerThanAnyPipe) {
  const std::string large(8 << 20, 'x');
  Child child([&](Line& line) { line.Send(large); });
  child.Fork();
  EXPECT_EQ(child.Receive(), large);
  child.Finish();
}

TEST(Child, WaitsAtItsCheckpoint) {
  Child child([](Line& line) {
    line.Send("before");
    line.Checkpoint();
    line.Send("after");
  });
  child.Fork();
  EXPECT_EQ(child.Receive(), "before");
  siginfo_t info = {};
  waitid(P_PID, child.pid(), &info, WEXITED | WNOHANG | WNOWAIT);
  EXPECT_EQ(info.si_pid, 0) << "the child did not wait";
  child.Release();
  EXPECT_EQ(child.Receive(), "after");
  child.Finish();
}

TEST(Child, StartsWithTheFlagsThatTheCallerGivesToClone) {
  Child child([](Line& line) { line.Checkpoint(); });
  const int flags = CLONE_NEWUSER | CLONE_NEWNET;
  Check(child.Started(
            clone(Child::Main, child.stack_top(), flags | SIGCHLD, &child)),
        "clone()");
  EXPECT_EQ(Difference(NamespacesOf(child.pid()), NamespacesOf(getpid())),
            flags);
  child.Finish();
}

TEST(Child, GoesOnWhereForkReturns) {
  testing::internal::CaptureStderr();
  Child child([](Line& line) {
    line.Send("hello");
    throw std::out_of_range("no such probe");
  });
  const pid_t pid = fork();
  if (pid == 0) Child::Main(&child);
  Check(child.Started(pid), "fork()");
  EXPECT_EQ(child.Receive(), "hello");
  EXPECT_THAT(ChildErrorOf([&] { child.Finish(); }),
              HasSubstr("no such probe (exit status 1)"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "")
      << "AddressSanitizer has lost its way on the stack";
}

TEST(Child, IsNotStartedWhenCloneIsRefused) {
  Child child([](Line&) {});
  const pid_t pid = clone(Child::Main, child.stack_top(),
                          CLONE_NEWUSER | CLONE_FS | SIGCHLD, &child);
  EXPECT_THROW(Check(child.Started(pid), "clone()"), CallError);
  EXPECT_EQ(child.pid(), -1);
}

TEST(Child, ThrowsInItsParentTheCallThatFailed) {
  Child child([](Line&) { Check(close(-1), "close({})", -1); });
  child.Fork();
  try {
    child.Receive();
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.call(), "close(-1)");
    EXPECT_EQ(error.error(), EBADF);
  }
}

TEST(Child, ThrowsInItsParentWhatAnyOtherExceptionSays) {
  Child child([](Line&) { throw std::out_of_range("no such probe"); });
  child.Fork();
  EXPECT_THAT(ChildErrorOf([&] { child.Finish(); }),
              HasSubstr("no such probe (exit status 1)"));
}

TEST(Child, ThrowsInFinishWhatItSentBeforeNobodyAsked) {
  Child child([](Line& line) { line.Send("lost"); });
  child.Fork();
  EXPECT_THAT(ChildErrorOf([&] { child.Finish(); }),
              HasSubstr("a message that nobody received"));
}

TEST(Child, ReportsAnExitStatus) {
  Child child([](Line&) { _exit(3); });
  child.Fork();
  EXPECT_EQ(ChildErrorOf([&] { child.Finish(); }),
            fmt::format("child {}: exit status 3", child.pid()));
}

TEST(Child, ReportsTheSignalThatKilledIt) {
  Child child([](Line&) { raise(SIGKILL); });
  child.Fork();
  EXPECT_EQ(ChildErrorOf([&] { child.Finish(); }),
            fmt::format("child {}: killed by SIGKILL", child.pid()));
}

TEST(Child, ReportsAMessageThatWasCutOff) {
  Child child([](Line& line) {
    // A message that announces more bytes than ever come: its sender is killed
    // while the line is full.
    alarm(1);
    line.Send(std::string(8 << 20, 'x'));
  });
  child.Fork();
  // Not received until the alarm has cut it off.
  siginfo_t info = {};
  waitid(P_PID, child.pid(), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(
      ChildErrorOf([&] { child.Receive(); }),
      fmt::format("child {}: killed by SIGALRM in the middle of a message",
                  child.pid()));
}

TEST(Child, ReportsACheckpointThatIsNeverReached) {
  Child child([](Line&) { _exit(4); });
  child.Fork();
  child.Release();
  EXPECT_EQ(child.Receive(), std::nullopt);
  EXPECT_EQ(ChildErrorOf([&] { child.Finish(); }),
            fmt::format("child {}: exit status 4", child.pid()));
}

TEST(Child, PassesOneCheckpointWithEachRelease) {
  Child child([](Line& line) {
    for (const char* message : {"one", "two"}) {
      line.Checkpoint();
      line.Send(message);
    }
    line.Checkpoint();
  });
  child.Fork();
  child.Release();
  child.Release();
  EXPECT_EQ(child.Receive(), "one");
  EXPECT_EQ(child.Receive(), "two");
  child.Finish();
}

TEST(Child, IsKilledAndReapedWithItsObject) {
  pid_t pid = -1;
  {
    Child child([](Line& line) { line.Checkpoint(); });
    child.Fork();
    pid = child.pid();
  }
  EXPECT_EQ(waitpid(pid, nullptr, 0), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Child, KeepsRunningWhenItsObjectMoves) {
  Child child([](Line& line) {
    line.Checkpoint();
    line.Send("still here");
  });
  child.Fork();
  Child moved = std::move(child);
  // Two must not wait for one process.
  EXPECT_EQ(child.pid(), -1);  // NOLINT(bugprone-use-after-move)
  moved.Release();
  EXPECT_EQ(moved.Receive(), "still here");
  moved.Finish();
}

TEST(Child, SaysWhatAnUnattendedChildEndedWith) {
  testing::internal::CaptureStderr();
  {
    Child child([](Line&) { _exit(5); });
    child.Fork();
    siginfo_t info = {};
    waitid(P_PID, child.pid(), &info, WEXITED | WNOWAIT);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("exit status 5"));
}

// A tree of three: this process, a parent, and its child that waits for ever.
// The parent is killed; that its child has ended shows, because what is left of
// it comes to this process.
void ExpectDeathWithParent(int flags) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl()");
  Child parent([&](Line& line) {
    Child child([](Line& to_parent) {
      to_parent.Send("ready");
      while (true) pause();
    });
    Check(child.Started(
              clone(Child::Main, child.stack_top(), flags | SIGCHLD, &child)),
          "clone()");
    child.Receive();
    line.Send(std::to_string(child.pid()));
    line.Checkpoint();
  });
  parent.Fork();
  const pid_t orphan = std::stoi(parent.Receive().value());
  Check(kill(parent.pid(), SIGKILL), "kill()");
  EXPECT_EQ(DescribeStatus(parent.Wait()), "killed by SIGKILL");
  int status = 0;
  alarm(10);  // Ends the test with a failure where the orphan lives on.
  EXPECT_EQ(waitpid(orphan, &status, 0), orphan);
  alarm(0);
  EXPECT_EQ(DescribeStatus(status), "killed by SIGKILL");
}

TEST(Child, DiesWithItsParent) { ExpectDeathWithParent(0); }

TEST(Child, DiesWithItsParentInOtherNamespaces) {
  ExpectDeathWithParent(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS);
}

// A test that does not end here has failed: the second child would hold the
// line of the first, and there would be one more message to wait for.
TEST(Child, EndsItsLineThoughASiblingThatItClonedLivesOn) {
  Child second([](Line& line) { line.Checkpoint(); });
  Child first([&](Line& line) {
    const int flags = CLONE_PARENT | SIGCHLD;
    const pid_t pid = clone(Child::Main, second.stack_top(), flags, &second);
    Check(second.Started(pid), "clone(CLONE_PARENT | SIGCHLD)");
    line.Send(fmt::to_string(pid));
  });
  first.Fork();
  second.Started(std::stoi(first.Receive().value()));
  first.Finish();
  second.Finish();
}

TEST(Child, SeesThatItsParentIsGone) {
  Child parent([](Line& line) {
    Child child([&line](Line& to_parent) {
      // Out of reach of the signal, it must see it at its checkpoint.
      prctl(PR_SET_PDEATHSIG, 0);
      to_parent.Send("ready");
      line.Send(to_parent.Checkpoint() ? "released" : "alone");
    });
    child.Fork();
    child.Receive();
    raise(SIGKILL);
  });
  parent.Fork();
  EXPECT_EQ(parent.Receive(), "alone");
  EXPECT_EQ(DescribeStatus(parent.Wait()), "killed by SIGKILL");
}

TEST(ProcessesIn, AreThoseThatProcShows) {
  EXPECT_THAT(ProcessesIn("/proc"), testing::Contains(getpid()));
  EXPECT_THAT(ProcessesIn("/proc/self"), testing::IsEmpty());
  EXPECT_THROW(ProcessesIn("/nonexistent"), std::exception);
}

TEST(ChildrenOf, AreThoseThatLiveAndThoseToReap) {
  Child child([](Line& line) { line.Checkpoint(); });
  child.Fork();
  EXPECT_THAT(ChildrenOf(getpid()), testing::Contains(child.pid()));
  child.Finish();
  EXPECT_THAT(ChildrenOf(getpid()),
              testing::Not(testing::Contains(child.pid())));
}

TEST(ExitStatus, IsTheProgramsOwnOrTellsOfTheSignal) {
  EXPECT_EQ(ExitStatus(W_EXITCODE(0, 0)), 0);
  EXPECT_EQ(ExitStatus(W_EXITCODE(3, 0)), 3);
  EXPECT_EQ(ExitStatus(W_EXITCODE(0, SIGTERM)), 128 + SIGTERM);
}

TEST(DescribeStatus, IsInWords) {
  EXPECT_EQ(DescribeStatus(0), "exit status 0");
  EXPECT_EQ(DescribeStatus(W_EXITCODE(77, 0)), "exit status 77");
  EXPECT_EQ(DescribeStatus(W_EXITCODE(0, SIGTERM)), "killed by SIGTERM");
  EXPECT_EQ(DescribeStatus(W_EXITCODE(0, SIGRTMIN)),
            fmt::format("killed by signal {}", SIGRTMIN));
}

}  // namespace
}  // namespace steps
