#ifndef TESTS_SUPPORT_LESSONS_H_
#define TESTS_SUPPORT_LESSONS_H_

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace steps {

/// Every lesson there is among the runfiles: not the programs that run them.
std::set<std::string> LessonNames();

/// A lesson's name, and whether nobody runs it: for what holds of all.
using LessonAndUser = std::pair<std::string, bool>;

/// Every one of them, as root and as nobody.
std::vector<LessonAndUser> LessonsAndUsers();

/// For INSTANTIATE_TEST_SUITE_P: "UtsAsRoot".
std::string LessonName(const testing::TestParamInfo<LessonAndUser>& run);

}  // namespace steps

#endif  // TESTS_SUPPORT_LESSONS_H_
