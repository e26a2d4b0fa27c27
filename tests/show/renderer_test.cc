#include "common/show/renderer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/show/printable.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Opening kOpening = {
    "uts", "UTS namespaces: a title", "uts_namespaces(7)", "6.1.0",
    1000,  "user namespace"};

// A call that the process made, and what it saw.
Event Did(const std::string& process, const std::string& text, long result,
          int error) {
  return Called{process, Call{.text = text, .result = result, .error = error}};
}
Event Saw(const std::string& process, const std::vector<Finding>& findings) {
  Evidence evidence;
  for (const Finding& finding : findings) evidence.Add(finding);
  return Shown{process, evidence};
}

// The comparison with these rows.
Comparison Compared(std::vector<std::vector<std::string>> rows) {
  return {{{"", "outside before", "inside", "outside after", "verdict"},
           std::move(rows)}};
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

nlohmann::json Json(const std::vector<Event>& events) {
  return nlohmann::json::parse(Rendered(MakeJsonRenderer(), events));
}

std::string Markdown(const std::vector<Event>& events) {
  return Rendered(MakeMarkdownRenderer(), events);
}

// What is to be written for these events.
struct Case {
  std::string claim;
  std::vector<Event> events;
  std::string written;
};

// The lines of a recording: its header, and its events.
std::vector<nlohmann::json> Cast(const std::vector<Event>& events) {
  std::istringstream lines(Rendered(MakeCastRenderer(), events));
  std::vector<nlohmann::json> cast;
  for (std::string line; std::getline(lines, line);) {
    cast.push_back(nlohmann::json::parse(line));
  }
  return cast;
}

// What a player writes to its terminal.
std::string Played(const std::vector<nlohmann::json>& cast) {
  std::string played;
  for (std::size_t i = 1; i < cast.size(); ++i) {
    if (cast[i][1] == "o") played += cast[i][2].get<std::string>();
  }
  return played;
}

// The widest line, in columns.
std::size_t WidthOf(const std::string& text) {
  std::size_t widest = 0;
  for (const std::string_view line : Lines(text)) {
    widest = std::max(widest, Width(line));
  }
  return widest;
}

TEST(TextRenderer, OpensWithTheTitleTheManPageTheKernelAndThePrivilege) {
  const std::string title =
      "UTS namespaces: a title" + std::string(40, ' ') + "uts_namespaces(7)\n";
  struct Privilege {
    unsigned uid;
    std::string privilege;
    std::string said;
  };
  for (const auto& [uid, privilege, said] :
       std::vector<Privilege>{{1000, "user namespace",
                               "as uid 1000, root in a new user namespace"},
                              {1000, "root", "as uid 1000 with capabilities"},
                              {0, "root", "as root"},
                              {1000, "none", "as uid 1000"}}) {
    Opening opening = kOpening;
    opening.uid = uid;
    opening.privilege = privilege;
    EXPECT_EQ(Text({opening}),
              fmt::format("{}Linux 6.1.0, {}.\n", title, said));
  }
}

Verdict Counted(int held, int contradicted, int skipped) {
  Verdict verdict;
  verdict.held = held;
  verdict.contradicted = contradicted;
  verdict.skipped = skipped;
  return verdict;
}

TEST(TextRenderer, LaysOutEachEvent) {
  const Code code = {"lessons/a.cc",
                     {{7, "int x = 1;"}, {8, ""}, {120, "f();"}}};
  const std::string listed =
      "    lessons/a.cc\n  7 int x = 1;\n  8\n120 f();\n";
  const Table table = {{"kind", "flag"},
                       {{"mount", "CLONE_NEWNS"}, {"é", "CLONE_NEWUTS"}}};
  const std::string rows =
      "\n  kind   flag\n  mount  CLONE_NEWNS\n  é      CLONE_NEWUTS\n\n";
  const std::string source = "hostname is not installed: /proc/sys/kernel/";
  for (const auto& [claim, events, text] : std::vector<Case>{
           {"steps are numbered", {Step{3, "Inside", ""}}, "\n3  Inside\n"},
           {"calls and evidence: a process is named once for its lines",
            {Saw("outside", {{"hostname", "vm", "uname(2)"},
                             {"NIS domain", "d", "uname(2)"}}),
             Did("outside", "getpid()", 7, 0), Did("child", "f()", -1, EPERM)},
            "     outside  hostname        vm                   uname(2)\n"
            "              NIS domain      d                    uname(2)\n"
            "              getpid() = 7\n"
            "     child    f() = -1 EPERM (Operation not permitted)\n"},
           {"a source that is too long stands above the value",
            {Saw("outside", {{"hostname", "vm", source}})},
            "     outside  hostname        " + source + "\n              vm\n"},
           {"so does that of a value with lines",
            {Saw("inside", {{"queues", "a\n\nb", "$ ipcs -q"}})},
            "     inside   queues          $ ipcs -q\n"
            "              a\n\n              b\n"},
           {"a comparison is a table",
            {Compared({{"hostname", "vm", "new", "vm", "private"}})},
            "\n"
            "            outside before  inside  outside after  verdict\n"
            "  hostname  vm              new     vm             private\n\n"},
           {"one empty line between a table and what follows",
            {table, table, Step{2, "Next", ""}},
            rows + rows.substr(1) + "2  Next\n"},
           {"claims are marked in words",
            {Claim{"Yes.", true, ""}, Claim{"No.", false, ""},
             Claim{"Who knows.", std::nullopt, "unshare() refused"}},
            "     holds    Yes.\n"
            "     FAILS    No.\n"
            "     skipped  Who knows. (unshare() refused)\n"},
           {"a sentence is broken between its words",
            {Item{"refused", false, std::string(65, 'x') + " and more"}},
            "     refused  " + std::string(65, 'x') +
                "\n              and more\n"},
           {"claims are counted",
            {Counted(5, 1, 0), Counted(5, 1, 2), Counted(0, 0, 0)},
            "5 of 6 claims hold.\n5 of 6 claims hold, 2 skipped.\n"},
           {"code stands behind its numbers, below its file",
            {Step{1, "One", "", {}, code}, Code{"lessons/a.cc", {{9, "g();"}}},
             Code{"lessons/b.cc", {{1, "h();"}}}},
            "\n1  One\n" + listed + "  9 g();\n    lessons/b.cc\n  1 h();\n"},
           {"in each step anew",
            {Step{1, "One", "", {}, code}, Step{2, "Two", "", {}, code}},
            fmt::format("\n1  One\n{0}\n2  Two\n{0}", listed)},
           {"a question has numbered answers",
            {Question{"What?", {"this", "that"}}, Answer{"that", 2, "So."},
             Answer{"odd", std::nullopt, "So."}, Answer{"that", 2, "So.", 2},
             Answer{"that", 2, "So.", 1}},
            "\n     question What?\n"
            "              1  this\n"
            "              2  that\n"
            "     answer   2: that. So.\n"
            "     answer   none of these: odd. So.\n"
            "     answer   yes, 2: that. So.\n"
            "     answer   not 1, but 2: that. So.\n"},
           {"a single command stands behind what is said of it",
            {Hint{"Look:", {"ls"}}, Hint{"Type:", {"ls", "ps"}}},
            "Look: ls\nType:\n     ls\n     ps\n"},
           {"a drawing is left to its renderer", {Drawing{}}, ""}}) {
    EXPECT_EQ(Text(events), text) << claim;
  }
}

TEST(TextRenderer, NeverWritesMoreThan80Columns) {
  const std::string host(64, 'h');
  const std::string text = Text(
      {kOpening, Step{1, "Title", ""},
       Note{"A sentence that is so long that it does not fit into the "
            "eighty columns that a terminal has at the least."},
       Did("inside", "sethostname(\"" + host + "\", 64)", -1, EPERM),
       Saw("inside", {{"hostname", host, "/proc/sys/kernel/hostname"},
                      {"hostname", std::string(300, 'x'), "$ hostname"},
                      {"hostname", "é" + std::string(299, 'x'), "uname(2)"},
                      {"hostname", "漢" + std::string(299, 'x'), "uname(2)"}}),
       Compared({{"a very long probe", host, host, host, "private"}}),
       Claim{std::string(30, 'w') + " " + std::string(60, 'w'), true, ""},
       Claim{"A claim.", std::nullopt, std::string(90, 'r')}});
  EXPECT_LE(WidthOf(text), 80U);
  EXPECT_THAT(text, HasSubstr("…"));
}

TEST(TextRenderer, ShowsControlCharactersInsteadOfObeyingThem) {
  const std::string text =
      Text({Saw("inside", {{"hostname", "a\x1b[31m\x07", "uname(2)"}}),
            Compared({{"hostname", "\x1b", "\x1b", "\r", "shared"}}),
            Did("inside", "sethostname(\"\x1b\", 1)", 0, 0)});
  EXPECT_THAT(text, AllOf(HasSubstr("a\\x1b[31m\\x07"), HasSubstr("\\x0d"),
                          Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
}

TEST(TextRenderer, GivesUpTheMarginOfATableBeforeItCuts) {
  const std::string wide(71, 'x');
  EXPECT_THAT(Text({Table{{"a", "b"}, {{"narrow", wide}}}}),
              HasSubstr("\n narrow  " + wide + "\n"));
}

TEST(TextRenderer, CutsTheWidestColumnInTheMiddle) {
  const std::string wide = "begin" + std::string(80, 'x') + "end";
  const std::string text = Text({Table{{"a", "b"}, {{"narrow", wide}}}});
  EXPECT_EQ(WidthOf(text), 80U);
  EXPECT_THAT(text, AllOf(HasSubstr("narrow  beginx"), HasSubstr("x…x"),
                          HasSubstr("xend\n")));
}

TEST(TextRenderer, AddsColorAndNothingElse) {
  const std::vector<Event> events = {
      kOpening,
      Step{1, "Title", ""},
      Claim{"Yes.", true, ""},
      Item{"refused", false, ""},
      Item{"skipped", {}, ""},
      Saw("inside", {{"hostname", "a", "uname(2)"}}),
      Compared({{"hostname", "a", "b", "a", "private"}})};
  std::string colored = Text(events, true);
  EXPECT_THAT(colored,
              AllOf(HasSubstr("\x1b[32mholds"), HasSubstr("\x1b[1;31mrefused"),
                    HasSubstr("\x1b[33mskipped")));
  while (colored.find('\x1b') != std::string::npos) {
    const std::size_t begin = colored.find('\x1b');
    colored.erase(begin, colored.find('m', begin) - begin + 1);
  }
  EXPECT_EQ(colored, Text(events));
}

TEST(TextRenderer, MarksTheCellsThatDiffer) {
  const std::string text =
      Text({Compared({{"hostname", "a", "b", "a", "private"},
                      {"release", "6.1", "6.1", "6.1", "shared"},
                      {"load", "1", "1", "2", "changed"}})},
           true);
  EXPECT_THAT(text, AllOf(HasSubstr("\x1b[1;36mb\x1b[0m"),
                          HasSubstr("\x1b[1;31m2\x1b[0m")));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("ma\x1b")), Not(HasSubstr("m6.1"))));
}

TEST(JsonRenderer, WritesOneDocumentWithTheVerdict) {
  Verdict verdict;
  verdict.outcome = "contradicted";
  verdict.exit_status = 1;
  const nlohmann::json json = Json(
      {kOpening, Step{1, "Outside", ""}, Note{"A sentence."},
       Saw("outside", {{"hostname", "vm", "uname(2)"}}), Step{2, "Inside", ""},
       Did("inside", "sethostname(\"a\", 1)", -1, EPERM),
       Compared({{"hostname", "vm", "a", "vm", "private"}}),
       Table{{"kind", "flag"}, {{"mount", "CLONE_NEWNS"}}},
       Question{"What?", {"this", "that"}}, Answer{"that", 2, "It is so."},
       Claim{"Yes.", true, ""}, Claim{"No.", false, ""},
       Claim{"Who knows.", std::nullopt, "refused"}, verdict});
  EXPECT_EQ(json["lesson"], "uts");
  EXPECT_EQ(json["kernel"], "6.1.0");
  EXPECT_EQ(json["uid"], 1000);
  EXPECT_EQ(json["privilege"], "user namespace");
  EXPECT_EQ(json["steps"], nlohmann::json::parse(R"json([
      {"number": 1, "title": "Outside", "what": ""},
      {"number": 2, "title": "Inside", "what": ""}])json"));
  EXPECT_EQ(json["evidence"], nlohmann::json::parse(R"json([
      {"event": 1, "step": 1, "process": "outside", "probe": "hostname", "value": "vm",
       "source": "uname(2)"
}])json"));
  EXPECT_EQ(json["calls"], nlohmann::json::parse(R"json([
      {"event": 2, "step": 2, "process": "inside", "call": "sethostname(\"a\", 1)",
       "result": -1, "errno": "EPERM"
}])json"));
  EXPECT_EQ(json["comparison"], nlohmann::json::parse(R"json([
      {"probe": "hostname", "outside_before": "vm", "inside": "a",
       "outside_after": "vm", "verdict": "private"}])json"));
  EXPECT_EQ(json["tables"], nlohmann::json::parse(R"json([
      {"step": 2, "header": ["kind", "flag"],
       "rows": [["mount", "CLONE_NEWNS"]]}])json"));
  EXPECT_EQ(json["questions"], nlohmann::json::parse(R"json([
      {"text": "What?", "answers": ["this", "that"], "found": "that",
       "reason": "It is so."}])json"));
  EXPECT_EQ(json["claims"], nlohmann::json::parse(R"json([
      {"step": 2, "text": "Yes.", "holds": true},
      {"step": 2, "text": "No.", "holds": false},
      {"step": 2, "text": "Who knows.", "holds": null, "reason": "refused"}])json"));
  EXPECT_EQ(json["verdict"], "contradicted");
  EXPECT_EQ(json["exit_status"], 1);
  EXPECT_FALSE(json.contains("error"));
}

TEST(JsonRenderer, SaysWhyALessonCannotRun) {
  Verdict verdict;
  verdict.outcome = "cannot run";
  verdict.exit_status = 77;
  verdict.error = "unshare(CLONE_NEWUSER): …";
  verdict.advice = Advice{"The cause.", "the remedy"};
  const nlohmann::json json = Json({kOpening, verdict});
  EXPECT_EQ(json["verdict"], "cannot run");
  EXPECT_EQ(json["error"], "unshare(CLONE_NEWUSER): …");
  EXPECT_EQ(json["cause"], "The cause.");
  EXPECT_EQ(json["remedy"], "the remedy");
  EXPECT_EQ(json["claims"], nlohmann::json::array());
}

TEST(JsonRenderer, KeepsBytesThatAreNoUtf8OutOfTheDocument) {
  const nlohmann::json json =
      Json({kOpening, Saw("inside", {{"hostname", "a\xff", "uname(2)"}}),
            Verdict{}});
  EXPECT_EQ(json["evidence"][0]["value"], "a\uFFFD");
}

TEST(MarkdownRenderer, LaysOutEachEvent) {
  const std::string wide(200, 'x');
  Verdict refused;
  refused.outcome = "cannot run";
  refused.error = "unshare(CLONE_NEWUSER): …";
  refused.advice = Advice{"user.max_user_namespaces is 0.", "sudo <it>"};
  for (const auto& [claim, events, markdown] : std::vector<Case>{
           {"headings and paragraphs",
            {kOpening, Step{1, "Outside", "A `ps` sentence."}, Note{"A note."}},
            "# UTS namespaces: a title\n\nuts_namespaces(7). Linux 6.1.0, as "
            "uid "
            "1000, root in a new user namespace.\n"
            "\n## 1. Outside\n\nA `ps` sentence.\n\nA note.\n"},
           {"neighbours stand in one block, as in the text",
            {Step{1, "One", "", {}, {"lessons/uts.cc", {{7, "f();"}}}},
             Did("inside", "f()", 0, 0),
             Saw("inside", {{"queues", "a\n```\nb", "$ ipcs -q"}}),
             Question{"What?", {"a*b", "vm"}}, Claim{"Yes.", true, ""},
             Answer{"vm", 2, "A reason."}, Lore{"This."}, Counted(1, 0, 0)},
            "\n## 1. One\n"
            "\n```text\n"
            "    lessons/uts.cc\n"
            "  7 f();\n"
            "     inside   f() = 0\n"
            "              queues          $ ipcs -q\n"
            "              a\n"
            "              ```\n"
            "              b\n"
            "\n     question What?\n"
            "              1  a*b\n"
            "              2  vm\n"
            "```\n"
            "\n- **holds** Yes.\n"
            "\n```text\n"
            "     answer   2: vm. A reason.\n"
            "\n     remember This.\n"
            "```\n"
            "\n**1 of 1 claims hold.**\n"},
           {"tables are whole",
            {Compared({{"hostname", "vm", wide, "vm", "private"}}),
             Table{{"kind", "flag"}, {{"a|b", "CLONE_NEWNS"}, {"", "-"}}}},
            "\n|  | outside before | inside | outside after | verdict |\n"
            "|---|---|---|---|---|\n"
            "| hostname | vm | " +
                wide +
                " | vm | private |\n"
                "\n| kind | flag |\n|---|---|\n"
                "| a\\|b | CLONE_NEWNS |\n|  | - |\n"},
           {"claims are listed and counted",
            {Claim{"No.", false, ""}, Claim{"Who knows.", {}, "f(*): refused"},
             Counted(1, 1, 1), Hint{"Look:", {"ls *", "ps"}},
             Hint{"`exit`.", {}}},
            "\n- **FAILS** No.\n"
            "\n- **skipped** Who knows. (f(\\*): refused)\n"
            "\n**1 of 2 claims hold, 1 skipped.**\n"
            "\nLook:\n\n```sh\nls *\nps\n```\n\n`exit`.\n"},
           {"the error that ended a lesson closes a block",
            {Did("outside", "f()", 0, 0), refused},
            "\n```text\n     outside  f() = 0\n```\n"
            "\n- **cannot run** unshare(CLONE_NEWUSER): …\n"
            "\n- **cause** user.max_user_namespaces is 0.\n"
            "\n- **remedy** sudo \\<it>\n"},
           {"so does the end of a task, and no block is empty",
            {Did("a", "f()", 0, 0), Verdict{}, Shown{"a", {}}, Verdict{}},
            "\n```text\n     a        f() = 0\n```\n"}}) {
    EXPECT_EQ(Markdown(events), markdown) << claim;
  }
}

// `value` as it stands in a cell of a table.
std::string Cell(const std::string& value) {
  const std::string table = Markdown({Table{{"a"}, {{value}}}});
  const std::string before = "|---|\n| ";
  const std::size_t begin = table.find(before) + before.size();
  return table.substr(begin, table.rfind(" |\n") - begin);
}

TEST(MarkdownRenderer, EscapesWhatMarkdownWouldTakeForMarkup) {
  EXPECT_EQ(Cell("container_001 uts:[4026531838] a > b # 1. !"),
            "container_001 uts:\\[4026531838] a > b # 1. !");
  EXPECT_EQ(Cell("a|b \\ *b* <i> ~~d~~ `c` $m$ &amp;"),
            "a\\|b \\\\ \\*b\\* \\<i> \\~\\~d\\~\\~ \\`c\\` \\$m\\$ \\&amp;");
  EXPECT_EQ(Cell("_a_ b_ a__b"), "\\_a\\_ b\\_ a__b");
  EXPECT_EQ(Cell("![a](b) [a]: b"), "!\\[a](b) \\[a]: b");
  EXPECT_EQ(Cell("a\nb\x1b\xff"), "a\\\\x0ab\\\\x1b\\\\xff");
}

TEST(MarkdownRenderer, KeepsTheCodeInASentence) {
  EXPECT_EQ(Markdown({Note{"A * `b * <c>` d * `e"}}),
            "\nA \\* `b * <c>` d \\* \\`e\n");
  EXPECT_EQ(Markdown({Claim{"MS_REC | MS_* in `_a_`_.", true, ""}}),
            "\n- **holds** MS_REC \\| MS\\_\\* in `_a_`\\_.\n");
}

TEST(CastRenderer, BeginsWithItsHeader) {
  EXPECT_EQ(Cast({kOpening})[0], nlohmann::json::parse(R"json({
      "version": 2, "width": 80, "height": 24,
      "title": "UTS namespaces: a title",
      "env": {"TERM": "xterm-256color"}})json"));
}

TEST(CastRenderer, ShowsTheTextInColorALineAtATime) {
  const std::vector<Event> events = {
      kOpening, Step{1, "Title", ""},
      Saw("inside", {{"hostname", "a\xff\x1b", "uname(2)"}}),
      Claim{"Yes.", true, ""}};
  const std::vector<nlohmann::json> cast = Cast(events);
  std::string text = Text(events, true);
  for (std::size_t end = 0; (end = text.find('\n', end)) != text.npos;) {
    text.replace(end, 1, "\r\n");
    end += 2;
  }
  EXPECT_EQ(Played(cast), text);
  for (std::size_t i = 1; i < cast.size(); ++i) {
    if (cast[i][1] != "o") continue;
    const std::string line = cast[i][2];
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  }
}

TEST(CastRenderer, RestsAndSetsAMarkerBeforeEachStep) {
  EXPECT_EQ(
      Cast({kOpening, Note{"A."}, Note{"B."}, Step{7, "Title", ""}}),
      (std::vector<nlohmann::json>{Cast({kOpening})[0],
                                   Cast({kOpening})[1],
                                   Cast({kOpening})[2],
                                   {0.3, "o", "     A.\r\n"},
                                   {0.45, "o", "     B.\r\n"},
                                   {3.6, "m", "7. Title"},
                                   {3.6, "o", "\r\n"},
                                   {3.75, "o", "\x1b[1m7  Title\x1b[0m\r\n"}}));
}

TEST(CastRenderer, ShowsTheErrorThatEndedALesson) {
  Verdict verdict;
  verdict.error = "unshare(CLONE_NEWUSER): …";
  verdict.advice = Advice{"The cause.", "the remedy"};
  EXPECT_THAT(Played(Cast({kOpening, verdict})),
              HasSubstr("\r\n"
                        "uts: unshare(CLONE_NEWUSER): …\r\n"
                        "  cause   The cause.\r\n"
                        "  remedy  the remedy\r\n"));
}

TEST(Show, FailsWhenTheOutputIsFull) {
  const Descriptor full = Open("/dev/full", O_WRONLY);
  const auto show = [&](const Renderer& renderer) {
    To(full.get(), renderer)(kOpening);
  };
  try {
    show(MakeTextRenderer(false));
    FAIL();
  } catch (const OutputError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_THAT(error.what(), HasSubstr("No space left on device"));
  }
  EXPECT_THROW(show(MakeMarkdownRenderer()), OutputError);
  EXPECT_THROW(show(MakeCastRenderer()), OutputError);
  const Show json = To(full.get(), MakeJsonRenderer());
  json(kOpening);
  EXPECT_THROW(json(Verdict{}), OutputError);
}

TEST(Show, WritesWhatTheRendererMakesOfAnEvent) {
  const Descriptor file(memfd_create("output", MFD_CLOEXEC));
  const Show show = To(file.get(), MakeTextRenderer(false));
  show(Note{"One."});
  show(Note{"Two."});
  lseek(file.get(), 0, SEEK_SET);
  EXPECT_EQ(ReadAll(file.get()), "     One.\n     Two.\n");
}

}  // namespace
}  // namespace steps
