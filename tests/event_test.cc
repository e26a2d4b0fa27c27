#include "common/event.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <variant>

namespace steps {
namespace {

TEST(Encode, CarriesACall) {
  const auto call = std::get<Call>(Decode(Encode(Call{
      "inside", "sethostname(\"a\", 1)", -1, EPERM, {"lessons/a.cc", 7}})));
  EXPECT_EQ(call.side, "inside");
  EXPECT_EQ(call.text, "sethostname(\"a\", 1)");
  EXPECT_EQ(call.result, -1);
  EXPECT_EQ(call.error, EPERM);
  EXPECT_EQ(call.place.file, "lessons/a.cc");
  EXPECT_EQ(call.place.line, 7);
}

TEST(Encode, CarriesEvidenceOfAnyBytes) {
  const std::string bytes("\xff\0\n\x1b", 4);
  const auto shown = std::get<Shown>(Decode(Encode(Shown{
      "inside", {{"hostname", bytes, "uname(2)"}}, {"lessons/a.cc", 9}})));
  EXPECT_EQ(shown.side, "inside");
  EXPECT_EQ(shown.place.line, 9);
  ASSERT_EQ(shown.evidence.findings().size(), 1U);
  EXPECT_EQ(shown.evidence.findings()[0].probe, "hostname");
  EXPECT_EQ(shown.evidence.findings()[0].value, bytes);
  EXPECT_EQ(shown.evidence.findings()[0].source, "uname(2)");
}

TEST(Encode, RefusesWhatNoChildTells) {
  EXPECT_THROW(Encode(Step{1, "title"}), std::logic_error);
}

TEST(Decode, RefusesBytesThatAreNoEvent) {
  EXPECT_ANY_THROW(Decode("nonsense"));
  EXPECT_ANY_THROW(Decode(""));
}

}  // namespace
}  // namespace steps
