#include "tests/support/lesson_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <map>
#include <sstream>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"

namespace steps {
namespace {

using nlohmann::json;

class ThrowawayHost : public testing::Environment {
  void SetUp() override {
    if (!IsRoot()) return;
    Check(unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET),
          "unshare()");
    Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(\"none\", \"/\", MS_REC | MS_PRIVATE)");
  }
};

[[maybe_unused]] const testing::Environment* const kThrowawayHost =
    testing::AddGlobalTestEnvironment(new ThrowawayHost);

}  // namespace

void LessonTest::SetUp() {
  if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
}

Result LessonTest::Run(const std::vector<std::string>& arguments,
                       const std::function<void()>& before) const {
  return RunCommand({.program = program_,
                     .arguments = arguments,
                     .as_nobody = as_nobody(),
                     .before = before});
}

json LessonTest::RunJson(const std::function<void()>& before,
                         int exit_status) const {
  const Result result = Run({"--json"}, before);
  EXPECT_EQ(DescribeStatus(result.status),
            fmt::format("exit status {}", exit_status))
      << result.errors << result.output;
  json run = json::parse(result.output);
  EXPECT_EQ(SchemaErrors(run), "");
  return run;
}

std::string UserName(const testing::TestParamInfo<bool>& as_nobody) {
  return as_nobody.param ? "Nobody" : "Root";
}

std::string SchemaErrors(const json& document, const std::string& schema_file) {
  std::map<std::string, json> files;  // Also those that others refer to.
  const auto read = [&files](const std::string& file) {
    return &(files[file] = json::parse(ReadFile("docs/" + file)));
  };
  valijson::Schema schema;
  valijson::SchemaParser().populateSchema(
      valijson::adapters::NlohmannJsonAdapter(*read(schema_file)), schema, read,
      [](const json*) {});
  valijson::ValidationResults results;
  valijson::Validator().validate(
      schema, valijson::adapters::NlohmannJsonAdapter(document), &results);
  std::string errors;
  for (valijson::ValidationResults::Error error; results.popError(error);) {
    for (const std::string& where : error.context) errors += where;
    errors += ": " + error.description + "\n";
  }
  return errors;
}

std::set<std::string> Values(const json& run, const std::string& process,
                             const std::string& probe) {
  std::set<std::string> values;
  for (const json& entry : run["evidence"]) {
    if (entry.value("process", "") == process && entry["probe"] == probe) {
      values.insert(entry["value"]);
    }
  }
  return values;
}

std::string Found(const json& run) {
  return run.at("questions").at(0).at("found");
}

std::vector<std::string> Calls(const json& run, const std::string& process) {
  std::vector<std::string> calls;
  for (const json& call : run["calls"]) {
    if (call.value("process", "") != process) continue;
    calls.push_back(fmt::format("{} = {}", call["call"].get<std::string>(),
                                call.value("errno", call["result"].dump())));
  }
  return calls;
}

void ExpectIsolated(const json& run, const std::vector<std::string>& probes) {
  std::vector<std::string> found;
  for (const json& row : run["comparison"]) {
    found.push_back(row["probe"]);
    EXPECT_EQ(row["outside_before"], row["outside_after"]);
    EXPECT_NE(row["outside_before"], row["inside"]);
    EXPECT_EQ(row["verdict"], "private");
  }
  EXPECT_EQ(found, probes);
}

void ExpectFits80Columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::size_t width = 0;
    for (const char c : line) width += (c & 0xC0) != 0x80 ? 1U : 0U;
    EXPECT_LE(width, 80U) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

std::string WithoutColor(std::string text) {
  while (text.find('\x1b') != std::string::npos) {
    const std::size_t begin = text.find('\x1b');
    text.erase(begin, text.find('m', begin) - begin + 1);
  }
  return text;
}

void EnterMachineWithoutShm() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MakeMountsPrivate();
  MountTmpfs("/mnt");
  Open("/mnt/null", O_WRONLY | O_CREAT, 0600);
  MUST(mount, "/dev/null", "/mnt/null", nullptr, MS_BIND, nullptr);
  MUST(mount, "/mnt", "/dev", nullptr, MS_BIND | MS_REC, nullptr);
}

void ForbidUserNamespaces() {
  EnterUserNamespaceAsRoot();
  WriteAll(Open("/proc/sys/user/max_user_namespaces", O_WRONLY).get(), "0");
}

}  // namespace steps
