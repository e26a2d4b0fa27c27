#ifndef TESTS_SUPPORT_LESSON_FOLDER_H_
#define TESTS_SUPPORT_LESSON_FOLDER_H_

#include <string>

namespace steps {

/// A folder that anybody may read, with copies of the programs among the test's
/// data: the tour and the doctor run the lessons that are beside them. It goes
/// with its object.
class LessonFolder {
 public:
  /// With a copy of every program. Throws CallError and filesystem_error.
  LessonFolder();
  ~LessonFolder();
  LessonFolder(const LessonFolder&) = delete;
  LessonFolder& operator=(const LessonFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string Program(const std::string& name) const {
    return path_ + "/" + name;
  }

  /// Puts a script with these lines in the place of one lesson, or of all.
  void Fake(const std::string& lesson, const std::string& lines) const;
  void FakeAll(const std::string& lines) const;

  void Remove(const std::string& lesson) const;

 private:
  std::string path_ = "/tmp/lesson_folder.XXXXXX";
};

}  // namespace steps

#endif  // TESTS_SUPPORT_LESSON_FOLDER_H_
