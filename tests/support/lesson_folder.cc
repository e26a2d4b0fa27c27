#include "tests/support/lesson_folder.h"

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "tests/support/lessons.h"

namespace steps {
namespace fs = std::filesystem;

LessonFolder::LessonFolder() {
  Check(mkdtemp(path_.data()) == nullptr ? -1 : 0, "mkdtemp(\"{}\")", path_);
  fs::permissions(path_, fs::perms(0755));
  for (const auto& program : fs::directory_iterator("lessons")) {
    fs::copy(program.path(), path_);
  }
}

LessonFolder::~LessonFolder() { fs::remove_all(path_); }

void LessonFolder::Fake(const std::string& lesson,
                        const std::string& lines) const {
  Remove(lesson);
  WriteAll(Open(Program(lesson), O_WRONLY | O_CREAT, 0755).get(),
           "#!/bin/sh\n" + lines);
}

void LessonFolder::FakeAll(const std::string& lines) const {
  for (const std::string& lesson : LessonNames()) Fake(lesson, lines);
}

void LessonFolder::Remove(const std::string& lesson) const {
  fs::remove(Program(lesson));
}

}  // namespace steps
