#include "tests/support/lessons.h"

#include <cctype>
#include <filesystem>

namespace steps {

std::set<std::string> LessonNames() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("lessons")) {
    // Their sources may lie beside them.
    if (entry.path().has_extension()) continue;
    names.insert(entry.path().filename());
  }
  names.erase("doctor");
  names.erase("tour");
  return names;
}

std::vector<LessonAndUser> LessonsAndUsers() {
  std::vector<LessonAndUser> all;
  for (const std::string& lesson : LessonNames()) {
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
