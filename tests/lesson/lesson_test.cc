#include "common/lesson/lesson.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/lesson/advice.h"
#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/lesson/event.h"
#include "common/kernel/namespaces.h"
#include "common/show/source.h"

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

TEST_F(LessonTest, TellsWhereACallWasChecked) {
  const int line = __LINE__ + 1;
  lesson_.outside().Check(0, "first()");
  EXPECT_EQ(recorder_.Last<Call>().place.line, line);
  EXPECT_EQ(recorder_.Last<Call>().place.file, __FILE__);
  lesson_.outside().Try(0, "second({})", 2);
  EXPECT_EQ(recorder_.Last<Call>().place.line, line + 3);
  lesson_.outside().Show({});
  EXPECT_EQ(recorder_.Last<Shown>().place.line, line + 5);
}

// Stands for this file: each line says its number.
std::string NumberedLines() {
  std::string lines;
  for (int line = 1; line < 1000; ++line) lines += fmt::format("{};\n", line);
  return lines;
}
const EmbeddedSource source(__FILE__, NumberedLines());

TEST(LessonWithCode, ShowsWhatIsAboutToRunAndWhatLedToACall) {
  Recorder recorder;
  Lesson lesson(recorder, Machine(), true);
  const int line = __LINE__ + 1;
  lesson.outside().Check(0, "first()");
  ASSERT_EQ(recorder.events.size(), 2U);
  const auto& lead = std::get<Code>(recorder.events[0]);
  EXPECT_EQ(lead.file, __FILE__);
  EXPECT_EQ(lead.lines.rbegin()->second, fmt::format("{};", line));
  EXPECT_EQ(std::get<Call>(recorder.events[1]).text, "first()");

  const int begin = __LINE__ + 1;
  lesson.Begin("One");
  const Code& code = recorder.Last<Step>().code;
  EXPECT_EQ(code.file, __FILE__);
  EXPECT_EQ(code.lines.begin()->second, fmt::format("{};", begin + 1));
}

TEST_F(LessonTest, ShowsNoCodeUnlessItIsAskedFor) {
  lesson_.Begin("One");
  EXPECT_TRUE(recorder_.Last<Step>().code.lines.empty());
  lesson_.outside().Show({});
  EXPECT_EQ(recorder_.events.size(), 2U);
}

TEST_F(LessonTest, AnswersItsQuestionByWhatWasFound) {
  EXPECT_THROW(lesson_.Answer("that", "It is so."), std::logic_error);
  lesson_.Predict("What?", {"this", "that"});
  EXPECT_EQ(recorder_.Last<Question>().text, "What?");
  lesson_.Answer("that", "It is so.");
  EXPECT_EQ(recorder_.Last<Answer>().number, 2);
  EXPECT_EQ(recorder_.Last<Answer>().found, "that");
  EXPECT_EQ(recorder_.Last<Answer>().reason, "It is so.");
  EXPECT_EQ(recorder_.Last<Answer>().picked, std::nullopt);
  lesson_.Answer("neither", "It is odd.");
  EXPECT_EQ(recorder_.Last<Answer>().number, std::nullopt);
}

TEST_F(LessonTest, KnowsWhoIsInsideNow) {
  EXPECT_EQ(lesson_.inside(), std::nullopt);
  const auto body = [](const std::string& side) {
    return [side](Line& line) {
      Side(side, line).Show({});
      line.Checkpoint();
    };
  };
  Child other(body("other"));
  other.Fork();
  lesson_.outside().Hear(other);
  EXPECT_EQ(lesson_.inside(), std::nullopt);
  Child child(body("inside"));
  child.Fork();
  lesson_.outside().Hear(child);
  EXPECT_EQ(lesson_.inside(), child.pid());
  child.Finish();
  EXPECT_EQ(lesson_.inside(), std::nullopt) << "it has ended";
  lesson_.Keep(std::move(other));
  EXPECT_EQ(lesson_.inside(), lesson_.kept()->pid());
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

// The value of the fact `name`, or nothing.
std::string FactOf(const Drawing::Process& process, const std::string& name) {
  const auto found = std::ranges::find(process.facts, name, &Fact::name);
  return found == process.facts.end() ? "" : found->value;
}

class DrawTest : public LessonTest {
 protected:
  DrawTest() {
    Check(
        child_.Started(clone(Child::Main, child_.stack_top(),
                             CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD, &child_)),
        "clone()");
    there_ = NamespacesOf(child_.pid());
    lesson_.outside().Hear(child_);
  }

  // The two drawings of a lesson that keeps the child.
  void Draw() {
    pid_ = child_.pid();
    lesson_.Keep(std::move(child_));
    recorder_.events.clear();
    lesson_.Draw(here_);
    ASSERT_EQ(recorder_.events.size(), 2U);
    before_ = std::get<Drawing>(recorder_.events[0]);
    after_ = std::get<Drawing>(recorder_.events[1]);
    ASSERT_EQ(before_.processes.size(), 1U);
    ASSERT_EQ(after_.processes.size(), 2U);
  }

  static std::string Link(const std::map<int, NamespaceId>& namespaces) {
    return fmt::format("uts:[{}]", namespaces.at(CLONE_NEWUTS).inode);
  }

  // Compares the hostnames "a" and "b" of these namespaces.
  void Compare(const std::string& outside, const std::string& inside) {
    const Evidence without = {{"hostname", "a", ""}, {"uts", outside, ""}};
    lesson_.Compare(without, {{"hostname", "b", ""}, {"uts", inside, ""}},
                    without);
  }

  Child child_{[](Line& line) {
    Side("inside", line).Show({});
    line.Checkpoint();
  }};
  pid_t pid_ = -1;
  std::map<int, NamespaceId> here_ = NamespacesOf(getpid());
  std::map<int, NamespaceId> there_;
  Drawing before_;
  Drawing after_;
};

TEST_F(DrawTest, DrawsTheOutsideBeforeAndTheInsideBesideItAfter) {
  here_[CLONE_NEWUSER] = {4, 1};  // Where it was at first.
  Draw();
  EXPECT_EQ(before_.title, "before");
  EXPECT_EQ(before_.processes[0].name, "outside");
  EXPECT_EQ(before_.processes[0].namespaces, here_);
  EXPECT_EQ(after_.title, "after");
  EXPECT_EQ(after_.processes[0].name, "outside");
  EXPECT_EQ(after_.processes[0].namespaces, NamespacesOf(getpid()));
  EXPECT_EQ(after_.processes[1].name, "inside");
  EXPECT_EQ(after_.processes[1].namespaces, there_);
  EXPECT_EQ(FactOf(after_.processes[0], "PID outside"),
            std::to_string(getpid()));
  EXPECT_EQ(FactOf(after_.processes[1], "PID outside"), std::to_string(pid_));
}

TEST_F(DrawTest, ShowsTheFactsThatWereCompared) {
  Compare(Link(here_), Link(there_));
  Draw();
  EXPECT_EQ(FactOf(before_.processes[0], "hostname"), "a");
  EXPECT_EQ(FactOf(after_.processes[0], "hostname"), "a");
  EXPECT_EQ(FactOf(after_.processes[1], "hostname"), "b");
  EXPECT_EQ(FactOf(after_.processes[1], "uts"), "") << "the boxes show it";
}

TEST_F(DrawTest, KeepsTheFactsOfAnotherProcessToItself) {
  Compare("uts:[1]", Link(there_));
  Draw();
  EXPECT_EQ(FactOf(before_.processes[0], "hostname"), "");
  EXPECT_EQ(FactOf(after_.processes[0], "hostname"), "");
  EXPECT_EQ(FactOf(after_.processes[1], "hostname"), "b");
}

TEST_F(DrawTest, ShowsNoFactOfAChildThatIsNotKept) {
  Child other([](Line& line) { Side("inside", line).Show({}); });
  other.Fork();
  lesson_.outside().Hear(other);
  other.Finish();
  Compare(Link(here_), Link(there_));  // Its number has been given away since.
  Draw();
  EXPECT_EQ(FactOf(after_.processes[0], "hostname"), "a");
  EXPECT_EQ(FactOf(after_.processes[1], "hostname"), "");
}

TEST_F(DrawTest, ShowsFactsThatNameNoNamespace) {
  lesson_.Compare({{"root", "a", ""}}, {{"root", "b", ""}},
                  {{"root", "a", ""}});
  Draw();
  EXPECT_EQ(FactOf(before_.processes[0], "root"), "a");
  EXPECT_EQ(FactOf(after_.processes[1], "root"), "b");
}

TEST_F(LessonTest, DrawsTheOutsideAloneWhereNoChildIsKept) {
  lesson_.Draw(NamespacesOf(getpid()));
  EXPECT_EQ(recorder_.Last<Drawing>().processes.size(), 1U);
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
