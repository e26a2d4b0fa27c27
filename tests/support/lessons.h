#ifndef TESTS_SUPPORT_LESSONS_H_
#define TESTS_SUPPORT_LESSONS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/terminal.h"

// What the tests that run lessons have in common. What they run calls copies of
// this machine's UTS, IPC and mount namespaces its host, and a network
// namespace in which there is nothing but lo: a lesson that is broken must not
// change the machine itself. There, as systemd has it, every mount is shared.

namespace steps {

using nlohmann::json;
using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using testing::ValuesIn;

using Words = std::vector<std::string>;
using Before = std::function<void()>;

/// Every lesson there is among the runfiles: not the programs that run them.
std::set<std::string> LessonNames();

/// A lesson's name, and whether nobody runs it.
using LessonAndUser = std::pair<std::string, bool>;

/// Each of them as root and as nobody.
std::vector<LessonAndUser> ForBothUsers(const std::set<std::string>& lessons);

/// For INSTANTIATE_TEST_SUITE_P: "UtsAsRoot".
std::string LessonName(const testing::TestParamInfo<LessonAndUser>& run);

/// Each test runs a real lesson.
class LessonTest : public testing::TestWithParam<LessonAndUser> {
 protected:
  /// Skips the test as root where the tests do not run as root.
  void SetUp() override;

  static const std::string& lesson() { return GetParam().first; }
  static bool as_nobody() { return GetParam().second; }
  static std::string program() { return "lessons/" + lesson(); }

  /// The lesson as a command, with these words and after `before`.
  virtual Command Lesson(const Words& words = {},
                         const Before& before = {}) const;

  /// What it did; it must end with this status.
  Result Run(const Words& words = {}, const Before& before = {},
             int status = 0) const;

  /// The document of a run with --json, which must also fit its schema.
  json RunJson(const Before& before = {}, int status = 0,
               const Words& words = {}) const;

  /// Leaves the shell on this terminal: the lesson must end with 0.
  static void Exit(Terminal& terminal);
};

/// A directory that anybody may read, with copies of the programs among the
/// test's data: the tour and the doctor run the lessons that are beside them.
/// It goes with its object.
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

/// Each test runs a program from such a directory.
class LessonFolderTest : public LessonTest {
 protected:
  Command Lesson(const Words& words = {},
                 const Before& before = {}) const override;

  const LessonFolder folder_;
};

/// What is wrong with `document`, a line each; empty when its schema, such as
/// docs/lesson.schema.json, holds.
std::string SchemaErrors(const json& document,
                         const std::string& schema = "lesson.schema.json");

// Of a run with --json:

/// What `process` answers to `probe`.
std::set<std::string> Values(const json& run, const std::string& process,
                             const std::string& probe);

/// What it answers to its question.
std::string Found(const json& run);

/// The calls of `process`, each as "call = result", and with its errno instead
/// of -1.
Words Calls(const json& run, const std::string& process);

/// The claims that could not be tried, each with the reason: "Claim. Reason."
Words Skipped(const json& run);

/// Fails the test for each line that is wider than 80 columns or ends in blank
/// space.
void ExpectFits80Columns(const std::string& text);

/// What a terminal would show without its colours.
std::string WithoutColor(const std::string& text);

}  // namespace steps

#endif  // TESTS_SUPPORT_LESSONS_H_
