#include <nlohmann/json.hpp>
#include <string_view>

#include "common/show/show.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

using nlohmann::json;

const Opening kOpening = {
    "uts", "UTS namespaces: a title", "uts_namespaces(7)", "6.1.0",
    1000,  "user namespace"};

// A call that the process made, and what it saw.
Event Did(const std::string& process, const std::string& text, long result,
          int error) {
  return Called{process, Call{.text = text, .result = result, .error = error}};
}
Event Saw(const std::string& process, const std::vector<Finding>& findings) {
  return Shown{process, Evidence{findings}};
}

// Five claims held, one did not, two were skipped.
const Verdict kContradicted = {"contradicted", 1, 5, 1, 2, "", {}};
const Verdict kRefused = {.outcome = "cannot run",
                          .exit_status = 77,
                          .error = "unshare(CLONE_NEWUSER): …",
                          .advice = Advice{"The cause.", "sudo <it>"}};

// The comparison with these rows.
Table Compared(std::vector<std::vector<std::string>> rows) {
  return {{"", "outside before", "inside", "outside after", "verdict"},
          std::move(rows),
          true};
}

// What `renderer` makes of `events`.
std::string Rendered(const Renderer& renderer,
                     const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += renderer(event);
  return text;
}

std::string Text(const std::vector<Event>& events, bool color = false) {
  return Rendered(MakeTextRenderer(color), events);
}

std::string Markdown(const std::vector<Event>& events) {
  return Rendered(MakeMarkdownRenderer(), events);
}

std::string Dot(const std::vector<Event>& events) {
  return Rendered(MakeDotRenderer(false), events);
}

// The lines of a recording: its header, and its events.
std::vector<json> Cast(const std::vector<Event>& events) {
  const std::string text = Rendered(MakeCastRenderer(), events);
  std::vector<json> cast;
  for (const auto line : Lines(text)) cast.push_back(json::parse(line));
  return cast;
}

// What a player writes to its terminal.
std::string Played(const std::vector<json>& cast) {
  std::string played;
  for (std::size_t i = 1; i < cast.size(); ++i) {
    if (cast[i][1] == "o") played += cast[i][2].get<std::string>();
  }
  return played;
}

// A lesson with an event of each kind.
const std::vector<Event> kLesson = {
    kOpening,
    Step{1, "Outside", "A `ps` sentence."},
    Item{"", {}, "A *note*."},
    Saw("outside",
        {{"hostname", "vm", "uname(2)"}, {"NIS domain", "d", "uname(2)"}}),
    Did("outside", "getpid()", 7, 0),
    Did("inside", "sethostname(\"a\", 1)", -1, EPERM),
    Saw("inside", {{"queues", "a\n```\n\nb", "$ ipcs -q"},
                   {"hostname", "a\xff",
                    "hostname is not installed: /proc/sys/kernel/hostname"}}),
    Question{"What?", {"th*s", "that"}},
    Step{2, "Inside", "", {}, {"lessons/a.cc", {{7, "int x;"}, {8, ""}}}},
    Code{"lessons/a.cc", {{119, "g();"}}},
    Code{"lessons/b.cc", {{1, "h();"}}},
    Answer{"that", 2, "It is so."},
    Item{"holds", true, "Yes."},
    Item{"remember", {}, "This."},
    Compared({{"hostname", "vm", "new", "vm", "private"}}),
    Table{{"kind", "flag"}, {{"m|t", "CLONE_NEWNS"}, {"é", "CLONE_NEWUTS"}}},
    Drawing{},
    Item{"FAILS", false, std::string(65, 'x') + " and more"},
    Item{"skipped", {}, "Who knows.", "f(*) refused"},
    Hint{"Type:", {"ls *", "ps"}},
    kContradicted};

constexpr const char* kText =
    R"(UTS namespaces: a title                                        uts_namespaces(7)
Linux 6.1.0, as uid 1000, root in a new user namespace.

1  Outside
   A `ps` sentence.
     A *note*.
     outside  hostname        vm                   uname(2)
              NIS domain      d                    uname(2)
              getpid() = 7
     inside   sethostname("a", 1) = -1 EPERM (Operation not permitted)
              queues          $ ipcs -q
              a
              ```

              b
              hostname        hostname is not installed: /proc/sys/kernel/hostname
              a\xff

     question What?
              1  th*s
              2  that

2  Inside
    lessons/a.cc
  7 int x;
  8
119 g();
    lessons/b.cc
  1 h();
     answer   2: that. It is so.
     holds    Yes.

     remember This.

            outside before  inside  outside after  verdict
  hostname  vm              new     vm             private

  kind  flag
  m|t   CLONE_NEWNS
  é     CLONE_NEWUTS

     FAILS    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
              and more
     skipped  Who knows. (f(*) refused)
Type:
     ls *
     ps
5 of 6 claims hold, 2 skipped.
)";

TEST(TextRenderer, LaysOutALesson) { EXPECT_EQ(Text(kLesson), kText); }

TEST(MarkdownRenderer, LaysOutALessonWithBlocksOfTheText) {
  const std::string markdown = Markdown(kLesson);
  const std::string text = kText;
  for (const auto& [first, last] : std::map<std::string, std::string>{
           {"     outside  host", "that\n"}, {"    lessons/a.cc", "so.\n"}}) {
    const std::size_t begin = text.find(first);
    const std::size_t size = text.find(last, begin) + last.size() - begin;
    EXPECT_THAT(markdown, HasSubstr("\n```text\n" + text.substr(begin, size) +
                                    "```\n\n"));
  }
  for (const char* part :
       {"# UTS namespaces: a title\n\nuts_namespaces(7). Linux 6.1.0, as uid "
        "1000, root in a new user namespace.\n\n## 1. Outside\n\nA `ps` "
        "sentence.\n\nA \\*note\\*.\n\n```text\n     outside  ",
        "```\n\n## 2. Inside\n\n```text\n    lessons/a.cc\n",
        "```\n\n- **holds** Yes.\n\n- **remember** This.\n\n"
        "|  | outside before | inside | outside after | verdict |\n"
        "|---|---|---|---|---|\n| hostname | vm | new | vm | private |\n\n"
        "| kind | flag |\n|---|---|\n| m\\|t | CLONE_NEWNS |\n"
        "| é | CLONE_NEWUTS |\n\n"
        "- **FAILS** xxx",
        "\n\n- **skipped** Who knows. (f(\\*) refused)\n\n"
        "Type:\n\n```sh\nls *\nps\n```\n\n"
        "**5 of 6 claims hold, 2 skipped.**\n"}) {
    EXPECT_THAT(markdown, HasSubstr(part));
  }
}

constexpr const char* kJson = R"json({
 "lesson": "uts", "title": "UTS namespaces: a title",
 "man_page": "uts_namespaces(7)", "kernel": "6.1.0", "uid": 1000,
 "privilege": "user namespace", "steps": [
  {"number": 1, "title": "Outside", "what": "A `ps` sentence."},
  {"number": 2, "title": "Inside", "what": ""}], "evidence": [
  {"event": 1, "step": 1, "process": "outside", "probe": "hostname",
   "value": "vm", "source": "uname(2)"},
  {"event": 1, "step": 1, "process": "outside", "probe": "NIS domain",
   "value": "d", "source": "uname(2)"},
  {"event": 4, "step": 1, "process": "inside", "probe": "queues",
   "value": "a\n```\n\nb", "source": "$ ipcs -q"},
  {"event": 4, "step": 1, "process": "inside", "probe": "hostname",
   "value": "a\ufffd",
   "source": "hostname is not installed: /proc/sys/kernel/hostname"}],
 "calls": [
  {"event": 2, "step": 1, "process": "outside", "call": "getpid()",
   "result": 7},
  {"event": 3, "step": 1, "process": "inside",
   "call": "sethostname(\"a\", 1)", "result": -1, "errno": "EPERM"}],
 "questions": [{"text": "What?", "answers": ["th*s", "that"],
   "found": "that", "reason": "It is so."}],
 "comparison": [{"probe": "hostname", "outside_before": "vm",
   "inside": "new", "outside_after": "vm", "verdict": "private"}],
 "tables": [
  {"step": 2, "header": ["kind", "flag"],
   "rows": [["m|t", "CLONE_NEWNS"], ["é", "CLONE_NEWUTS"]]}],
 "claims": [{"step": 2, "text": "Yes.", "holds": true},
  {"step": 2, "text": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx and more",
   "holds": false},
  {"step": 2, "text": "Who knows.", "holds": null, "reason": "f(*) refused"}],
 "remember": "This.", "verdict": "contradicted", "exit_status": 1})json";

TEST(JsonRenderer, WritesOneDocumentWithTheVerdict) {
  const json written = json::parse(Rendered(MakeJsonRenderer(), kLesson));
  EXPECT_EQ(written, json::parse(kJson)) << written.dump(1);
}

// What is to be written for these events.
struct Case {
  std::string claim;
  std::vector<Event> events;
  std::string written;
};

TEST(TextRenderer, LaysOutWhatALessonMayHaveInstead) {
  const Code code = {"a.cc", {{7, "f();"}}};
  const std::string wide(71, 'x');
  for (const auto& [claim, events, text] : std::vector<Case>{
           {"a single command",
            {Hint{"Look:", {"ls *"}}, Hint{"`exit`.", {}}},
            "Look: ls *\n`exit`.\n"},
           {"no answer was right",
            {Answer{"odd", {}, "So."}},
            "     answer   none of these: odd. So.\n"},
           {"a file is named in each step",
            {Step{1, "One", "", {}, code}, Step{2, "Two", "", {}, code}},
            "\n1  One\n    a.cc\n  7 f();\n\n2  Two\n    a.cc\n  7 f();\n"},
           {"a table gives up its margin before it is cut",
            {Table{{"a", "b"}, {{"narrow", wide}}}},
            fmt::format("\n a{:7}b\n narrow  {}\n\n", "", wide)},
           {"the widest column is cut in its middle",
            {Table{{"a", "b"}, {{"narrow", "begin" + wide + "end"}}}},
            fmt::format("\na{:7}b\nnarrow  begin{}…{}end\n\n", "",
                        std::string(31, 'x'), std::string(32, 'x'))}}) {
    EXPECT_EQ(Text(events), text) << claim;
  }
  Opening able = kOpening;
  able.privilege = "root";
  EXPECT_THAT(Text({able}),
              EndsWith("\nLinux 6.1.0, as uid 1000 with capabilities.\n"));
}

TEST(TextRenderer, NeverWritesMoreThan80Columns) {
  const std::string host(64, 'h');
  const std::string text = Text(
      {kOpening, Did("inside", "sethostname(\"" + host + "\", 64)", -1, EPERM),
       Saw("inside", {{"hostname", host, "/proc/sys/kernel/hostname"},
                      {"hostname", std::string(300, 'x'), "$ hostname"},
                      {"hostname", "é" + std::string(299, 'x'), "uname(2)"},
                      {"hostname", "漢" + std::string(299, 'x'), "uname(2)"}}),
       Compared({{"a very long probe", host, host, host, "private"}}),
       Item{"holds", true, std::string(30, 'w') + " " + std::string(60, 'w')},
       Item{"skipped", {}, "A claim.", std::string(90, 'r')}});
  EXPECT_THAT(text, HasSubstr("…"));
  for (const std::string_view line : Lines(text)) {
    EXPECT_LE(Width(line), 80U) << line;
  }
}

TEST(TextRenderer, AddsColorAndNothingElse) {
  const std::string colored = Text(kLesson, true);
  EXPECT_THAT(
      colored,
      AllOf(HasSubstr("\x1b[32mholds"), HasSubstr("\x1b[1;31mFAILS"),
            HasSubstr("\x1b[33mskipped"),
            HasSubstr("  vm              \x1b[1;36mnew\x1b[0m     vm  ")));
  EXPECT_EQ(std::regex_replace(colored, std::regex("\x1b\\[[0-9;]*m"), ""),
            Text(kLesson));
  EXPECT_THAT(Text({Compared({{"load", "1", "1", "2", "changed"}})}, true),
              HasSubstr("  1               1       \x1b[1;31m2\x1b[0m"));
}

TEST(MarkdownRenderer, ClosesABlockWhenALessonEnds) {
  for (const auto& [claim, events, markdown] : std::vector<Case>{
           {"by an error",
            {Did("outside", "f()", 0, 0), kRefused},
            "\n```text\n     outside  f() = 0\n```\n"
            "\n```text\nunshare(CLONE_NEWUSER): …\n"
            "  cause   The cause.\n  remedy  sudo <it>\n```\n"},
           {"as a task does, and no block is empty",
            {Did("a", "f()", 0, 0), Verdict{}, Saw("a", {}), Verdict{}},
            "\n```text\n     a        f() = 0\n```\n"}}) {
    EXPECT_EQ(Markdown(events), markdown) << claim;
  }
}

TEST(MarkdownRenderer, EscapesWhatMarkdownWouldTakeForMarkup) {
  for (const auto& [cell, escaped] : std::map<std::string, std::string>{
           {"container_001 uts:[4026531838] a > b # 1. !",
            "container_001 uts:\\[4026531838] a > b # 1. !"},
           {"a|b \\ *b* <i> ~~d~~ `c` $m$ &amp;",
            "a\\|b \\\\ \\*b\\* \\<i> \\~\\~d\\~\\~ \\`c\\` \\$m\\$ \\&amp;"},
           {"_a_ b_ a__b", "\\_a\\_ b\\_ a__b"},
           {"![a](b) [a]: b", "!\\[a](b) \\[a]: b"},
           {"a\nb\x1b\xff", "a\\\\x0ab\\\\x1b\\\\xff"},
           {std::string(200, 'x'), std::string(200, 'x')}}) {
    EXPECT_EQ(Markdown({Table{{"a"}, {{cell}}}}),
              "\n| a |\n|---|\n| " + escaped + " |\n");
  }
  EXPECT_EQ(Markdown({Item{"", {}, "A * `b * <c>` d * `e"}}),
            "\nA \\* `b * <c>` d \\* \\`e\n");
  EXPECT_EQ(Markdown({Item{"holds", true, "MS_REC | MS_* in `_a_`_."}}),
            "\n- **holds** MS_REC \\| MS\\_\\* in `_a_`\\_.\n");
}

TEST(CastRenderer, ShowsTheTextInColorALineAtATime) {
  const std::vector<json> cast = Cast(kLesson);
  EXPECT_EQ(cast[0], json::parse(R"json({
      "version": 2, "width": 80, "height": 24,
      "title": "UTS namespaces: a title",
      "env": {"TERM": "xterm-256color"}})json"));
  EXPECT_EQ(Played(cast),
            std::regex_replace(Text(kLesson, true), std::regex("\n"), "\r\n"));
  for (std::size_t i = 1; i < cast.size(); ++i) {
    const std::string line = cast[i][2];
    EXPECT_EQ(line.find('\n'), cast[i][1] == "o" ? line.size() - 1 : line.npos)
        << line;
  }
}

TEST(CastRenderer, ShowsTheErrorThatEndedALesson) {
  EXPECT_THAT(Played(Cast({kOpening, kRefused})),
              HasSubstr("\r\nunshare(CLONE_NEWUSER): …\r\n"
                        "  cause   The cause.\r\n"
                        "  remedy  sudo <it>\r\n"));
}

TEST(CastRenderer, RestsAndSetsAMarkerBeforeEachStep) {
  EXPECT_EQ(
      Cast({Item{"", {}, "A."}, Item{"", {}, "B."}, Step{7, "Title", ""}}),
      (std::vector<json>{{0.0, "o", "     A.\r\n"},
                         {0.15, "o", "     B.\r\n"},
                         {3.3, "m", "7. Title"},
                         {3.3, "o", "\r\n"},
                         {3.45, "o", "\x1b[1m7  Title\x1b[0m\r\n"}}));
}

Drawing OfOne(const std::vector<std::string>& facts) {
  return {"now", {{"outside", {{CLONE_NEWUTS, {4, 1}}}, facts}}};
}

// A process in these UTS and IPC namespaces of a device; 0: in none.
Drawing::Process In(const std::string& name, ino_t uts, ino_t ipc,
                    dev_t device = 4) {
  Drawing::Process process = {name, {}, {}};
  if (uts != 0) process.namespaces[CLONE_NEWUTS] = {device, uts};
  if (ipc != 0) process.namespaces[CLONE_NEWIPC] = {device, ipc};
  return process;
}

const Drawing kThree = {"now",
                        {In("one", 2, 3), In("two", 2, 4), In("three", 2, 4)}};

TEST(DotRenderer, DrawsALineToTheBoxOfThoseThatShareANamespace) {
  struct Row {
    std::vector<Drawing::Process> processes;
    std::string uts, uts_box, ipc, ipc_box;  // Of the last one.
  };
  const std::string both = "shared by both";
  for (const auto& [processes, uts, uts_box, ipc, ipc_box] : std::vector<Row>{
           {{In("one", 2, 3)}, "2", "its namespaces", "3", "its namespaces"},
           {{In("one", 2, 3), In("two", 2, 4)}, "2", both, "4", "two alone"},
           {kThree.processes, "2", "shared by all", "4",
            "shared by two,\\nthree"},
           // It has ended, or another device has namespaces of these numbers.
           {{In("one", 2, 3), In("two", 0, 3)}, "", "", "3", both},
           {{In("one", 2, 3), In("two", 2, 0, 5)}, "2", "two alone", "", ""}}) {
    auto drawn =
        ReadGraph(Dot({kOpening, Drawing{"now", processes}, Verdict{}}));
    EXPECT_EQ(drawn.size(), processes.size());
    Drawn& last = drawn["now " + processes.back().name];
    EXPECT_EQ(last.namespaces["uts"], uts);
    EXPECT_EQ(last.boxes["uts"], uts_box);
    EXPECT_EQ(last.namespaces["ipc"], ipc);
    EXPECT_EQ(last.boxes["ipc"], ipc_box);
  }
}

TEST(DotRenderer, HasABoxForEachSetOfMembersAndThickOnesForWhatIsNotShared) {
  const std::string dot = Dot({kThree, Verdict{}});
  for (const auto& [part, times] : std::map<std::string, int>{
           {"\" \\[", 6},  // Three processes; all, one, two and three.
           {"alone\" \\[.*penwidth=3", 1},
           {"shared by two,\\\\nthree\" \\[.*penwidth=3", 1},
           {"penwidth", 2}}) {
    EXPECT_THAT(Matches(dot, "(" + part + ")"), SizeIs(times)) << part;
  }
}

TEST(DotRenderer, ShowsWhateverAFactHolds) {
  for (const auto& [fact, shown] : std::map<std::string, std::string>{
           {"vm", "vm"},
           {std::string(80, 'a') + std::string(40, 'b'),
            std::string(30, 'a') + "…" + std::string(39, 'b')},
           {"<b>&\"'{|}\\N>]", "\\<b\\>&amp;\\\"'\\{\\|\\}\\\\N\\>]"},
           {"a\x1b\n\xff", "a\\\\x1b\\\\x0a\\\\xff"},
           {"\uFFFE\uFFFF\uFFFD",
            "\\\\xef\\\\xbf\\\\xbe\\\\xef\\\\xbf\\\\xbf\uFFFD"}}) {
    const std::string dot =
        Dot({kOpening, OfOne({"hostname: " + fact}), Verdict{}});
    EXPECT_EQ(ReadGraph(dot)["now outside"].facts["hostname"], shown);
    EXPECT_THAT(dot, HasSubstr("label=\"UTS namespaces: a title\""));
  }
}

TEST(DotRenderer, DrawsNothingOfALessonThatEndedEarly) {
  EXPECT_THAT(Dot({kOpening, kThree, kRefused}), IsEmpty());
  EXPECT_THAT(Dot({kOpening, kThree, kContradicted}), Not(IsEmpty()));
}

TEST(SvgRenderer, HasGraphvizDrawWhateverANameHolds) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  std::vector<std::string> facts = {"", "\uFFFE: ]]>", "\xed\xa0\x80: "};
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    facts.push_back(bytes.substr(at, 8));
  }
  Opening opening = kOpening;
  opening.title = "<\"}\n";
  EXPECT_THAT(Rendered(MakeDotRenderer(true),
                       {opening, OfOne(facts), kThree, Verdict{}}),
              AllOf(StartsWith("<?xml"), HasSubstr(": ]]&gt;</text>"),
                    HasSubstr(">outside</text>"),
                    HasSubstr(">one alone</text>"), EndsWith("</svg>\n")));
}

}  // namespace
}  // namespace steps
