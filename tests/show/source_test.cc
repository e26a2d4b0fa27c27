#include <variant>

#include "common/show/show.h"
#include "tests/support/test.h"

namespace steps {
namespace {

const EmbeddedSource lesson_source("lessons/example.cc", R"text(// A lesson.

// What it does.
void Rename() {
  const utsname names =
      Names();
  CALL(sethostname, "a",
       1);

  CALL(getpid);
}

void Teach(Lesson& lesson) {
  lesson.Step(
      "First");
  lesson.Note("A sentence.");
  Process child = host.Clone();

  child.Run(Rename);
  lesson.Predict("What?", {"this", "that"});
  lesson.Step("Second");
  lesson.Claim("Yes.", true);
  child.Ask(kPid);
  lesson.Compare(before, inside, after);

  lesson.Keep(child);
}

void Last() {
  lesson.Step("Long");
  One();
  Two();
  lesson.Claim("Yes.", [&] {
    Three();
    child.Run([] {
      Four();
    });
  });
  Five();
  Six();
  Seven();

  child.Run([] {
    Eight();
    Nine();
  });
}
)text");

Place At(int line) { return {"lessons/example.cc", line}; }

// The lines that are listed with events at these places.
class Listing {
 public:
  Code OfStep(const Place& place) {
    show_(Step{1, "One", "", place});
    return std::get<Step>(shown_.back()).code;
  }

  // Before a call, or before evidence.
  Code LeadTo(const Place& place, bool call = true) {
    shown_.clear();
    show_(call ? Event(Called{"outside", Call{.text = "f()", .place = place}})
               : Event(Shown{"outside", Evidence{}, place}));
    return shown_.size() > 1 ? std::get<Code>(shown_.front()) : Code();
  }

 private:
  std::vector<Event> shown_;
  Show show_ =
      WithCode([this](const Event& event) { shown_.push_back(event); });
};

TEST(Step, ListsTheLinesUpToTheNextQuestionOrStep) {
  const Code code = Listing().OfStep(At(14));
  EXPECT_EQ(code.file, "lessons/example.cc");
  EXPECT_THAT(code.lines,
              ElementsAre(Pair(17, "Process child = host.Clone();"),
                          Pair(18, ""), Pair(19, "child.Run(Rename);")));
  EXPECT_THAT(Listing().OfStep(At(21)).lines,
              ElementsAre(Pair(23, "child.Ask(kPid);")))
      << "not what speaks, and no claims";
  EXPECT_THAT(Listing().OfStep({"other.cc", 3}).lines, IsEmpty());
  EXPECT_THAT(Listing().LeadTo({"other.cc", 3}).lines, IsEmpty());
}

TEST(Step, ListsWholeStatementsOfTenLinesAtMost) {
  Listing listing;
  // Not what claims, and ends the claim.
  EXPECT_THAT(listing.OfStep(At(30)).lines,
              ElementsAre(Pair(31, "One();"), Pair(32, "Two();"),
                          Pair(34, "  Three();"), Pair(35, "  child.Run([] {"),
                          Pair(36, "    Four();"), Pair(37, "  });"),
                          Pair(39, "Five();"), Pair(40, "Six();"),
                          Pair(41, "Seven();")));
  EXPECT_THAT(listing.LeadTo(At(44)).lines,
              ElementsAre(Pair(43, "child.Run([] {"), Pair(44, "  Eight();")));
}

TEST(Lead, ListsTheParagraphUpToTheEndOfTheStatement) {
  EXPECT_THAT(
      Listing().LeadTo(At(7)).lines,
      ElementsAre(Pair(4, "void Rename() {"),
                  Pair(5, "  const utsname names ="), Pair(6, "      Names();"),
                  Pair(7, "  CALL(sethostname, \"a\","),
                  Pair(8, "       1);")));
  EXPECT_THAT(Listing().LeadTo(At(10), false).lines,
              ElementsAre(Pair(10, "CALL(getpid);")));
}

TEST(Lead, ListsNoLineTwiceInAStep) {
  Listing listing;
  EXPECT_EQ(listing.LeadTo(At(7)).lines.size(), 5U);
  EXPECT_THAT(listing.LeadTo(At(7)).lines, IsEmpty());
  EXPECT_EQ(listing.LeadTo(At(10)).lines.size(), 1U);
  listing.OfStep(At(14));
  EXPECT_EQ(listing.LeadTo(At(7)).lines.size(), 5U) << "another step";
  EXPECT_THAT(listing.LeadTo(At(19)).lines, IsEmpty()) << "the step has it";
}

}  // namespace
}  // namespace steps
