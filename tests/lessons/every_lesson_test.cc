// What every lesson has in common: its command line, its exit statuses, its
// page, its shell.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "tests/support/graph.h"
#include "tests/support/lesson_run.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class EveryLesson : public testing::TestWithParam<LessonAndUser> {
 protected:
  void SetUp() override {
    if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
  }

  static std::string lesson() { return GetParam().first; }
  static bool as_nobody() { return GetParam().second; }

  // To whom no cgroup is delegated may make none.
  static bool may_skip() {
    return as_nobody() && (lesson() == "cgroup" || lesson() == "container");
  }

  // What an ordinary user is shown to have. The lesson user is about making a
  // user namespace, and is not given one first.
  static std::string Privilege() {
    if (!as_nobody()) return "root";
    return lesson() == "user" ? "none" : "user namespace";
  }

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
    if (may_skip() && claim["holds"].is_null()) continue;
    EXPECT_EQ(claim["holds"], true) << claim;
  }
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_EQ(run["exit_status"], 0);
}

TEST_P(EveryLesson, SaysHowPrivilegedItRan) {
  const std::map<std::string, std::string> words = {
      {"root", ", as root.\n"},
      {"user namespace", ", root in a new user namespace.\n"},
      {"none", fmt::format(", as uid {}.\n", IsRoot() ? 65534 : geteuid())}};
  EXPECT_EQ(RunJson()["privilege"], Privilege());
  EXPECT_THAT(Run().output, HasSubstr(words.at(Privilege())));
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
  const auto skipped = std::ranges::count(
      run["claims"], nullptr, [](const json& claim) { return claim["holds"]; });
  const std::string end =
      skipped == 0 ? "" : fmt::format(", {} skipped", skipped);
  EXPECT_THAT(result.output,
              HasSubstr(fmt::format("\n{0} of {0} claims hold{1}.\n",
                                    run["claims"].size() - skipped, end)));
  ExpectFits80Columns(result.output);
}

// Without the ends of lines and the blanks that put words into columns.
std::string Unfolded(const std::string& text) {
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

TEST_P(EveryLesson, AsksOneQuestionBeforeAStepAndAnswersItAfterwards) {
  std::string folder = "/tmp/every_lesson_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::permissions(folder, std::filesystem::perms(0777));
  const std::string file = folder + "/run.json";
  const std::string shown = Unfolded(Run({"--save", file}).output);
  const json run = json::parse(ReadFile(file));
  std::filesystem::remove_all(folder);

  ASSERT_EQ(run["questions"].size(), 1U);
  const json& question = run["questions"][0];
  const std::vector<std::string> answers = question["answers"];
  EXPECT_THAT(answers, SizeIs(4));
  const std::string found = question.value("found", "");
  ASSERT_THAT(answers, Contains(found)) << question;
  const auto right = std::ranges::find(answers, found);
  EXPECT_EQ(std::set(answers.begin(), answers.end()).size(), answers.size());

  std::string asked = "question " + question["text"].get<std::string>();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    asked += fmt::format(" {} {}", i + 1, answers[i]);
  }
  const std::string answered =
      fmt::format("answer {}: {}. {}", right - answers.begin() + 1, found,
                  question["reason"].get<std::string>());
  const std::size_t before = shown.find(asked);
  const std::size_t after = shown.find(answered);
  ASSERT_NE(before, std::string::npos) << asked << "\n" << shown;
  ASSERT_NE(after, std::string::npos) << answered << "\n" << shown;
  ASSERT_LT(before, after);
  const std::size_t begin = before + asked.size();
  const std::string between = shown.substr(begin, after - begin);
  EXPECT_TRUE(std::ranges::any_of(run["steps"], [&](const json& step) {
    return between.starts_with(fmt::format(" {} {} ", step["number"].dump(),
                                           step["title"].get<std::string>()));
  })) << between;
}

// The lines of a Markdown document that stand in no block of code, and without
// the backslashes that escape. Fails the test where a block is not closed.
std::vector<std::string> ProseOf(const std::string& markdown) {
  std::vector<std::string> prose;
  bool in_block = false;
  std::istringstream lines(markdown);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      EXPECT_EQ(line == "```", in_block) << line;
      in_block = !in_block;
    } else if (!in_block) {
      prose.push_back(
          std::regex_replace(line, std::regex(R"re(\\([^\w\s]))re"), "$1"));
    }
  }
  EXPECT_FALSE(in_block);
  return prose;
}

TEST_P(EveryLesson, TellsTheSameStoryInMarkdown) {
  const json run = RunJson();
  const Result result = Run({"--markdown", "--code"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_TRUE(result.output.starts_with("# "));
  const std::vector<std::string> prose = ProseOf(result.output);
  for (const json& step : run["steps"]) {
    EXPECT_THAT(prose, Contains(fmt::format("## {}. {}", step["number"].dump(),
                                            step["title"].get<std::string>())));
  }
  for (const json& claim : run["claims"]) {
    const bool holds = claim["holds"] == true;
    EXPECT_THAT(prose, Contains(StartsWith(fmt::format(
                           "- **{}** {}", holds ? "holds" : "skipped",
                           claim["text"].get<std::string>()))));
  }
  EXPECT_THAT(
      prose,
      Contains(StartsWith(fmt::format(
          "**{0} of {0} claims hold",
          std::ranges::count(run["claims"], json(true), [](const json& claim) {
            return claim["holds"];
          })))));
  EXPECT_THAT(result.output, HasSubstr("\n    lessons/" + lesson()));
}

TEST_P(EveryLesson, HasRowsOfOneLengthInItsMarkdown) {
  std::size_t tables = 0;
  std::size_t columns = 0;
  std::istringstream lines(Run({"--markdown"}).output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) {
      columns = 0;
      continue;
    }
    const auto cells = std::regex_replace(line, std::regex(R"re(\\.)re"), "");
    const auto found = static_cast<std::size_t>(std::ranges::count(cells, '|'));
    if (columns == 0) ++tables;
    EXPECT_TRUE(columns == 0 || columns == found) << line;
    columns = found;
  }
  EXPECT_GE(tables, 1U);
}

TEST_P(EveryLesson, IsRecordedAsATerminalShowsIt) {
  const json run = RunJson();
  const Descriptor file(Check(memfd_create("cast", 0), "memfd_create()"));
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  const Result result = Run({"--code", "--color=always", "--cast", path});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;

  std::istringstream lines(ReadFile(path));
  std::string line;
  std::getline(lines, line);
  const json header = json::parse(line);
  EXPECT_EQ(header["version"], 2);
  EXPECT_EQ(header["title"], run["title"]);
  double time = 0;
  std::string played;
  std::vector<std::string> markers;
  while (std::getline(lines, line)) {
    const json event = json::parse(line);
    ASSERT_EQ(event.size(), 3U) << line;
    EXPECT_GE(event[0], time) << line;
    time = event[0];
    (event[1] == "m" ? markers.emplace_back() : played) += event[2];
  }
  std::vector<std::string> steps;
  for (const json& step : run["steps"]) {
    steps.push_back(fmt::format("{}. {}", step["number"].dump(),
                                step["title"].get<std::string>()));
  }
  EXPECT_EQ(markers, steps);
  EXPECT_EQ(std::regex_replace(played, std::regex("\r\n"), "\n"),
            result.output);
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

// The inode numbers of a process's namespaces, by the kind's name.
std::map<std::string, std::string> Inodes(pid_t pid) {
  std::map<std::string, std::string> inodes;
  for (const auto& [flag, id] : NamespacesOf(pid)) {
    inodes[std::string(KindOf(flag).name)] = fmt::to_string(id.inode);
  }
  return inodes;
}

// The process that is inside, as --shell names it for a second terminal.
pid_t InsideOf(const std::string& shown) {
  const std::string words = "cat /proc/";
  const std::size_t hint = shown.find("In a second terminal");
  return std::stoi(shown.substr(shown.find(words, hint) + words.size()));
}

TEST_P(EveryLesson, DrawsWhatOutsideAndInsideShare) {
  const Result result = Run({"--dot"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.errors, IsEmpty());
  std::map<std::string, Drawn> drawn = ReadGraph(result.output);
  ASSERT_THAT(drawn, SizeIs(3));
  const std::map<std::string, std::string> home = Inodes(getpid());
  EXPECT_EQ(drawn["before outside"].namespaces, home);

  // What /proc says of both sides, in a run that stays.
  Terminal terminal(LessonCommand({"--shell"}));
  const pid_t pid = InsideOf(terminal.ReadTo("[inside " + lesson() + "] "));
  const auto proc_outside = Inodes(terminal.pid());
  const auto proc_inside = Inodes(pid);
  Drawn& outside = drawn["after outside"];
  Drawn& inside = drawn["after inside"];
  for (const auto& [kind, inode] : home) {
    const bool shared = proc_inside.at(kind) == proc_outside.at(kind);
    EXPECT_EQ(inside.namespaces[kind] == outside.namespaces[kind], shared)
        << kind;
    EXPECT_EQ(inside.boxes[kind], shared ? "shared by both" : "inside alone")
        << kind;
    EXPECT_EQ(outside.boxes[kind], shared ? "shared by both" : "outside alone")
        << kind;
    EXPECT_EQ(inside.is_new[kind], proc_inside.at(kind) != inode) << kind;
    EXPECT_EQ(outside.is_new[kind], proc_outside.at(kind) != inode) << kind;
    EXPECT_EQ(outside.namespaces[kind] != inode, outside.is_new[kind]) << kind;
  }
  EXPECT_EQ(inside.namespaces.size(), home.size());
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

// What stands out in a drawing: its titles, who shares what, what is new.
std::multiset<std::string> BoldTexts(const std::string& svg) {
  static const std::regex kText(" font-weight=\"bold\"[^>]*>([^<]*)</text>");
  std::multiset<std::string> texts;
  for (std::sregex_iterator text(svg.begin(), svg.end(), kText), end;
       text != end; ++text) {
    texts.insert(
        std::regex_replace((*text)[1].str(), std::regex("[0-9]+"), "0"));
  }
  return texts;
}

TEST_P(EveryLesson, DrawsWhatItsPageShows) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  const Result result = Run({"--svg"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_THAT(result.output, AllOf(StartsWith("<?xml "), EndsWith("</svg>\n")));
  const std::multiset<std::string> texts = BoldTexts(result.output);
  EXPECT_THAT(texts, Contains("inside alone"));

  if (as_nobody()) return;  // The pages show runs as root.
  EXPECT_NE(Page().find("](" + lesson() + ".svg)\n"), std::string::npos);
  EXPECT_EQ(texts, BoldTexts(ReadFile(fmt::format("docs/{}.svg", lesson()))));
}

// The words of a transcript, one a line, in their order: without the ends of
// lines, and without what differs from run to run and from machine to machine:
// its name and kernel, long numbers such as PIDs and inodes, dates and times.
std::string Words(std::string text) {
  // A string that is wider than the screen was cut where it happened to end.
  text = std::regex_replace(
      text, std::regex("(\n[^\"\n]*\"[^\"\n]*)\n +([^ \"\n]*\")"), "$1$2");
  text = std::regex_replace(text, std::regex("\"\\s+,"), "\",");
  std::smatch host;
  if (std::regex_search(text, host,
                        std::regex("(?:outside|inside) +hostname +(\\S+)"))) {
    text = std::regex_replace(text, std::regex("\\b" + host[1].str() + "\\b"),
                              "HOST");
  }
  for (const auto& [differs, stands] :
       std::vector<std::pair<const char*, const char*>>{
           {"(Linux|kernel +)( ?[0-9][^ ,\n]*)", "$1 RELEASE"},
           {"[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"},
           {"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"},
           {"(interfaces +|entries in / +)[0-9]+( +[0-9]+)?( +[0-9]+)?", "$1N"},
           {"(shared|master):[0-9]+", "$1:N"},
           {"(\"[0-9]{3,}\"), [0-9]+\\) = [0-9]+", "$1, N) = N"},
           {"(…|/[^ \n]*)?/steps-[0-9a-f-]+", "CGROUP"},
           {"0x[0-9a-f]{3,}|[0-9]+\\.[0-9]+|[0-9]{3,}", "N"},
           {"\\s+", "\n"}}) {
    text = std::regex_replace(text, std::regex(differs), stands);
  }
  return text;
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
  if (getpid() < 100) GTEST_SKIP() << "PIDs here look like other numbers";
  std::string blocks = Blocks(Page());
  blocks.erase(blocks.find("A shell inside"));
  EXPECT_EQ(Words(blocks), Words(Run().output));
}

TEST_P(EveryLesson, DoesWithoutToolsAndSaysSo) {
  const std::regex tool("\\$ [a-z]+ |[a-z]\\(1\\)");
  const std::regex none(" is not installed| no [a-z]+\\(1\\)");
  const bool has_tools = std::regex_search(Run().output, tool);
  const Result result = Run({}, [] { setenv("PATH", "/nonexistent", 1); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_EQ(std::regex_search(result.output, none), has_tools);
}

// As `podman run --user USER --cap-add SYS_ADMIN` makes one.
void BecomeNobodyWithOneCapability() {
  MUST(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  BecomeNobody();
  const std::unique_ptr<void, int (*)(void*)> one(
      cap_from_text("cap_sys_admin=eip"), cap_free);
  Check(cap_set_proc(static_cast<cap_t>(one.get())), "cap_set_proc()");
  Check(cap_set_ambient(CAP_SYS_ADMIN, CAP_SET), "cap_set_ambient()");
}

TEST(AllLessons, HoldForAUserWithOneCapability) {
  if (!IsRoot()) GTEST_SKIP() << "only root can give one";
  for (const std::string& lesson : LessonNames()) {
    const Result result = RunCommand({.program = "lessons/" + lesson,
                                      .before = BecomeNobodyWithOneCapability});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0")
        << lesson << result.output << result.errors;
  }
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
                   ": (unshare|clone)\\(CLONE_NEWUSER.*\\): No space left on "
                   "device "
                   "\\(ENOSPC\\)\n  cause   user.max_user_namespaces is 0.*\n"
                   "  remedy  with root's capabilities: sysctl "
                   "user.max_user_namespaces=.*\n"));
}

TEST_P(EveryLesson, FailsOnAFullDisk) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--json"}, {"--markdown"}}) {
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

TEST_P(EveryLesson, ListsTheLinesOfItsSource) {
  const auto lines_of = [](const std::string& path) {
    std::vector<std::string> lines = {""};
    std::istringstream stream(ReadFile(path));
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  };
  const std::string output = Run({"--code"}).output;
  ExpectFits80Columns(output);
  EXPECT_THAT(output, HasSubstr("\n    lessons/" + lesson()));
  std::istringstream shown(output);
  const std::regex listed("(  [0-9]| [0-9]{2}|[0-9]{3})(| .*)");
  const std::regex file("    (lessons/" + lesson() + "([_/]\\w+)?\\.cc)");
  std::vector<std::string> lines;
  std::size_t count = 0;
  for (std::string line; std::getline(shown, line);) {
    std::smatch match;
    if (std::regex_match(line, match, file)) {
      // Sources in a directory cannot lie beside the program of that name.
      const std::string path = match[1];
      const bool in_directory = path.starts_with("lessons/" + lesson() + "/");
      lines = in_directory ? std::vector<std::string>() : lines_of(path);
    }
    if (!std::regex_match(line, match, listed)) continue;
    ++count;
    if (lines.empty()) continue;
    const std::size_t number = std::stoul(match[1]);
    ASSERT_LT(number, lines.size()) << line;
    const std::string text = match[2].str().substr(match[2].length() > 0);
    EXPECT_THAT(lines[number], testing::EndsWith(text)) << line;
  }
  EXPECT_GT(count, 15U);
}

constexpr const char* kPrompt = "q Enter: quit]";

// What a lesson shows between two pauses.
std::vector<std::string> Pages(const Command& command) {
  Terminal terminal(command);
  std::vector<std::string> pages;
  while (const auto page = terminal.ReadToOrEnd(kPrompt)) {
    pages.push_back(*page);
    terminal.Type("\n");
  }
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  return pages;
}

TEST_P(EveryLesson, StopsBeforeEachStepAndWhereTheScreenIsFull) {
  const std::vector<std::string> pages =
      Pages(LessonCommand({"--step", "--code", "--color=never"}));
  std::size_t steps = 0;
  const std::regex code("\n *[0-9]+ [^ ]");
  for (const std::string& page : pages) {
    EXPECT_LE(std::ranges::count(page, '\n'), 24) << page;
    const std::sregex_iterator lines(page.begin(), page.end(), code);
    EXPECT_LE(std::distance(lines, {}), 12) << page;
    if (page.find("Enter: run this step") != std::string::npos) ++steps;
  }
  EXPECT_EQ(steps, RunJson()["steps"].size());
}

TEST_P(EveryLesson, QuitsAtAnyPauseAndLeavesNothing) {
  const Command command = LessonCommand({"--step", "--color=never"});
  const std::size_t pauses = Pages(command).size();
  for (std::size_t passed = 0; passed < pauses; ++passed) {
    Terminal terminal(command);
    for (std::size_t pause = 0; pause <= passed; ++pause) {
      terminal.ReadTo(kPrompt);
      terminal.Type(pause == passed ? "q\n" : "\n");
    }
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
    EXPECT_THAT(Survivors(), IsEmpty()) << "after " << passed << " pauses";
  }
}

TEST_P(EveryLesson, HasAShellInsideBetweenTwoSteps) {
  Terminal terminal(LessonCommand({"--step", "--color=never"}));
  while (true) {
    const auto page = terminal.ReadToOrEnd(kPrompt);
    ASSERT_TRUE(page) << "there was no inside";
    if (page->find("s Enter: a shell inside") != std::string::npos) break;
    terminal.Type("\n");
  }
  terminal.Type("s\n");
  terminal.ReadTo("[inside " + lesson() + "] ");
  terminal.Type("exit\n");
  terminal.ReadTo(kPrompt);
  terminal.Type("q\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_P(EveryLesson, GoesOnByItself) {
  const Result result = Run({"--auto", "0.001"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_EQ(Words(result.output), Words(Run().output));
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

TEST(Recording, IsShownByAPlayerAsALessonIsByATerminal) {
  const Descriptor file(Check(memfd_create("cast", 0), "memfd_create()"));
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  const Result result =
      RunCommand({.program = "lessons/uts",
                  .arguments = {"--color=always", "--cast", path}});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;

  std::string folder = testing::TempDir() + "/asciinema.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  constexpr int kNotInstalled = 127;
  Terminal terminal({.function = [&] {
    setenv("ASCIINEMA_CONFIG_HOME", folder.c_str(), 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    execlp("asciinema", "asciinema", "play", "--speed", "1000", path.c_str(),
           nullptr);
    return errno == ENOENT ? kNotInstalled : EXIT_FAILURE;
  }});
  const int status = terminal.Await();
  std::filesystem::remove_all(folder);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotInstalled) {
    GTEST_SKIP() << "asciinema is not installed";
  }
  EXPECT_EQ(DescribeStatus(status), "exit status 0");
  EXPECT_EQ(std::regex_replace(terminal.screen(), std::regex("\r\n"), "\n"),
            result.output);
}

TEST(Readme, ShowsWhatALessonPrints) {
  if (!IsRoot()) GTEST_SKIP() << "the pages show runs as root";
  const std::string printed =
      Words(RunCommand({.program = "lessons/uts"}).output);
  // Two steps, one behind the other, before the first heading.
  const std::string page = ReadFile("README.md");
  const std::string shown = Words(Blocks(page.substr(0, page.find("\n## "))));
  EXPECT_GT(shown.size(), 500U);
  EXPECT_NE(printed.find(shown), std::string::npos) << shown;
}

}  // namespace
}  // namespace steps
