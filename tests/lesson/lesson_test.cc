#include "common/lesson/lesson.h"

#include <variant>

#include "tests/support/test.h"

namespace steps {
namespace {

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

TEST_F(LessonTest, NamesThePlaceOfEachStepAndCall) {
  lesson_.Step("Two", "What to watch.");
  EXPECT_THAT(Last<Step>(), FieldsAre(1, "Two", "What to watch.", _, _));
  EXPECT_EQ(Last<Step>().place.line, __LINE__ - 2);
  CALL(getppid);
  EXPECT_EQ(Last<Called>().call.place.line, __LINE__ - 1);
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
  const Evidence before = {{{"PID", "1", ""}, {"uts", "[1]", ""}}};
  const Evidence inside = {{{"PID", "2", ""}, {"uts", "[1]", ""}}};
  lesson_.Compare(before, inside, inside);
  EXPECT_THAT(Last<Table>().rows,
              ElementsAre(ElementsAre("PID", "1", "2", "2", "changed"),
                          ElementsAre("uts", "[1]", "[1]", "[1]", "shared")));
}

}  // namespace
}  // namespace steps
