#include "common/show/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace steps {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const EmbeddedSource lesson_source("lessons/example.cc", R"text(// A lesson.

// What it does.
void Rename(Side& side) {
  const int result =
      sethostname("a", 1);
  side.Check(result, "sethostname(\"{}\")",
             "a");

  side.Show({});
}

void Teach(Lesson& lesson) {
  lesson.Begin(
      "First");
  lesson.Note("A sentence.");
  Child child;

  Clone(child);
  lesson.Predict("What?", {"this", "that"});
  lesson.Begin("Second");
  outside.Hear(child);
  lesson.Compare(before, inside, after);

  lesson.Claim("Yes.", true);
  lesson.Keep(child);
}
)text");

Place At(int line) { return {"lessons/example.cc", line}; }

TEST(Step, ListsTheLinesUpToTheNextQuestionOrStep) {
  EXPECT_THAT(Listing().Step(At(14)).lines,
              ElementsAre(Pair(17, "Child child;"), Pair(18, ""),
                          Pair(19, "Clone(child);")));
  EXPECT_EQ(Listing().Step(At(14)).file, "lessons/example.cc");
}

TEST(Step, LeavesOutWhatSpeaksAndTheClaims) {
  EXPECT_THAT(Listing().Step(At(21)).lines,
              ElementsAre(Pair(22, "outside.Hear(child);")));
}

TEST(Lead, ListsTheParagraphUpToTheEndOfTheStatement) {
  EXPECT_THAT(
      Listing().Lead(At(7)).lines,
      ElementsAre(Pair(4, "void Rename(Side& side) {"),
                  Pair(5, "  const int result ="),
                  Pair(6, "      sethostname(\"a\", 1);"),
                  Pair(7, "  side.Check(result, \"sethostname(\\\"{}\\\")\","),
                  Pair(8, "             \"a\");")));
  EXPECT_THAT(Listing().Lead(At(10)).lines,
              ElementsAre(Pair(10, "side.Show({});")));
}

TEST(Lead, LeavesOutWhatSpeaks) {
  EXPECT_THAT(
      Listing().Lead(At(22)).lines,
      ElementsAre(Pair(19, "Clone(child);"), Pair(22, "outside.Hear(child);")));
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

TEST(Listing, HasNothingOfAFileThatIsNotEmbedded) {
  EXPECT_THAT(Listing().Step({"other.cc", 3}).lines, IsEmpty());
  EXPECT_THAT(Listing().Lead({"other.cc", 3}).lines, IsEmpty());
}

}  // namespace
}  // namespace steps
