#include "common/show/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace steps {
namespace {

TEST(Printable, KeepsTextAsItIs) {
  const std::string text = "container_001 ~ é \u00A0 ス … 🐧 \uD7FF\uE000\uFFFD";
  EXPECT_EQ(Printable(text), text);
  EXPECT_EQ(Printable(""), "");
}

TEST(Printable, ShowsControlCharactersByTheirBytes) {
  EXPECT_EQ(Printable("a\x1b[31m\r\n\x7f"), "a\\x1b[31m\\x0d\\x0a\\x7f");
  EXPECT_EQ(Printable(std::string(1, '\0')), "\\x00");
  EXPECT_EQ(Printable("\u009B31m"), "\\xc2\\x9b31m")
      << "CSI in one character, which terminals obey, too";
}

TEST(Printable, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(Printable("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(Printable("\xc3(\xe2\x82"), "\\xc3(\\xe2\\x82");
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf") << "longer than need be";
  EXPECT_EQ(Printable("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");
  EXPECT_EQ(Printable("\xf0\x8f\xbf\xbf"), "\\xf0\\x8f\\xbf\\xbf");
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80")
      << "behind the last character";
}

TEST(Printable, CountsCharactersNotBytes) {
  EXPECT_EQ(Width(""), 0U);
  EXPECT_EQ(Width("aé…"), 3U);
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(Head("aé…b", 2), "aé");
  EXPECT_EQ(Head("aé", 5), "aé");
  EXPECT_EQ(Shorten("éééééé", 6), "éééééé");
  EXPECT_EQ(Shorten("ééééééé", 6), "ééé…éé");
}

}  // namespace
}  // namespace steps
