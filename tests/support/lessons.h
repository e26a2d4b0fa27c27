#ifndef TESTS_SUPPORT_LESSONS_H_
#define TESTS_SUPPORT_LESSONS_H_

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/test.h"

// What the tests that run lessons have in common. A lesson that is broken must
// not change the machine: its host are copies of the UTS, IPC and mount
// namespaces, and a network namespace with nothing but lo. There every mount is
// shared, as systemd has it; /tmp is empty, and goes with the test.

namespace steps {

using nlohmann::json;

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

  /// What it did, however it ended.
  Result Try(const Words& words, const Before& before = {}) const {
    return RunCommand(Lesson(words, before));
  }

  /// What it did; it must end with this status.
  Result Run(const Words& words = {}, const Before& before = {},
             int status = 0) const;

  /// The document of a run with --json, which must also fit its schema.
  json RunJson(const Before& before = {}, int status = 0,
               const Words& words = {}) const;
};

/// A directory with copies of the programs among the test's data: the tour and
/// the doctor run the lessons that are beside them. Throws CallError.
class LessonFolder : public TemporaryDirectory {
 public:
  LessonFolder();

  std::string Program(const std::string& name) const {
    return path() + "/" + name;
  }

  /// Puts a script with these lines in the place of one lesson, or of all.
  void Fake(const std::string& lesson, const std::string& lines) const;
  void FakeAll(const std::string& lines) const;

  void Remove(const std::string& lesson) const {
    std::filesystem::remove(Program(lesson));
  }
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

/// The claims that a run with --json could not try, each with the reason:
/// "Claim. Reason."
Words Skipped(const json& run);

/// A process in a drawing.
struct Drawn {
  std::map<std::string, std::string> facts;  // "hostname": "vm"
  // The kind and the inode number, "uts": "4026531838", of each namespace that
  // a line leads to.
  std::map<std::string, std::string> namespaces;
  // The kinds of those that are in a box of this name: "shared by both".
  std::map<std::string, std::string> boxes;  // "uts": "inside alone"
  std::map<std::string, bool> is_new;        // "uts": true
};

/// What --dot drew: each process, as "after inside". Throws std::runtime_error
/// for a graph of another form.
std::map<std::string, Drawn> ReadGraph(const std::string& graph);

/// Whether Graphviz is installed.
bool HasGraphviz();

/// Fails the test for each line that is wider than 80 columns or ends in blank
/// space.
void ExpectFits80Columns(const std::string& text);

/// What a terminal would show without its colours.
std::string WithoutColor(const std::string& text);

}  // namespace steps

#endif  // TESTS_SUPPORT_LESSONS_H_
