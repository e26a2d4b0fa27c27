#include "tests/support/lessons.h"

#include <cctype>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "common/show/show.h"

namespace steps {
namespace {

class ThrowawayHost : public testing::Environment {
  void SetUp() override {
    if (!IsRoot()) return;
    MUST(unshare, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET);
    MakeMountsPrivate();
    // Unless that would hide the programs or the pages.
    const auto is_in_tmp = [](const char* path) {
      const fs::path file = fs::weakly_canonical(fs::absolute(path));
      return file.string().starts_with("/tmp/");
    };
    if (!is_in_tmp("lessons") && !is_in_tmp("docs/lesson.schema.json")) {
      MountTmpfs("/tmp");
    }
    MUST(mount, "none", "/", nullptr, MS_REC | MS_SHARED, nullptr);
  }
};

[[maybe_unused]] const testing::Environment* const kThrowawayHost =
    testing::AddGlobalTestEnvironment(new ThrowawayHost);

}  // namespace

std::set<std::string> LessonNames() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator("lessons")) {
    // Their sources may lie beside them.
    if (entry.path().has_extension()) continue;
    names.insert(entry.path().filename());
  }
  names.erase("doctor");
  names.erase("tour");
  return names;
}

std::vector<LessonAndUser> ForBothUsers(const std::set<std::string>& lessons) {
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

void LessonTest::SetUp() {
  if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
}

Command LessonTest::Lesson(const Words& words, const Before& before) const {
  return {.program = program(),
          .arguments = words,
          .as_nobody = as_nobody(),
          .before = before};
}

Result LessonTest::Run(const Words& words, const Before& before,
                       int status) const {
  Result result = Try(words, before);
  EXPECT_EQ(ExitStatus(result.status), status)
      << result.errors << result.output;
  return result;
}

json LessonTest::RunJson(const Before& before, int status,
                         const Words& words) const {
  Words all = {"--json"};
  all.insert(all.end(), words.begin(), words.end());
  json run = json::parse(Run(all, before, status).output);
  const bool is_other = lesson() == "doctor" || lesson() == "tour";
  EXPECT_EQ(
      SchemaErrors(run, (is_other ? lesson() : "lesson") + ".schema.json"), "");
  EXPECT_EQ(run["exit_status"], status);
  return run;
}

LessonFolder::LessonFolder() {
  for (const auto& program : fs::directory_iterator("lessons")) {
    fs::copy(program.path(), path());
  }
}

void LessonFolder::Fake(const std::string& lesson,
                        const std::string& lines) const {
  Remove(lesson);
  Put(lesson, "#!/bin/sh\n" + lines);
}

void LessonFolder::FakeAll(const std::string& lines) const {
  for (const std::string& lesson : LessonNames()) Fake(lesson, lines);
}

Command LessonFolderTest::Lesson(const Words& words,
                                 const Before& before) const {
  Command command = LessonTest::Lesson(words, before);
  command.program = folder_.Program(lesson());
  return command;
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

Words Skipped(const json& run) {
  Words skipped;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    skipped.push_back(claim["text"].get<std::string>() + " " +
                      claim["reason"].get<std::string>());
  }
  return skipped;
}

std::map<std::string, Drawn> ReadGraph(const std::string& graph) {
  static const std::regex kBox(
      "    \"(.*)\" \\[.* label=\"([^|]*)\\|(.*)\"\\]");
  static const std::regex kEdge("    \"(.*)\" -- \"(.*)\"");
  static const std::regex kNamespace("(\\d+) (\\w+)( new)?");
  if (!graph.starts_with("strict graph lesson {\n") ||
      !graph.ends_with("\n}\n")) {
    throw std::runtime_error("not a graph: " + graph);
  }
  std::map<std::string, std::pair<std::string, Words>> boxes;
  std::map<std::string, Drawn> drawn;
  std::smatch found;
  for (const std::string& line : LinesOf(graph)) {
    if (std::regex_match(line, found, kBox)) {
      boxes[found[1]] = {found[2], Matches(found[3], "(.*?)\\\\l")};
    } else if (std::regex_match(line, found, kEdge)) {
      Drawn& one = drawn[found[1]];
      for (const std::string& fact : boxes.at(found[1]).second) {
        const std::size_t end = fact.find(": ");
        if (end != fact.npos)
          one.facts[fact.substr(0, end)] = fact.substr(end + 2);
      }
      const auto& [name, namespaces] = boxes.at(found[2]);
      for (const std::string& each : namespaces) {
        std::smatch parts;
        if (!std::regex_match(each, parts, kNamespace)) {
          throw std::runtime_error("not a namespace: " + each);
        }
        one.namespaces[parts[2]] = parts[1];
        one.boxes[parts[2]] = name;
        one.is_new[parts[2]] = parts[3].matched;
      }
    }
  }
  return drawn;
}

bool HasGraphviz() { return !FindProgram("dot").empty(); }

void ExpectFits80Columns(const std::string& text) {
  for (const std::string_view line : Lines(text)) {
    EXPECT_LE(Width(line), 80U) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

std::string WithoutColor(const std::string& text) {
  return std::regex_replace(text, std::regex("\x1b[^m]*m"), "");
}

}  // namespace steps
