#include "common/show/wording.h"

#include <gtest/gtest.h>

#include <string>

namespace steps {
namespace {

TEST(Report, HasTheCauseAndTheRemedyWhereTheyAreKnown) {
  Verdict verdict;
  verdict.error = "open(\"\x1b\"): …";
  EXPECT_EQ(Report("uts", verdict), "uts: open(\"\\x1b\"): …\n");
  verdict.advice = Advice{"The cause.", "the remedy"};
  EXPECT_EQ(Report("uts", verdict),
            "uts: open(\"\\x1b\"): …\n"
            "  cause   The cause.\n"
            "  remedy  the remedy\n");
}

}  // namespace
}  // namespace steps
