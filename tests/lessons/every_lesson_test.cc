// What every lesson has in common: each form, its page, its shell, its status.

#include <fmt/ranges.h>

#include <list>

#include "common/show/show.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

class EveryLesson : public LessonTest {
 protected:
  // To whom no cgroup is delegated may make none.
  static bool may_skip() {
    return as_nobody() && (lesson() == "cgroup" || lesson() == "container");
  }

  // The lesson user is about making a user namespace, and is given none first.
  static std::string Privilege() {
    if (!as_nobody()) return "root";
    return lesson() == "user" ? "none" : "user namespace";
  }

  static std::string Page() {
    return ReadFile(fmt::format("docs/{}.md", lesson()));
  }
};

INSTANTIATE_TEST_SUITE_P(Is, EveryLesson, ValuesIn(ForBothUsers(LessonNames())),
                         LessonName);

TEST_P(EveryLesson, ProvesEveryClaimAndAsksOneQuestion) {
  const json run = RunJson();
  EXPECT_EQ(run["verdict"], "holds");
  EXPECT_EQ(run["privilege"], Privilege());
  EXPECT_FALSE(run["claims"].empty());
  EXPECT_TRUE(may_skip() || Skipped(run).empty());
  ASSERT_THAT(run["questions"], SizeIs(1));
  const std::set<std::string> answers = run["questions"][0]["answers"];
  EXPECT_THAT(answers,
              AllOf(SizeIs(4), Contains(run["questions"][0]["found"])));
}

// None of the output is hard-coded.
TEST_P(EveryLesson, SeesOutsideWhatThisTestSees) {
  const json run = RunJson();
  const std::regex link("/proc/([0-9]+|self)(/ns/\\w+)");
  for (const json& entry : run["evidence"]) {
    if (entry.value("process", "") != "outside") continue;
    const json& value = entry["value"];
    const std::string source = entry["source"];
    std::smatch match;
    if (entry["probe"] == "hostname") {
      EXPECT_EQ(value, Uname().nodename);
    } else if (entry["probe"] == "NIS domain") {
      EXPECT_EQ(value, Uname().domainname);
    } else if (std::regex_match(source, match, link)) {
      const bool is_new =
          match[2] == "/ns/user" && Privilege() == "user namespace";
      EXPECT_EQ(value != ReadLink("/proc/self" + match.str(2)), is_new)
          << entry;
    }
  }
}

TEST_P(EveryLesson, TellsTheSameStoryInMarkdownAndOnItsPage) {
  const json run = RunJson();
  const std::string article = Run({"--markdown", "--code"}).output;
  EXPECT_THAT(article, AllOf(StartsWith("# "), HasSubstr("\n| "),
                             HasSubstr("\n    lessons/" + lesson())));
  // Without blocks of code, and without the backslashes that escape.
  std::string prose = std::regex_replace(
      article, std::regex("\n```[a-z]+\n[\\s\\S]*?\n```\n"), "\n");
  prose = std::regex_replace(prose, std::regex(R"re(\\([^\w\s]))re"), "$1");
  EXPECT_THAT(prose, Not(HasSubstr("\n```")));
  const std::string page = Page();
  for (const json& step : run["steps"]) {
    const std::string title = fmt::format("# {}. {}\n", step["number"].dump(),
                                          step["title"].get<std::string>());
    EXPECT_THAT(prose, HasSubstr("\n#" + title));
    EXPECT_THAT(page, HasSubstr("\n##" + title));
  }
  for (const json& claim : run["claims"]) {
    const std::string text = claim["text"];
    const char* verdict = claim["holds"] == true ? "holds" : "skipped";
    EXPECT_THAT(prose, HasSubstr(fmt::format("\n- **{}** {}", verdict, text)));
    EXPECT_THAT(page, HasSubstr(". " + text + "\n"));
  }
}

// The commands that a lesson with --shell prints for a second terminal.
Words CommandsIn(const std::string& shown) {
  return Matches(WithoutColor(shown.substr(shown.find("In a second terminal"))),
                 "\n      *([^ \r\n][^\r\n]*)");
}

TEST_P(EveryLesson, DrawsWhatOutsideAndInsideShare) {
  std::map<std::string, Drawn> drawn = ReadGraph(Run({"--dot"}).output);
  ASSERT_THAT(drawn, SizeIs(3));
  Drawn& before = drawn["before outside"];
  Drawn& outside = drawn["after outside"];
  Drawn& inside = drawn["after inside"];

  // What /proc says of both sides, in a run that stays.
  Terminal terminal(Lesson({"--shell"}));
  const std::string commands = terminal.ReadTo("[inside " + lesson() + "] ");
  const std::string pid = Matches(commands, "cat /proc/([0-9]+)/uid_map").at(0);
  const auto proc_outside = NamespacesOf(terminal.pid());
  const auto proc_inside = NamespacesOf(std::stoi(pid));
  const auto home = NamespacesOf(getpid());
  for (const Drawn* each : {&before, &outside, &inside}) {
    EXPECT_THAT(each->namespaces, SizeIs(home.size()));
  }
  EXPECT_THAT(inside.facts, Contains(Pair("PID outside", Not(IsEmpty()))));
  for (const auto& [flag, id] : home) {
    const std::string kind(KindOf(flag).name);
    SCOPED_TRACE(kind);
    const std::string inode = fmt::to_string(id.inode);
    EXPECT_EQ(before.namespaces[kind], inode);
    const bool shared = proc_inside.at(flag) == proc_outside.at(flag);
    EXPECT_EQ(inside.namespaces[kind] == outside.namespaces[kind], shared);
    EXPECT_EQ(inside.boxes[kind], shared ? "shared by both" : "inside alone");
    EXPECT_EQ(outside.boxes[kind], shared ? "shared by both" : "outside alone");
    EXPECT_EQ(inside.is_new[kind], proc_inside.at(flag) != id);
    EXPECT_EQ(outside.is_new[kind], proc_outside.at(flag) != id);
    EXPECT_EQ(outside.namespaces[kind] != inode, outside.is_new[kind]);
  }
  EXPECT_EQ(terminal.Talk({{"", "exit\n"}}), "exit status 0");
}

// What a drawing is about: who shares what, what is new.
Words MainTexts(const std::string& svg) {
  Words texts =
      Matches(std::regex_replace(svg, std::regex("[0-9]+"), "0"),
              ">(before|after|its namespaces|shared by both|\\w+ alone|"
              "0 \\w+ new)</text>");
  std::ranges::sort(texts);
  return texts;
}

TEST_P(EveryLesson, DrawsWhatItsPageShows) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  if (as_nobody()) GTEST_SKIP() << "the pages show runs as root";
  const std::string svg = Run({"--svg"}).output;
  EXPECT_THAT(svg, AllOf(StartsWith("<?xml "), EndsWith("</svg>\n")));
  EXPECT_THAT(MainTexts(svg), Contains("inside alone"));
  EXPECT_THAT(Page(), HasSubstr("](" + lesson() + ".svg)\n"));
  EXPECT_EQ(MainTexts(svg),
            MainTexts(ReadFile(fmt::format("docs/{}.svg", lesson()))));
}

// The words of a transcript, one a line: without what differs from run to run
// and from machine to machine, and how the lesson user becomes an ordinary one.
std::string Transcript(std::string text) {
  // The name of this machine, and those in its root directory.
  for (const auto& [name, stands] :
       {std::pair("side +hostname +(\\S+)", "$1HOST"),
        {"names in / +(\\S+(?: \\S+)*)  ", "$1NAMES"}}) {
    const Words found = Matches(text, name);
    if (found.empty()) continue;
    // Where it stands alone; each character that a regex could obey is escaped.
    const std::string literal =
        std::regex_replace(found[0], std::regex("\\W"), "\\$&");
    text = std::regex_replace(text, std::regex("(\\W)" + literal + "(?!\\w)"),
                              stands);
  }
  for (const auto& [differs, stands] :
       std::vector<std::pair<const char*, const char*>>{
           // A string that is wider than the screen was cut where it happened
           // to end.
           {"(\n[^\"\n]*\"[^\"\n]*)\n +([^ \"\n]*\")", "$1$2"},
           {"\"\\s+,", "\","},
           {"(Linux|kernel +)( ?[0-9][^ ,\n]*)", "$1 RELEASE"},
           {"[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"},
           {"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"},
           {"(interfaces +|entries in / +)[0-9]+( +[0-9]+)?( +[0-9]+)?", "$1N"},
           {"(shared|master):[0-9]+", "$1:N"},
           {"(\"(0 )?[0-9]{3,}( 1)?\"), [0-9]+\\) = [0-9]+", "$1, N) = N"},
           {"(\"0 [0-9]{3,} 1\"), [0-9]+\\)", "$1, N)"},
           {"setgroups\\(0, NULL\\) = 0|setres[ug]id\\([^)]*\\) = 0", ""},
           {"(…|/[^ \n]*)?/steps-[0-9a-f-]+", "CGROUP"},
           {"0x[0-9a-f]{3,}|[0-9]+\\.[0-9]+|[0-9]{3,}", "N"},
           {"\\s+", "\n"}}) {
    text = std::regex_replace(text, std::regex(differs), stands);
  }
  return text;
}

// What stands in a page's blocks of text.
std::string Blocks(const std::string& page) {
  return fmt::format(
      "{}", fmt::join(Matches(page, "\n```text\n([\\s\\S]*?)```\n"), ""));
}

TEST_P(EveryLesson, PrintsWhatItsPageShows) {
  if (getpid() < 100) GTEST_SKIP() << "PIDs here look like other numbers";
  if (may_skip()) GTEST_SKIP() << "the page shows what nobody may not do";
  std::string blocks = Blocks(Page());
  blocks.erase(blocks.find("A shell inside"));
  // The pages show runs as root.
  const std::string who =
      Privilege() == "user namespace" ? ", root in a new user namespace." : ".";
  if (as_nobody()) blocks.replace(blocks.find("as root."), 8, "as uid N" + who);
  for (const Words& options : {Words{}, {"--auto", "0.001"}}) {
    const Result result = Run(options);
    EXPECT_EQ(Transcript(result.output), Transcript(blocks));
    EXPECT_THAT(result.errors, IsEmpty());
    ExpectFits80Columns(result.output);
  }
}

TEST_P(EveryLesson, DoesWithoutToolsAndSaysSo) {
  const std::regex tool("\\$ [a-z]+ |[a-z]\\(1\\)");
  const std::regex none(" is not installed| no [a-z]+\\(1\\)");
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  EXPECT_EQ(std::regex_search(Run({}, hide).output, none),
            std::regex_search(Run().output, tool));
}

// Some lessons use what all of a user's processes share.
TEST_P(EveryLesson, RunsManyTimesAtOnce) {
  std::list<Program> runs;
  while (runs.size() < 20) runs.emplace_back(Lesson());
  for (Program& run : runs) ExpectExit(run.Await(), 0);
}

TEST_P(EveryLesson, HelpsIn80Columns) {
  ExpectFits80Columns(Run({"--help"}).output);
}

TEST_P(EveryLesson, ListsTheLinesOfItsSource) {
  // "48 Process inside = …", wherever that begins in the line.
  const auto plain = [](const std::string& line) {
    return std::regex_replace(line, std::regex("^ *([0-9]+) *"), "$1 ");
  };
  std::set<std::string> lines;
  for (const auto& file : fs::directory_iterator("lessons")) {
    // Sources in a directory cannot lie beside the program of that name.
    if (file.path().extension() != ".cc") continue;
    if (!file.path().stem().string().starts_with(lesson())) continue;
    const std::string source = ReadFile(file.path());
    for (int number = 0; const std::string_view line : Lines(source)) {
      lines.insert(plain(fmt::format("{} {}", ++number, line)));
    }
  }
  const std::string output = Run({"--code"}).output;
  ExpectFits80Columns(output);
  EXPECT_THAT(output, HasSubstr("\n    lessons/" + lesson()));
  const Words listed =
      Matches(output, "\n((?:  [0-9]| [0-9]{2}|[0-9]{3})(?:| .*))(?=\n)");
  EXPECT_THAT(listed, SizeIs(testing::Gt(15U)));
  for (const std::string& line : listed) {
    EXPECT_TRUE(lines.empty() || lines.contains(plain(line))) << line;
  }
}

constexpr const char* kKeys = "q Enter: quit]";

// What a lesson shows between two pauses.
Words Pages(const Command& command) {
  Terminal terminal(command);
  Words pages;
  while (const auto page = terminal.ReadToOrEnd(kKeys)) {
    pages.push_back(*page);
    terminal.Type("\n");
  }
  EXPECT_EQ(terminal.Await(), "exit status 0");
  return pages;
}

TEST_P(EveryLesson, StopsBeforeEachStepAndWhereTheScreenIsFull) {
  std::size_t steps = 0;
  for (const std::string& page :
       Pages(Lesson({"--step", "--code", "--color=never"}))) {
    EXPECT_LE(std::ranges::count(page, '\n'), 24) << page;
    EXPECT_THAT(Matches(page, "\n( *[0-9]+ [^ ])"), SizeIs(testing::Le(12U)));
    if (page.find("Enter: run this step") != std::string::npos) ++steps;
  }
  EXPECT_THAT(RunJson()["steps"], SizeIs(steps));
}

TEST_P(EveryLesson, QuitsAtAnyPauseAndLeavesNothing) {
  const Command command = Lesson({"--step", "--color=never"});
  const std::size_t pauses = Pages(command).size();
  std::set<std::string> shells;  // In which processes.
  for (std::size_t passed = 0; passed < pauses; ++passed) {
    Terminal terminal(command);
    std::string page;
    for (std::size_t pause = 0; pause <= passed; ++pause) {
      if (pause > 0) terminal.Type("\n");
      page = terminal.ReadTo(kKeys);
    }
    // "a shell in child", where nobody is "inside" yet.
    static const std::regex kShell("s Enter: a shell (?:in )?([a-z]+) ");
    if (std::smatch shell; std::regex_search(page, shell, kShell)) {
      shells.insert(shell[1]);
      terminal.Type("s\n");
      terminal.ReadTo("[" + shell.str(1) + " " + lesson() + "] ");
      terminal.Type("exit\n");
      terminal.ReadTo(kKeys);
    }
    terminal.Type("q\n");
    EXPECT_EQ(terminal.Await(), "exit status 130");
    EXPECT_THAT(Survivors(), IsEmpty()) << "after " << passed << " pauses";
  }
  EXPECT_THAT(shells, Not(IsEmpty()));
  // The child of the host that stands in is elsewhere, and not inside.
  EXPECT_TRUE(shells.contains("child") || lesson() != "uts");
}

// A lesson's shell: what is shown for each line typed, and its prompt.
struct Shell {
  const char* lesson;
  std::vector<std::pair<const char*, const char*>> lines = {};
  const char* prompt = "";
};

// Where PID 1 does not reap, kill(1) and /proc still find the orphan.
constexpr const char* kReaped =
    "orphan=$(sleep 1000 >/dev/null & echo $!); kill -KILL $orphan; SECONDS=0; "
    "while kill -0 $orphan 2>&- && [ $SECONDS -lt 9 ]; do :; done; "
    "kill -0 $orphan 2>&- || echo reap''ed";
constexpr const char* kRenamed = "root@container_001:";

const Shell kShells[] = {
    // What is typed here must not turn up in ~/.bash_history.
    {"uts", {{"echo \"<$HISTFILE>\"", "\n<>"}}, kRenamed},
    {"inspect", {}, kRenamed},
    {"ipc", {{"ipcmk -Q", "\nMessage queue id: 1\r\n"}}},
    {"pid",
     {{"echo parent $PPID", "\nparent 0\r\n"},
      {"kill -KILL 1; echo shield''ed", "\nshielded"},
      {kReaped, "\nreaped"}}},
    {"mount",
     {{"echo listed $(ps -e -o comm=)", "\nlisted mount bash ps\r\n"}}},
    // Asked and not tried: a lesson that is broken must not harm the machine.
    {"chroot",
     {{"echo in $(echo /*)", "\nin /bin /dev /etc /jail "},
      {"echo may write $(for f in / /*; do test -w $f && echo $f; done)",
       "\nmay write\r\n"}}},
    {"user",
     {{"read in out count </proc/self/uid_map", ""},
      {"echo $(id -u) is $in, $((out != 0)) $count", "\n0 is 0, 1 1\r\n"}},
     kRenamed},
    // Of bash(1): a connection that is opened as a file.
    {"net",
     {{"echo hello >/dev/tcp/192.0.2.2/8080 && echo arr''ived", "\narrived"}}},
    {"time",
     {{"read up idle </proc/uptime", ""},
      {"echo $((${up%.*} / 86400 >= 100)) ahead", "\n1 ahead\r\n"}}},
    // Root of this user namespace, with the right to rename what it is in.
    {"clone", {{"hostname in && echo I am $(id -u)", "\nI am 0\r\n"}}, "root@"},
    {"leaks",
     {{"echo \"<$(ls -A /dev/shm)>\"", "\n<>"}, {kReaped, "\nreaped"}},
     kRenamed},
    {"container",
     {{"test -e /usr/written_inside && echo in $(echo /*)",
       "\nin /bin /dev /etc "}},
     "root@container_001:/# "},
};

TEST_P(EveryLesson, HasAShellThatASecondTerminalCanJoin) {
  Terminal first(Lesson({"--shell"}));
  const Words commands = CommandsIn(first.ReadTo("[inside " + lesson() + "] "));
  // What one prints that is typed in the second terminal as it stands.
  const auto typed = [](const std::string& command) {
    const Result result = RunCommand({.program = "/bin/sh",
                                      .arguments = {"-c", command},
                                      .as_nobody = as_nobody()});
    ExpectExit(result, 0);
    return result.output;
  };
  for (const Shell& shell : kShells) {
    if (shell.lesson != lesson()) continue;
    first.ReadTo(shell.prompt);
    for (const auto& [line, shown] : shell.lines) {
      first.Type(std::string(line) + "\n");
      first.ReadTo(shown);
    }
  }
  // The namespaces that the lesson names are the shell's own …
  ASSERT_THAT(commands, SizeIs(testing::Ge(3U)));
  for (const std::string& link : LinesOf(typed(commands[0]))) {
    const std::string kind = link.substr(0, link.find(':'));
    first.Type(fmt::format("echo found $(readlink /proc/self/ns/{})\n", kind));
    first.ReadTo("\nfound ");
    EXPECT_EQ(first.ReadTo("\r\n"), link + "\r\n");
    // … and those that nsenter joins.
    EXPECT_EQ(typed(fmt::format("{} readlink /proc/self/ns/{}", commands.back(),
                                kind)),
              link + "\n");
  }
  EXPECT_THAT(typed(commands[1]), HasSubstr("         0 "));
  EXPECT_EQ(first.Talk({{"", "sleep 1000 &\n"}, {"", "exit\n"}}),
            "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST(Uts, HasColorOnATerminalThatHasItOnly) {
  const auto screen = [](const char* name, const char* value) {
    Terminal terminal({.program = "lessons/uts", .before = [=] {
                         setenv("TERM", "xterm", 1);
                         setenv(name, value, 1);
                       }});
    EXPECT_EQ(terminal.Await(), "exit status 0");
    return terminal.screen();
  };
  EXPECT_THAT(screen("TERM", "xterm"), HasSubstr("\x1b["));
  EXPECT_THAT(screen("TERM", "dumb"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(screen("NO_COLOR", "1"), Not(HasSubstr("\x1b")));
}

TEST(Uts, IsShownByAPlayerAsByATerminal) {
  setenv("LC_ALL", "C.UTF-8", 1);
  if (FindProgram("asciinema").empty())
    GTEST_SKIP() << "asciinema is not installed";
  const TemporaryDirectory directory;
  const std::string cast = directory.path() + "/cast";
  const Result result =
      RunCommand({.program = "lessons/uts",
                  .arguments = {"--color=always", "--cast", cast}});
  Terminal terminal({.function = [&] {
    setenv("ASCIINEMA_CONFIG_HOME", directory.path().c_str(), 1);
    return execlp("asciinema", "asciinema", "play", "--speed", "1000",
                  cast.c_str(), nullptr);
  }});
  EXPECT_EQ(terminal.Await(), "exit status 0");
  EXPECT_EQ(std::regex_replace(terminal.screen(), std::regex("\r\n"), "\n"),
            result.output);
}

TEST(Readme, ShowsWhatAPageShows) {
  // Two steps, one behind the other, before the first heading.
  const std::string page = ReadFile("README.md");
  const std::string shown =
      Transcript(Blocks(page.substr(0, page.find("\n## "))));
  EXPECT_THAT(shown, SizeIs(testing::Gt(500U)));
  EXPECT_THAT(Transcript(Blocks(ReadFile("docs/uts.md"))), HasSubstr(shown));
}

}  // namespace
}  // namespace steps
