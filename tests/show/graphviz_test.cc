#include "common/show/graphviz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "tests/support/graph.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ToSvg, Draws) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  EXPECT_THAT(ToSvg("graph { one -- two }"),
              AllOf(StartsWith("<?xml"), HasSubstr(">one</text>"),
                    HasSubstr(">two</text>"), EndsWith("</svg>\n")));
}

TEST(ToSvg, FailsWhereThereIsNoGraph) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  try {
    ToSvg("graph { one -- ");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "dot -Tsvg failed");
  }
}

TEST(ToSvg, FailsWithoutGraphviz) {
  InChild([] {
    setenv("PATH", "/nonexistent", 1);
    try {
      ToSvg("graph {}");
      FAIL();
    } catch (const CallError& error) {
      EXPECT_EQ(error.call().text, "execvp(\"dot\")");
      EXPECT_EQ(error.error(), ENOENT);
    }
  });
}

}  // namespace
}  // namespace steps
