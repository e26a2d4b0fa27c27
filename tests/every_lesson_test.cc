// What every lesson has in common: its command line, its exit statuses, its
// page, its shell.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "tests/lesson_run.h"
#include "tests/lessons.h"
#include "tests/process.h"
#include "tests/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class EveryLesson : public testing::TestWithParam<LessonAndUser> {
 protected:
  void SetUp() override {
    if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
  }

  static std::string lesson() { return GetParam().first; }
  static bool as_nobody() { return GetParam().second; }

  static Command LessonCommand(
      const std::vector<std::string>& arguments = {},
      const std::function<void()>& before = [] {}) {
    return {.program = "lessons/" + lesson(),
            .arguments = arguments,
            .as_nobody = as_nobody(),
            .before = before};
  }

  static Result Run(
      const std::vector<std::string>& arguments = {},
      const std::function<void()>& before = [] {}) {
    return RunCommand(LessonCommand(arguments, before));
  }

  static json RunJson() { return json::parse(Run({"--json"}).output); }

  static std::string Page() {
    return ReadFile(fmt::format("docs/{}.md", lesson()));
  }
};

INSTANTIATE_TEST_SUITE_P(Is, EveryLesson, testing::ValuesIn(LessonsAndUsers()),
                         LessonName);

TEST_P(EveryLesson, ProvesEveryClaim) {
  const Result result = Run({"--json"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.errors, IsEmpty());
  const json run = json::parse(result.output);
  EXPECT_EQ(SchemaErrors(run), "");
  EXPECT_FALSE(run["claims"].empty());
  for (const json& claim : run["claims"]) {
    EXPECT_EQ(claim["holds"], true) << claim;
  }
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_EQ(run["exit_status"], 0);
}

TEST_P(EveryLesson, SaysHowPrivilegedItRan) {
  EXPECT_EQ(RunJson()["privilege"], as_nobody() ? "user namespace" : "root");
  EXPECT_THAT(Run().output,
              HasSubstr(as_nobody() ? ": root in a user namespace of its own"
                                    : ", as root.\n"));
}

TEST_P(EveryLesson, TellsTheSameStoryOnAScreenOf80Columns) {
  const json run = RunJson();
  const Result result = Run();
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.errors, IsEmpty());
  for (const json& step : run["steps"]) {
    EXPECT_THAT(result.output,
                HasSubstr(fmt::format("\n{}  {}\n", step["number"].dump(),
                                      step["title"].get<std::string>())));
  }
  EXPECT_THAT(result.output,
              HasSubstr(fmt::format("\n{0} of {0} claims hold.\n",
                                    run["claims"].size())));
  ExpectFits80Columns(result.output);
}

TEST_P(EveryLesson, HasAPageWithItsStepsAndClaims) {
  const json run = RunJson();
  const std::string page = Page();
  const auto expect = [&page](const std::string& text) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  };
  for (const json& step : run["steps"]) {
    expect(fmt::format("\n### {}. {}\n", step["number"].dump(),
                       step["title"].get<std::string>()));
  }
  for (const json& claim : run["claims"]) {
    expect(". " + claim["text"].get<std::string>() + "\n");
  }
}

// The lines of a transcript, without what differs from run to run: numbers, the
// machine's name, and so the width of a column.
std::set<std::string> Lines(std::string text) {
  std::smatch host;
  if (std::regex_search(text, host, std::regex("outside +hostname +(\\S+)"))) {
    text = std::regex_replace(text, std::regex("\\b" + host[1].str() + "\\b"),
                              "HOST");
  }
  text = std::regex_replace(text, std::regex("0x[0-9a-f]+|[0-9]+"), "0");
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

TEST_P(EveryLesson, PrintsWhatItsPageShows) {
  if (as_nobody()) GTEST_SKIP() << "the pages show runs as root";
  std::string blocks = Blocks(Page());
  blocks.erase(blocks.find("A shell inside"));
  // The opening, which differs from machine to machine, stands before step 1.
  const auto steps = [](const std::string& text) {
    return Lines(text.substr(text.find("\n1  ")));
  };
  EXPECT_EQ(steps(blocks), steps(Run().output));
}

TEST_P(EveryLesson, DoesWithoutToolsAndSaysSo) {
  const bool has_tools = Run().output.find("$ ") != std::string::npos;
  const Result result = Run({}, [] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_EQ(result.output.find(" is not installed)") != std::string::npos,
            has_tools);
}

TEST_P(EveryLesson, CannotRunUnprivilegedWithoutUserNamespaces) {
  const auto forbid = [] {
    ForbidUserNamespaces();
    // uid 0 here, and yet no capability after the exec. capabilities(7).
    Check(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), "prctl(SECBIT_NOROOT)");
  };
  const Result document = Run({"--json"}, forbid);
  EXPECT_EQ(DescribeStatus(document.status), "exit status 77");
  const json run = json::parse(document.output);
  EXPECT_EQ(SchemaErrors(run), "");
  EXPECT_EQ(run["verdict"], "cannot run");
  EXPECT_EQ(run["privilege"], "none");
  EXPECT_THAT(run["cause"].get<std::string>(),
              HasSubstr("user.max_user_namespaces is 0"));
  const Result result = Run({}, forbid);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(
      result.errors,
      MatchesRegex(lesson() +
                   ": unshare\\(CLONE_NEWUSER\\): No space left on device "
                   "\\(ENOSPC\\)\n  cause   user.max_user_namespaces is 0.*\n"
                   "  remedy  sudo sysctl user.max_user_namespaces=.*\n"));
}

TEST_P(EveryLesson, FailsOnAFullDisk) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--json"}}) {
    const Result result = Run(arguments, [] {
      Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
    });
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
  }
}

TEST_P(EveryLesson, RefusesWrongUsage) {
  const Result result = Run({"--nonsense"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
  EXPECT_THAT(result.errors, HasSubstr("--nonsense"));
  EXPECT_THAT(result.output, IsEmpty());
}

TEST_P(EveryLesson, HelpsWithinEightyColumns) {
  const Result result = Run({"--help"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.output, HasSubstr("bazel run //lessons:" + lesson()));
  ExpectFits80Columns(result.output);
}

TEST_P(EveryLesson, HasColorOnATerminalOnly) {
  const auto screen = [](const std::function<void()>& before) {
    Terminal terminal(LessonCommand({}, before));
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
    return terminal.screen();
  };
  EXPECT_THAT(screen([] { setenv("TERM", "xterm", 1); }), HasSubstr("\x1b["));
  EXPECT_THAT(screen([] { setenv("TERM", "dumb", 1); }),
              Not(HasSubstr("\x1b")));
  EXPECT_THAT(screen([] { setenv("NO_COLOR", "1", 1); }),
              Not(HasSubstr("\x1b")));
}

TEST_P(EveryLesson, HasAShellThatASecondTerminalCanJoin) {
  Terminal first(LessonCommand({"--shell"}));
  const std::string shown = first.ReadTo("[inside " + lesson() + "] ");

  // What the lesson printed for the second terminal, typed there as it stands.
  std::vector<std::string> commands;
  std::istringstream lines(
      WithoutColor(shown.substr(shown.find("In a second terminal"))));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("     ")) continue;
    line = line.substr(line.find_first_not_of(' '));
    commands.push_back(line.substr(0, line.find('\r')));
  }
  const auto type = [](const std::string& command) {
    const Result result = RunCommand({.function = [&] {
      if (as_nobody() && IsRoot()) BecomeNobody();
      return execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    }});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << command << "\n"
                                                              << result.errors;
    return result.output;
  };
  // The namespaces that the lesson names are the shell's own …
  ASSERT_GE(commands.size(), 3U) << shown;
  const std::string& nsenter = commands.back();
  const std::string links = type(commands[0]);
  std::istringstream each(links);
  for (std::string link; std::getline(each, link);) {
    const std::string kind = link.substr(0, link.find(':'));
    first.Type(fmt::format("echo found $(readlink /proc/self/ns/{})\n", kind));
    first.ReadTo("\nfound ");
    EXPECT_EQ(first.ReadTo("\r\n"), link + "\r\n");
    // … and those that nsenter joins.
    EXPECT_EQ(type(fmt::format("{} readlink /proc/self/ns/{}", nsenter, kind)),
              link + "\n");
  }
  EXPECT_THAT(type(commands[1]), HasSubstr("         0 "));
  // The lesson setns joins it as well, where it is about one kind.
  const std::string bazel = "bazel run //lessons:setns -- ";
  if (commands[2].starts_with(bazel)) {
    std::istringstream words(commands[2].substr(bazel.size()));
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    const std::string kind = arguments[0].substr(arguments[0].rfind('/') + 1);
    arguments.insert(arguments.end(), {"readlink", "/proc/self/ns/" + kind});
    const Result joined = RunCommand({.program = "lessons/setns",
                                      .arguments = arguments,
                                      .as_nobody = as_nobody()});
    EXPECT_EQ(DescribeStatus(joined.status), "exit status 0") << joined.errors;
    EXPECT_THAT(joined.output, MatchesRegex(kind + ":\\[[0-9]+\\]\n"));
    EXPECT_THAT(links, HasSubstr(joined.output));
  }

  first.Type("sleep 1000 &\nexit\n");
  EXPECT_EQ(DescribeStatus(first.Await()), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(Readme, ShowsWhatALessonPrints) {
  if (!IsRoot()) GTEST_SKIP() << "the pages show runs as root";
  // Its blocks begin with the lesson; those behind its last line are others'.
  std::string blocks = Blocks(ReadFile("README.md"));
  blocks.erase(blocks.find("Look around inside"));
  const std::set<std::string> shown =
      Lines(blocks.substr(blocks.find("\n3  Inside") + 1));
  const std::set<std::string> printed =
      Lines(RunCommand({.program = "lessons/uts"}).output);
  EXPECT_TRUE(std::ranges::includes(printed, shown));
}

}  // namespace
}  // namespace steps
