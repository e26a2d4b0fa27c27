#include "common/lesson/lesson.h"

#include <variant>

#include "tests/support/test.h"

namespace steps {
namespace {

const Probe kPid{"PID", "getpid(2)", [] { return std::to_string(getpid()); }};
const Probe kLink{"namespace", "/proc/self/ns/uts",
                  [] { return ReadLink("/proc/self/ns/uts"); }};

class LessonTest : public testing::Test {
 protected:
  // The last event, which must be of this type.
  template <typename Type>
  const Type& Last() const {
    return std::get<Type>(events_.back());
  }

  std::vector<Event> events_;
  Lesson lesson_{[this](const Event& event) { events_.push_back(event); },
                 Machine()};
};

TEST_F(LessonTest, TellsItsStepsAndWhatProcessesDoAndSee) {
  lesson_.Step("One");
  EXPECT_EQ(Last<Step>().place.line, __LINE__ - 1);
  EXPECT_EQ(Last<Step>().number, 1);
  lesson_.Step("Two", "What to watch.");
  EXPECT_THAT(Last<Step>(), FieldsAre(2, "Two", "What to watch.", _, _));
  CALL(getppid);
  EXPECT_EQ(Last<Called>().process, "outside");
  EXPECT_EQ(Last<Called>().call.text, "getppid()");
  EXPECT_EQ(Last<Called>().call.place.line, __LINE__ - 3);
  Process child = lesson_.outside().Clone("child", 0);
  child.Run([] { TRY(close, -1); });
  EXPECT_EQ(Last<Called>().process, "child");
  EXPECT_EQ(Last<Called>().call.error, EBADF);
  child.Ask(kPid);
  EXPECT_EQ(Last<Shown>().process, "child");
  EXPECT_EQ(Last<Shown>().evidence[kPid], std::to_string(child.pid()));
}

TEST_F(LessonTest, CountsClaimsAndEndsWithTheFirstContradiction) {
  lesson_.Claim("It holds.", true);
  lesson_.Claim("It could not be tried.", Outcome{std::nullopt, "No."});
  EXPECT_THAT(lesson_.verdict(), FieldsAre("holds", 0, 1, 0, 1, "", _));
  EXPECT_THROW(lesson_.Claim("It does not.", false), Contradiction);
  EXPECT_THAT(Last<Item>(),
              FieldsAre("FAILS", Optional(false), "It does not.", ""));
  EXPECT_THAT(lesson_.verdict(), FieldsAre("contradicted", 1, 1, 1, 1, "", _));
}

TEST_F(LessonTest, SkipsWhatTheMachineDoesNotAllowAndNotItsOwnFault) {
  EXPECT_THAT(
      lesson_.Attempt([]() -> bool { throw CallError(ENODEV, "mount()"); }),
      FieldsAre(std::nullopt, HasSubstr("does not have that kind of file")));
  EXPECT_THROW(
      lesson_.Attempt([]() -> bool { throw CallError(EBADF, "close(-1)"); }),
      CallError);
}

TEST_F(LessonTest, MixesItsAnswersAndFindsTheRightOne) {
  EXPECT_THROW(lesson_.Answer("right", "Because."), std::logic_error);
  std::set<std::size_t> places;
  for (const char* question : {"One?", "Two?", "Three?", "Four?", "Five?"}) {
    lesson_.Predict(question, {"right", "a", "b", "c"});
    const std::vector<std::string> shown = Last<Question>().answers;
    EXPECT_THAT(shown, UnorderedElementsAre("right", "a", "b", "c"));
    const auto place = std::ranges::find(shown, "right") - shown.begin();
    places.insert(static_cast<std::size_t>(place));
    lesson_.Answer("right", "Because.");
    EXPECT_EQ(Last<Answer>().number, place + 1);
  }
  EXPECT_GT(places.size(), 1U);
  lesson_.Answer("none of them", "Because.");
  EXPECT_EQ(Last<Answer>().number, std::nullopt);
}

TEST_F(LessonTest, ComparesARowForEachProbe) {
  const Evidence before({{"PID", "1", ""}, {"namespace", "uts:[1]", ""}});
  const Evidence inside({{"PID", "2", ""}, {"namespace", "uts:[1]", ""}});
  lesson_.Compare(before, inside, before);
  EXPECT_THAT(Last<Table>().rows,
              ElementsAre(ElementsAre("PID", "1", "2", "1", "private"),
                          ElementsAre("namespace", "uts:[1]", "uts:[1]",
                                      "uts:[1]", "shared")));
  lesson_.Compare(before, inside, inside);
  EXPECT_EQ(Last<Table>().rows[0].back(), "changed");
}

TEST_F(LessonTest, IsToldByItsOwnProcessOnly) {
  Process child = lesson_.outside().Clone("child", 0);
  for (void (*tell)(Lesson*) :
       {+[](Lesson* one) { one->Claim("It holds.", true); },
        +[](Lesson* one) { one->Step("A step"); },
        +[](Lesson* one) { one->outside().Ask(kPid); }}) {
    EXPECT_THROW(child.Run([=, lesson = &lesson_] { tell(lesson); }),
                 ProcessError);
  }
}

TEST_F(LessonTest, DrawsBeforeAndAfter) {
  InChild([] {
    EnterUserNamespaceAsRoot();
    std::vector<Event> events;
    Lesson lesson([&](const Event& event) { events.push_back(event); },
                  Machine());
    const auto home = NamespacesOf(getpid());
    Process inside = lesson.outside().Clone("inside", CLONE_NEWUTS);
    const Evidence before = lesson.outside().Ask(kPid, kLink);
    lesson.Compare(before, inside.Ask(kPid, kLink), before);
    const pid_t pid = inside.pid();
    lesson.Keep(std::move(inside));
    lesson.Draw(home);
    const auto& after = std::get<Drawing>(events.back());
    ASSERT_EQ(after.processes.size(), 2U);
    EXPECT_EQ(after.processes[0].namespaces, home);
    EXPECT_EQ(Difference(after.processes[1].namespaces, home), CLONE_NEWUTS);
    EXPECT_THAT(after.processes[1].facts,  // Without the namespace's number.
                ElementsAre("PID outside: " + std::to_string(pid),
                            "PID: " + std::to_string(pid)));
  });
}

}  // namespace
}  // namespace steps
