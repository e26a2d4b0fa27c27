#include "common/show/show.h"
#include "tests/support/test.h"

namespace steps {
namespace {

TEST(Printable, ShowsControlCharactersAndBytesThatAreNoUtf8) {
  const std::string text = "container_001 ~ é \u00A0 ス … 🐧 \uD7FB\uE000\uFFFD";
  for (const auto& [bytes, shown] : std::map<std::string, std::string>{
           {text, text},
           {"", ""},
           {"a\x1b[31m\r\n\x7f", "a\\x1b[31m\\x0d\\x0a\\x7f"},
           {std::string(1, '\0'), "\\x00"},
           // CSI in one character, which terminals obey, too.
           {"\u009B31m", "\\xc2\\x9b31m"},
           {"\u2028\uFFFE", "\\xe2\\x80\\xa8\\xef\\xbf\\xbe"},
           {"a\xff\xc3", "a\\xff\\xc3"},
           {"\xc3(\xe2\x82", "\\xc3(\\xe2\\x82"},
           // Longer than need be.
           {"\xc0\xaf", "\\xc0\\xaf"},
           {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
           {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
           // A surrogate, and what is behind the last character.
           {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
           {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}}) {
    EXPECT_EQ(Printable(bytes), shown);
  }
}

TEST(Printable, CountsTheColumnsOfATerminal) {
  EXPECT_EQ(Width(""), 0U);
  EXPECT_EQ(Width("aé…"), 3U);
  EXPECT_EQ(Width("漢e\u0301"), 3U) << "two, and one with its accent";
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(Head("aé…b", 2), "aé");
  EXPECT_EQ(Head("aé", 5), "aé");
  EXPECT_EQ(Head("漢字", 3), "漢");
  EXPECT_EQ(Shorten("éééééé", 6), "éééééé");
  EXPECT_EQ(Shorten("ééééééé", 6), "ééé…éé");
  EXPECT_EQ(Shorten("漢字漢字漢字", 8), "漢字…字");
}

}  // namespace
}  // namespace steps
