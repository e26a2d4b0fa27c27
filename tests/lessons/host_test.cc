// The host is as it was: after a lesson that ended by itself, after Ctrl-C, and
// after SIGKILL at random moments.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/process.h"
#include "tests/support/host_state.h"
#include "tests/support/lesson_folder.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using std::chrono::nanoseconds;
using testing::AnyOf;
using testing::IsEmpty;

// How often each lesson is struck: `make soak` asks for more.
int Times() {
  const char* times = getenv("STRIKES");
  return times == nullptr ? 10 : std::stoi(times);
}

// What runs the lessons, each of which is struck by itself, more often.
const std::set<std::string> kVisitors = {"doctor", "tour"};

std::vector<LessonAndUser> LessonsVisitorsAndUsers() {
  std::vector<LessonAndUser> all = LessonsAndUsers();
  for (const std::string& visitor : kVisitors) {
    all.emplace_back(visitor, false);
    all.emplace_back(visitor, true);
  }
  return all;
}

class HostTest : public testing::TestWithParam<LessonAndUser> {
 protected:
  void SetUp() override {
    if (!command_.as_nobody && !IsRoot()) {
      GTEST_SKIP() << "only root can be root";
    }
    RecordProperty("seed", std::to_string(seed_));
  }

  // After everything that the lesson started has ended.
  void ExpectUnchanged() {
    ASSERT_THAT(Survivors(), IsEmpty()) << "seed " << seed_;
    ASSERT_EQ(Difference(before_, LookAtHost()), "") << "seed " << seed_;
  }

  // How long the lesson takes here and now.
  nanoseconds Duration() {
    const auto start = std::chrono::steady_clock::now();
    const Result result = RunCommand(command_);
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    return std::chrono::steady_clock::now() - start;
  }

  // Lets a random part of `longest` go by: the moment at which to strike.
  void Wait(nanoseconds longest) {
    const nanoseconds::rep random =
        std::uniform_int_distribution<nanoseconds::rep>(
            0, longest.count())(random_);
    const timespec time = {.tv_sec = random / 1'000'000'000,
                           .tv_nsec = random % 1'000'000'000};
    ppoll(nullptr, 0, &time, nullptr);
  }

  // The lesson or one of its children, whatever is there now.
  pid_t Victim() {
    const std::vector<pid_t> all = Descendants();
    if (all.empty()) return -1;
    return all[std::uniform_int_distribution<std::size_t>(
        0, all.size() - 1)(random_)];
  }

  const LessonFolder folder_;
  Command command_ = {.program = folder_.Program(GetParam().first),
                      .as_nobody = GetParam().second};
  const int times_ =
      kVisitors.contains(GetParam().first) ? std::min(Times(), 10) : Times();
  const HostState before_ = LookAtHost();
  const unsigned seed_ = std::random_device()();
  std::mt19937 random_{seed_};
};

INSTANTIATE_TEST_SUITE_P(After, HostTest,
                         testing::ValuesIn(LessonsVisitorsAndUsers()),
                         LessonName);

// Only a lesson has one.
class ShellHostTest : public HostTest {};

INSTANTIATE_TEST_SUITE_P(After, ShellHostTest,
                         testing::ValuesIn(LessonsAndUsers()), LessonName);

TEST_P(HostTest, IsUnchangedAfterANormalEnd) {
  Duration();
  ExpectUnchanged();
}

TEST_P(HostTest, IsUnchangedAfterCtrlC) {
  const nanoseconds duration = Duration();
  for (int i = 0; i < times_ && !HasFailure(); ++i) {
    Terminal terminal(command_);
    Wait(duration);
    terminal.Type("\x03");
    // The first: it came before main(). The last: it came too late.
    EXPECT_THAT(DescribeStatus(terminal.Await()),
                AnyOf("killed by SIGINT", "exit status 130", "exit status 0"));
    ExpectUnchanged();
  }
}

TEST_P(HostTest, IsUnchangedAfterSigkill) {
  const nanoseconds duration = Duration();
  for (int i = 0; i < times_ && !HasFailure(); ++i) {
    Program lesson(command_);
    Wait(duration);
    const pid_t victim = Victim();
    if (victim > 0) kill(victim, SIGKILL);
    // The second: it was a child. The last: it was late.
    EXPECT_THAT(DescribeStatus(lesson.Await().status),
                AnyOf("killed by SIGKILL", "exit status 1", "exit status 0"));
    ExpectUnchanged();
  }
}

TEST_P(ShellHostTest, IsUnchangedAfterSigkill) {
  const nanoseconds duration = Duration();
  command_.arguments = {"--shell"};
  for (int i = 0; i < times_ && !HasFailure(); ++i) {
    Terminal terminal(command_);
    terminal.Type("sleep 1000 & setsid sleep 1000 &\n");
    Wait(2 * duration);
    const pid_t victim = Victim();
    if (victim > 0) kill(victim, SIGKILL);
    // Where that was one of the jobs, the shell lives on.
    terminal.Type("exit\n");
    EXPECT_THAT(DescribeStatus(terminal.Await()),
                AnyOf("killed by SIGKILL", "exit status 1", "exit status 0"));
    ExpectUnchanged();
  }
}

}  // namespace
}  // namespace steps
