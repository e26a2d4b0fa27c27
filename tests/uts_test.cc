#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/user_namespace.h"
#include "tests/process.h"
#include "tests/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

constexpr const char* kLesson = "lessons/uts";

// A lesson that is broken must not rename this machine: the tests, and so what
// they run, call a copy of its UTS namespace their host.
class ThrowawayHost : public testing::Environment {
  void SetUp() override {
    if (IsRoot()) Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
  }
};

[[maybe_unused]] const testing::Environment* const kThrowawayHost =
    testing::AddGlobalTestEnvironment(new ThrowawayHost);

// What is wrong with `document`, a line each; empty when its schema holds.
std::string SchemaErrors(const json& document) {
  const json text = json::parse(ReadFile("docs/lesson.schema.json"));
  valijson::Schema schema;
  valijson::SchemaParser().populateSchema(
      valijson::adapters::NlohmannJsonAdapter(text), schema);
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

std::set<std::string> Values(const json& run, const std::string& side,
                             const std::string& probe) {
  std::set<std::string> values;
  for (const json& entry : run["evidence"]) {
    if (entry["side"] == side && entry["probe"] == probe) {
      values.insert(entry["value"]);
    }
  }
  return values;
}

// Each test runs the real lesson: as root, and as nobody.
class UtsTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
  }

  static bool as_nobody() { return GetParam(); }

  static Result RunUts(
      const std::vector<std::string>& arguments = {},
      const std::function<void()>& before = [] {}) {
    return RunCommand({.program = kLesson,
                       .arguments = arguments,
                       .as_nobody = as_nobody(),
                       .before = before});
  }

  // A run with --json, which must end with this status.
  static json RunJson(
      const std::function<void()>& before = [] {}, int exit_status = 0) {
    const Result result = RunUts({"--json"}, before);
    EXPECT_EQ(DescribeStatus(result.status),
              fmt::format("exit status {}", exit_status))
        << result.errors << result.output;
    json run = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(run), "");
    return run;
  }
};

INSTANTIATE_TEST_SUITE_P(As, UtsTest, testing::Values(false, true),
                         [](const testing::TestParamInfo<bool>& run) {
                           return run.param ? "Nobody" : "Root";
                         });

// A throwaway user namespace and UTS namespace, in which this is the hostname.
void CallTheMachine(const std::string& hostname) {
  EnterUserNamespaceAsRoot();
  Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
  Check(sethostname(hostname.data(), hostname.size()), "sethostname()");
}

// A throwaway user namespace in which no further one may be made.
void ForbidUserNamespaces() {
  EnterUserNamespaceAsRoot();
  WriteAll(Open("/proc/sys/user/max_user_namespaces", O_WRONLY).get(), "0");
}

TEST_P(UtsTest, OutsideIsThisMachine) {
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "outside", "hostname"), ElementsAre(names.nodename));
  EXPECT_THAT(Values(run, "outside", "domain name"),
              ElementsAre(names.domainname));
  EXPECT_THAT(
      Values(run, "outside", "namespace"),
      ElementsAre(std::filesystem::read_symlink("/proc/self/ns/uts").string()));
  EXPECT_EQ(run["kernel"], names.release);
}

TEST_P(UtsTest, ControlSharesTheNewNames) {
  const json run = RunJson();
  EXPECT_THAT(Values(run, "parent", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Values(run, "parent", "domain name"), ElementsAre("domain_001"));
  EXPECT_EQ(Values(run, "parent", "namespace"),
            Values(run, "child", "namespace"));
}

TEST_P(UtsTest, InsideHasNamesOfItsOwn) {
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "inside", "hostname"),
              ElementsAre("container_001", names.nodename))
      << "the new name, and before it a copy of the old one";
  EXPECT_NE(Values(run, "inside", "namespace"),
            Values(run, "outside", "namespace"));
  std::set<std::string> sources;
  for (const json& entry : run["evidence"]) {
    if (entry["side"] == "inside" && entry["value"] == "container_001") {
      sources.insert(entry["source"]);
    }
  }
  EXPECT_THAT(sources, ElementsAre("$ hostname", "/proc/sys/kernel/hostname",
                                   "uname(2)"));
}

TEST_P(UtsTest, ComparisonIsIsolatedInEveryRow) {
  const json run = RunJson();
  std::vector<std::string> probes;
  for (const json& row : run["comparison"]) {
    probes.push_back(row["probe"]);
    EXPECT_EQ(row["outside_before"], row["outside_after"]);
    EXPECT_NE(row["outside_before"], row["inside"]);
    EXPECT_EQ(row["verdict"], "isolated");
  }
  EXPECT_THAT(probes, ElementsAre("hostname", "domain name", "namespace"));
}

TEST_P(UtsTest, RootOfAUserNamespaceIsRefusedTheHostsName) {
  const json run = RunJson();
  std::vector<std::string> results;
  for (const json& call : run["calls"]) {
    if (call["side"] == "root") {
      results.push_back(call.value("errno", call["result"].dump()));
    }
  }
  EXPECT_THAT(results, ElementsAre("EPERM", "0", "0", "0"));
  EXPECT_EQ(Values(run, "root", "uid"), std::set<std::string>{"0"});
  std::set<std::string> owners = Values(run, "root", "user");
  owners.insert("EPERM");
  EXPECT_EQ(Values(run, "root", "UTS owner"), owners);
}

TEST_P(UtsTest, EveryClaimHolds) {
  const json run = RunJson();
  EXPECT_EQ(run["claims"].size(), 6U);
  for (const json& claim : run["claims"]) {
    EXPECT_EQ(claim["holds"], true) << claim["text"];
  }
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_EQ(run["exit_status"], 0);
}

TEST_P(UtsTest, SaysHowPrivilegedItRan) {
  const json run = RunJson();
  EXPECT_EQ(run["privilege"], as_nobody() ? "user namespace" : "root");
  EXPECT_THAT(RunUts().output,
              HasSubstr(as_nobody() ? ": root in a user namespace of its own"
                                    : ", as root.\n"));
}

TEST_P(UtsTest, ScreenTellsTheSameStoryIn80Columns) {
  const json run = RunJson();
  const Result result = RunUts();
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.errors, IsEmpty());
  for (const json& step : run["steps"]) {
    EXPECT_THAT(result.output,
                HasSubstr(fmt::format("\n{}  {}\n", step["number"].dump(),
                                      step["title"].get<std::string>())));
  }
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("inside   sethostname(\"container_001\", 13) = 0"),
            HasSubstr("6 of 6 claims hold.\n")));
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80U) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST_P(UtsTest, PageHasTheSameStepsAndClaims) {
  const json run = RunJson();
  const std::string page = ReadFile("docs/uts.md");
  for (const json& step : run["steps"]) {
    EXPECT_THAT(page,
                HasSubstr(fmt::format("\n### {}. {}\n", step["number"].dump(),
                                      step["title"].get<std::string>())));
  }
  for (const json& claim : run["claims"]) {
    EXPECT_THAT(page, HasSubstr(claim["text"].get<std::string>()));
  }
}

// The lines of a transcript, without what differs from run to run: numbers, the
// machine's name, and so the width of a column.
std::set<std::string> Lines(std::string text) {
  std::smatch host;
  std::regex_search(text, host, std::regex("outside +hostname +(\\S+)"));
  text = std::regex_replace(text, std::regex("\\b" + host[1].str() + "\\b"),
                            "HOST");
  text = std::regex_replace(text, std::regex("[0-9]+"), "0");
  text = std::regex_replace(text, std::regex(" +"), " ");
  std::set<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) found.insert(line);
  return found;
}

// What stands in a page's blocks of text.
std::string Blocks(const std::string& page) {
  std::string blocks;
  const std::string begin = "\n```text\n";
  for (std::size_t at = page.find(begin); at != std::string::npos;) {
    const std::size_t end = page.find("```\n", at + begin.size());
    blocks += page.substr(at + begin.size(), end - at - begin.size());
    at = page.find(begin, end);
  }
  return blocks;
}

TEST(UtsPage, ShowsWhatTheLessonPrints) {
  std::string blocks = Blocks(ReadFile("docs/uts.md"));
  blocks.erase(blocks.find("A shell inside"));
  // The opening, which differs from machine to machine, is the first two.
  const auto without_opening = [](const std::string& text) {
    return text.substr(text.find("1  Outside"));
  };
  EXPECT_EQ(Lines(without_opening(blocks)),
            Lines(without_opening(RunCommand({.program = kLesson}).output)));
}

TEST(UtsPage, ReadmeShowsAPartOfIt) {
  const std::string blocks = Blocks(ReadFile("README.md"));
  const std::set<std::string> shown =
      Lines(blocks.substr(blocks.find("\n3  Inside") + 1));
  const std::set<std::string> printed =
      Lines(RunCommand({.program = kLesson}).output);
  EXPECT_TRUE(std::ranges::includes(printed, shown));
}

TEST_P(UtsTest, RunsInsideItself) {
  const json run = RunJson([] { CallTheMachine("container_001"); });
  EXPECT_THAT(Values(run, "inside", "hostname"),
              ElementsAre("container_001", "container_002"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(UtsTest, FitsTheLongestHostname) {
  const std::string longest(64, 'h');
  const Result result = RunUts({}, [&] { CallTheMachine(longest); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, HasSubstr(longest));
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    std::size_t width = 0;
    for (const char c : line) width += (c & 0xC0) != 0x80 ? 1U : 0U;
    EXPECT_LE(width, 80U) << line;
  }
}

TEST_P(UtsTest, SurvivesAHostnameOfAnyBytes) {
  const auto rename = [] { CallTheMachine("\x1b[2J\xff\n"); };
  EXPECT_EQ(RunJson(rename)["verdict"], "holds");
  const Result result = RunUts({}, rename);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, Not(HasSubstr("\x1b")));
}

TEST_P(UtsTest, DoesWithoutTheToolAndSaysSo) {
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  EXPECT_EQ(RunJson(hide)["verdict"], "holds");
  EXPECT_THAT(RunUts({}, hide).output,
              HasSubstr("/proc/sys/kernel/hostname (hostname is not "
                        "installed)\n"));
}

TEST_P(UtsTest, CannotRunUnprivilegedWithoutUserNamespaces) {
  const auto forbid = [] {
    ForbidUserNamespaces();
    // uid 0 here, and yet no capability after the exec. capabilities(7).
    Check(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), "prctl(SECBIT_NOROOT)");
  };
  const json run = RunJson(forbid, 77);
  EXPECT_EQ(run["verdict"], "cannot run");
  EXPECT_EQ(run["privilege"], "none");
  EXPECT_THAT(run["cause"].get<std::string>(),
              HasSubstr("user.max_user_namespaces is 0"));
  const Result result = RunUts({}, forbid);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(
      result.errors,
      MatchesRegex("uts: unshare\\(CLONE_NEWUSER\\): No space left on device "
                   "\\(ENOSPC\\)\n  cause   user.max_user_namespaces is 0.*\n"
                   "  remedy  sudo sysctl user.max_user_namespaces=.*\n"));
}

TEST_P(UtsTest, SkipsTheClaimThatNeedsAUserNamespaceOfItsOwn) {
  const json run = RunJson(ForbidUserNamespaces);
  EXPECT_EQ(run["verdict"], "holds");
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("user.max_user_namespaces is 0"));
  }
  EXPECT_EQ(skipped, 1);
  EXPECT_THAT(RunUts({}, ForbidUserNamespaces).output,
              HasSubstr("5 of 5 claims hold, 1 skipped.\n"));
}

TEST_P(UtsTest, FailsOnAFullDisk) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--json"}}) {
    const Result result = RunUts(arguments, [] {
      Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
    });
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
  }
}

TEST_P(UtsTest, RefusesWrongUsage) {
  EXPECT_EQ(DescribeStatus(RunUts({"--nonsense"}).status), "exit status 2");
}

TEST_P(UtsTest, HasColorOnATerminalOnly) {
  const auto screen = [](const std::function<void()>& before) {
    Terminal terminal(
        {.program = kLesson, .as_nobody = as_nobody(), .before = before});
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
    return terminal.screen();
  };
  EXPECT_THAT(screen([] { setenv("TERM", "xterm", 1); }), HasSubstr("\x1b["));
  EXPECT_THAT(screen([] { setenv("TERM", "dumb", 1); }),
              Not(HasSubstr("\x1b")));
  EXPECT_THAT(screen([] { setenv("NO_COLOR", "1", 1); }),
              Not(HasSubstr("\x1b")));
}

TEST_P(UtsTest, EndsWith130OnCtrlC) {
  // A hostname(1) that never ends, so that the key is pressed in time.
  std::string folder = "/tmp/uts_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::permissions(folder, std::filesystem::perms(0755));
  const std::string tool = folder + "/hostname";
  WriteAll(Open(tool, O_WRONLY | O_CREAT, 0755).get(),
           "#!/bin/sh\nexec /bin/sleep 1000\n");
  Terminal terminal({.program = kLesson,
                     .as_nobody = as_nobody(),
                     .before = [&] { setenv("PATH", folder.c_str(), 1); }});
  terminal.ReadTo("1  Outside");
  terminal.Type("\x03");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(terminal.screen(), HasSubstr("interrupted"));
  EXPECT_THAT(Survivors(), IsEmpty());
  std::filesystem::remove_all(folder);
}

TEST_P(UtsTest, ShellIsInsideAndASecondTerminalCanJoin) {
  Terminal first(
      {.program = kLesson, .arguments = {"--shell"}, .as_nobody = as_nobody()});
  const std::string shown = first.ReadTo("[inside uts] ");
  first.ReadTo("root@container_001:");
  first.Type("readlink /proc/self/ns/uts | sed 's/^/link /'\n");
  first.ReadTo("\nlink ");
  std::string link = first.ReadTo("\n");
  link = link.substr(0, link.find('\r'));

  // What is typed here is not the reader's to find in ~/.bash_history.
  first.Type("echo \"history <$HISTFILE>\"\n");
  first.ReadTo("\nhistory <>");

  // What the lesson printed for the second terminal, typed there as it stands.
  std::vector<std::string> commands;
  std::istringstream lines(shown.substr(shown.find("In a second terminal")));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("     ")) continue;
    line = line.substr(line.find_first_not_of(' '));
    commands.push_back(line.substr(0, line.find('\r')));
    // The escapes that make it bold.
    while (commands.back().find('\x1b') != std::string::npos) {
      const std::size_t begin = commands.back().find('\x1b');
      commands.back().erase(begin,
                            commands.back().find('m', begin) - begin + 1);
    }
  }
  ASSERT_EQ(commands.size(), 3U) << shown;
  const auto type = [](const std::string& command) {
    const Result result = RunCommand({.function = [&] {
      if (as_nobody() && IsRoot()) BecomeNobody();
      return execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    }});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << command << "\n"
                                                              << result.errors;
    return result.output;
  };
  EXPECT_EQ(type(commands[0] + " hostname"), "container_001\n");
  EXPECT_EQ(type(commands[0] + " readlink /proc/self/ns/uts"), link + "\n");
  EXPECT_THAT(type(commands[1]), HasSubstr(link));
  EXPECT_THAT(type(commands[2]), HasSubstr("         0 "));

  first.Type("sleep 1000 &\nexit\n");
  EXPECT_EQ(DescribeStatus(first.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

}  // namespace
}  // namespace steps
