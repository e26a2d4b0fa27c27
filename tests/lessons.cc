#include "tests/lessons.h"

#include <cctype>
#include <filesystem>
#include <set>

namespace steps {

std::vector<LessonAndUser> LessonsAndUsers() {
  std::set<std::string> lessons;
  for (const auto& entry : std::filesystem::directory_iterator("lessons")) {
    lessons.insert(entry.path().filename());
  }
  std::vector<LessonAndUser> all;
  for (const std::string& lesson : lessons) {
    all.emplace_back(lesson, false);
    all.emplace_back(lesson, true);
  }
  return all;
}

std::string LessonName(const testing::TestParamInfo<LessonAndUser>& run) {
  std::string name = run.param.first;
  name[0] = static_cast<char>(std::toupper(name[0]));
  return name + (run.param.second ? "AsNobody" : "AsRoot");
}

}  // namespace steps
