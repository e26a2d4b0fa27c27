// The host is as it was: after a normal end, Ctrl-C and SIGKILL at any moment.

#include <chrono>

#include "tests/support/host_state.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

using std::chrono::nanoseconds;

// How often each lesson is struck: `make soak` asks for more.
int Times() {
  const char* times = getenv("STRIKES");
  return times == nullptr ? 10 : std::stoi(times);
}

// What runs the lessons, each of which is struck by itself, more often.
const std::set<std::string> kVisitors = {"doctor", "tour"};

class HostTest : public LessonFolderTest {
 protected:
  // After everything that the lesson started has ended.
  void ExpectUnchanged() {
    ASSERT_THAT(Survivors(), IsEmpty()) << "seed " << striker_.seed();
    ASSERT_EQ(Difference(before_, LookAtHost()), "")
        << "seed " << striker_.seed();
  }

  // After a normal end; and after strikes, each at another moment of a run, as
  // long as it takes here and now.
  void ExpectUnchangedAfter(const std::function<void(nanoseconds)>& strike) {
    const auto start = std::chrono::steady_clock::now();
    Run();
    const nanoseconds duration = std::chrono::steady_clock::now() - start;
    ExpectUnchanged();
    for (int i = 0; i < times_ && !HasFailure(); ++i) {
      strike(duration);
      ExpectUnchanged();
    }
  }

  const int times_ =
      kVisitors.contains(lesson()) ? std::min(Times(), 10) : Times();
  const std::string before_ = LookAtHost();
  Striker striker_;
};

// Only a lesson has a shell.
class ShellHostTest : public HostTest {};

INSTANTIATE_TEST_SUITE_P(After, HostTest, ValuesIn(ForBothUsers(LessonNames())),
                         LessonName);
INSTANTIATE_TEST_SUITE_P(AfterRunning, HostTest,
                         ValuesIn(ForBothUsers(kVisitors)), LessonName);
INSTANTIATE_TEST_SUITE_P(After, ShellHostTest,
                         ValuesIn(ForBothUsers(LessonNames())), LessonName);

TEST_P(HostTest, IsUnchangedAfterCtrlC) {
  ExpectUnchangedAfter([this](nanoseconds duration) {
    Terminal terminal(Lesson());
    striker_.Wait(duration);
    terminal.Type("\x03");
    // The first: it came before main(). The last: it came too late.
    EXPECT_THAT(terminal.Await(),
                AnyOf("killed by SIGINT", "exit status 130", "exit status 0"));
  });
}

// The second status: it was a child. The last: it was late.
const auto kStruck =
    AnyOf("killed by SIGKILL", "exit status 1", "exit status 0");

TEST_P(HostTest, IsUnchangedAfterSigkill) {
  ExpectUnchangedAfter([this](nanoseconds duration) {
    Program program(Lesson());
    striker_.Wait(duration);
    striker_.Strike();
    EXPECT_THAT(DescribeStatus(program.Await().status), kStruck);
  });
}

TEST_P(ShellHostTest, IsUnchangedAfterSigkill) {
  ExpectUnchangedAfter([this](nanoseconds duration) {
    Terminal terminal(Lesson({"--shell"}));
    terminal.Type("sleep 1000 & setsid sleep 1000 &\n");
    striker_.Wait(2 * duration);
    striker_.Strike();
    // Where that was one of the jobs, the shell lives on.
    terminal.Type("exit\n");
    EXPECT_THAT(terminal.Await(), kStruck);
  });
}

}  // namespace
}  // namespace steps
