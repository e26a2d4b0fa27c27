#include "common/lesson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "common/advice.h"
#include "common/call_error.h"
#include "common/child.h"

namespace steps {
namespace {

using testing::HasSubstr;

// Keeps the events for the test to look at.
class Recorder : public Renderer {
 public:
  void Render(const Event& event) override { events.push_back(event); }

  // The last event, which must be of this type.
  template <typename Type>
  const Type& Last() const {
    return std::get<Type>(events.back());
  }

  std::vector<Event> events;
};

class LessonTest : public testing::Test {
 protected:
  Recorder recorder_;
  Lesson lesson_{recorder_, Machine()};
};

TEST_F(LessonTest, NumbersItsSteps) {
  lesson_.Begin("One");
  EXPECT_EQ(recorder_.Last<Step>().number, 1);
  lesson_.Begin("Two");
  EXPECT_EQ(recorder_.Last<Step>().number, 2);
  EXPECT_EQ(recorder_.Last<Step>().title, "Two");
}

TEST_F(LessonTest, TellsOfACallInItsOwnWords) {
  EXPECT_EQ(lesson_.outside().Check(7, "open(\"{}\")", "/x"), 7);
  EXPECT_EQ(recorder_.Last<Call>().side, "outside");
  EXPECT_EQ(recorder_.Last<Call>().text, "open(\"/x\")");
  EXPECT_EQ(recorder_.Last<Call>().result, 7);
  EXPECT_EQ(recorder_.Last<Call>().error, 0);
}

TEST_F(LessonTest, ThrowsForACallThatFailedAndTellsOfItFirst) {
  const int result = close(-1);
  EXPECT_THROW(lesson_.outside().Check(result, "close({})", -1), CallError);
  EXPECT_EQ(recorder_.Last<Call>().result, -1);
  EXPECT_EQ(recorder_.Last<Call>().error, EBADF);
}

TEST_F(LessonTest, TriesACallThatMayBeRefused) {
  const int refused = close(-1);
  EXPECT_EQ(lesson_.outside().Try(refused, "close({})", -1), EBADF);
  EXPECT_EQ(recorder_.Last<Call>().error, EBADF);
  EXPECT_EQ(lesson_.outside().Try(0, "close({})", 5), 0);
}

TEST_F(LessonTest, HearsAChildUpToItsNextEvidence) {
  Child child([](Line& line) {
    Side inside("inside", line);
    inside.Check(0, "first()");
    inside.Show({{"hostname", "a", "uname(2)"}});
    inside.Show({{"hostname", "b", "uname(2)"}});
  });
  child.Fork();
  EXPECT_EQ(lesson_.outside().Hear(child).Value("hostname"), "a");
  ASSERT_EQ(recorder_.events.size(), 2U);
  EXPECT_EQ(std::get<Call>(recorder_.events[0]).text, "first()");
  EXPECT_EQ(std::get<Shown>(recorder_.events[1]).side, "inside");
  EXPECT_EQ(lesson_.outside().Hear(child).Value("hostname"), "b");
  child.Finish();
}

TEST_F(LessonTest, HearsAGrandchildThroughItsChild) {
  Child child([](Line& line) {
    Child grandchild([](Line& to_parent) {
      Side("grandchild", to_parent).Show({{"uid", "1", "geteuid(2)"}});
    });
    grandchild.Fork();
    Side("child", line).Hear(grandchild);
    grandchild.Finish();
  });
  child.Fork();
  EXPECT_EQ(lesson_.outside().Hear(child).Value("uid"), "1");
  EXPECT_EQ(recorder_.Last<Shown>().side, "grandchild");
  child.Finish();
}

TEST_F(LessonTest, ThrowsWhenAChildShowsNothing) {
  Child silent([](Line&) {});
  silent.Fork();
  EXPECT_THROW(lesson_.outside().Hear(silent), ChildError);
  Child failing([](Line& line) {
    Side("inside", line).Check(close(-1), "close({})", -1);
  });
  failing.Fork();
  EXPECT_THROW(lesson_.outside().Hear(failing), CallError);
  EXPECT_EQ(recorder_.Last<Call>().error, EBADF) << "told before it was thrown";
}

TEST_F(LessonTest, ComparesEachProbeOnce) {
  const Evidence before = {{"hostname", "vm", "uname(2)"},
                           {"hostname", "vm", "$ hostname"},
                           {"clock", "1", "time(2)"},
                           {"load", "1", "/proc/loadavg"}};
  const Evidence inside = {{"hostname", "new", "uname(2)"},
                           {"hostname", "old", "$ hostname"},
                           {"clock", "1", "time(2)"},
                           {"load", "1", "/proc/loadavg"}};
  const Evidence after = {{"hostname", "vm", "uname(2)"},
                          {"clock", "1", "time(2)"},
                          {"load", "2", "/proc/loadavg"}};
  lesson_.Compare(before, inside, after);
  const auto& rows = recorder_.Last<Comparison>().rows;
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].probe, "hostname");
  EXPECT_EQ(rows[0].before, "vm");
  EXPECT_EQ(rows[0].inside, "sources differ");
  EXPECT_EQ(rows[0].verdict, "isolated");
  EXPECT_EQ(rows[1].verdict, "shared");
  EXPECT_EQ(rows[2].verdict, "changed");
}

TEST_F(LessonTest, HoldsWhenEveryClaimHolds) {
  lesson_.Claim("Yes.", true);
  EXPECT_EQ(recorder_.Last<Claim>().holds, true);
  EXPECT_EQ(lesson_.verdict().outcome, "holds");
  EXPECT_EQ(lesson_.verdict().exit_status, 0);
  EXPECT_EQ(lesson_.verdict().held, 1);
}

TEST_F(LessonTest, IsContradictedByOneClaim) {
  lesson_.Claim("No.", false);
  lesson_.Claim("Yes.", true);
  EXPECT_EQ(lesson_.verdict().outcome, "contradicted");
  EXPECT_EQ(lesson_.verdict().exit_status, 1);
  EXPECT_EQ(lesson_.verdict().held, 1);
  EXPECT_EQ(lesson_.verdict().contradicted, 1);
}

TEST_F(LessonTest, SkipsAClaimThatTheMachineDoesNotAllow) {
  const Outcome outcome = lesson_.Attempt(
      []() -> bool { throw CallError(EPERM, "unshare(CLONE_NEWUSER)"); });
  lesson_.Claim("Who knows.", outcome);
  EXPECT_EQ(recorder_.Last<Claim>().holds, std::nullopt);
  EXPECT_THAT(recorder_.Last<Claim>().reason,
              HasSubstr("unshare(CLONE_NEWUSER): Operation not permitted"));
  EXPECT_EQ(lesson_.verdict().skipped, 1);
  EXPECT_EQ(lesson_.verdict().outcome, "holds");
}

TEST_F(LessonTest, DoesNotSkipWhatIsItsOwnFault) {
  EXPECT_THROW(
      lesson_.Attempt([]() -> bool { throw CallError(EBADF, "close(-1)"); }),
      CallError);
  EXPECT_EQ(lesson_.Attempt([] { return true; }).holds, true);
  EXPECT_EQ(lesson_.Attempt([] { return false; }).holds, false);
}

}  // namespace
}  // namespace steps
