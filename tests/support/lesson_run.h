#ifndef TESTS_SUPPORT_LESSON_RUN_H_
#define TESTS_SUPPORT_LESSON_RUN_H_

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace steps {

/// Each test runs a real lesson: as root, and as nobody. A lesson that is
/// broken must not change this machine: what the tests of this process run
/// calls copies of its UTS, IPC and mount namespaces its host, and a network
/// namespace in which there is nothing but lo.
class LessonTest : public testing::TestWithParam<bool> {
 protected:
  /// The lesson's name: "uts".
  explicit LessonTest(const std::string& lesson)
      : program_("lessons/" + lesson) {}

  void SetUp() override;

  static bool as_nobody() { return GetParam(); }

  const std::string& program() const { return program_; }

  Result Run(
      const std::vector<std::string>& arguments = {},
      const std::function<void()>& before = [] {}) const;

  /// A run with --json, which must end with this status and fit its schema.
  nlohmann::json RunJson(
      const std::function<void()>& before = [] {}, int exit_status = 0) const;

 private:
  std::string program_;
};

/// For INSTANTIATE_TEST_SUITE_P: "Root" or "Nobody".
std::string UserName(const testing::TestParamInfo<bool>& as_nobody);

/// What is wrong with `document`, a line each; empty when its schema, such as
/// docs/lesson.schema.json, holds.
std::string SchemaErrors(const nlohmann::json& document,
                         const std::string& schema = "lesson.schema.json");

/// What `process` answers to `probe` in a run with --json.
std::set<std::string> Values(const nlohmann::json& run,
                             const std::string& process,
                             const std::string& probe);

/// What a run with --json answers to its question.
std::string Found(const nlohmann::json& run);

/// The calls of `process` in a run with --json, each as "call = result", and
/// with its errno instead of -1.
std::vector<std::string> Calls(const nlohmann::json& run,
                               const std::string& process);

/// Fails the test unless the table at the end of a run with --json has these
/// rows, and every one of them is private.
void ExpectIsolated(const nlohmann::json& run,
                    const std::vector<std::string>& probes);

/// Fails the test for each line that is wider than 80 columns or ends in blank
/// space.
void ExpectFits80Columns(const std::string& text);

/// What a terminal would show without its colours.
std::string WithoutColor(std::string text);

/// A throwaway user namespace with another /dev, in which there is no shm.
void EnterMachineWithoutShm();

/// A throwaway user namespace in which no further one may be made.
void ForbidUserNamespaces();

}  // namespace steps

#endif  // TESTS_SUPPORT_LESSON_RUN_H_
