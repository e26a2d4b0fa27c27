#include "common/show/source.h"

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

TEST(Step, ListsTheLinesUpToTheNextQuestionOrStep) {
  const Code code = Listing().Step(At(14));
  EXPECT_EQ(code.file, "lessons/example.cc");
  EXPECT_THAT(code.lines,
              ElementsAre(Pair(17, "Process child = host.Clone();"),
                          Pair(18, ""), Pair(19, "child.Run(Rename);")));
  EXPECT_THAT(Listing().Step(At(21)).lines,
              ElementsAre(Pair(23, "child.Ask(kPid);")))
      << "not what speaks, and no claims";
  EXPECT_THAT(Listing().Step({"other.cc", 3}).lines, IsEmpty());
  EXPECT_THAT(Listing().Lead({"other.cc", 3}).lines, IsEmpty());
}

TEST(Step, ListsWholeStatementsOfTenLinesAtMost) {
  Listing listing;
  const auto lines = listing.Step(At(30)).lines;
  EXPECT_EQ(lines.at(32), "Two();");
  EXPECT_FALSE(lines.contains(33)) << "it claims";
  EXPECT_EQ(lines.at(37), "  });");
  EXPECT_FALSE(lines.contains(38)) << "it ends the claim";
  EXPECT_EQ(lines.rbegin()->second, "Seven();");
  EXPECT_THAT(listing.Lead(At(44)).lines,
              ElementsAre(Pair(43, "child.Run([] {"), Pair(44, "  Eight();")));
}

TEST(Lead, ListsTheParagraphUpToTheEndOfTheStatement) {
  EXPECT_THAT(
      Listing().Lead(At(7)).lines,
      ElementsAre(Pair(4, "void Rename() {"),
                  Pair(5, "  const utsname names ="), Pair(6, "      Names();"),
                  Pair(7, "  CALL(sethostname, \"a\","),
                  Pair(8, "       1);")));
  EXPECT_THAT(Listing().Lead(At(10)).lines,
              ElementsAre(Pair(10, "CALL(getpid);")));
}

TEST(Lead, ListsNoLineTwiceInAStep) {
  Listing listing;
  EXPECT_EQ(listing.Lead(At(7)).lines.size(), 5U);
  EXPECT_THAT(listing.Lead(At(7)).lines, IsEmpty());
  EXPECT_EQ(listing.Lead(At(10)).lines.size(), 1U);
  listing.Step(At(14));
  EXPECT_EQ(listing.Lead(At(7)).lines.size(), 5U) << "another step";
  EXPECT_THAT(listing.Lead(At(19)).lines, IsEmpty()) << "the step has it";
}

}  // namespace
}  // namespace steps
