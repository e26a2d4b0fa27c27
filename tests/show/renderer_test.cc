#include "common/show/renderer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"

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
  return Called{
      process,
      Call{.text = text, .result = result, .error = error}};
}
Event Saw(const std::string& process, const std::vector<Finding>& findings) {
  Evidence evidence;
  for (const Finding& finding : findings) evidence.Add(finding);
  return Shown{process, evidence};
}

// What a renderer writes for `events`.
template <typename MakeRenderer>
std::string Written(MakeRenderer make, const std::vector<Event>& events) {
  const Descriptor file(memfd_create("output", MFD_CLOEXEC));
  const std::unique_ptr<Renderer> renderer = make(file.get());
  for (const Event& event : events) renderer->Render(event);
  lseek(file.get(), 0, SEEK_SET);
  return ReadAll(file.get());
}

std::string Text(const std::vector<Event>& events, bool color = false) {
  return Written([&](int fd) { return MakeTextRenderer(To(fd), color); },
                 events);
}

nlohmann::json Json(const std::vector<Event>& events) {
  return nlohmann::json::parse(
      Written([](int fd) { return MakeJsonRenderer(To(fd)); }, events));
}

std::string Markdown(const std::vector<Event>& events) {
  return Written([](int fd) { return MakeMarkdownRenderer(To(fd)); }, events);
}

// The lines of a recording: its header, and its events.
std::vector<nlohmann::json> Cast(const std::vector<Event>& events) {
  std::istringstream lines(
      Written([](int fd) { return MakeCastRenderer(To(fd)); }, events));
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

// The widest line, in code points.
std::size_t WidthOf(const std::string& text) {
  std::size_t widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::size_t width = 0;
    for (const char c : line) width += (c & 0xC0) != 0x80 ? 1 : 0;
    widest = std::max(widest, width);
  }
  return widest;
}

TEST(TextRenderer, OpensWithTheTitleTheManPageTheKernelAndThePrivilege) {
  const std::string text = Text({kOpening});
  EXPECT_THAT(text, AllOf(HasSubstr("UTS namespaces: a title"),
                          HasSubstr("uts_namespaces(7)\n"),
                          HasSubstr("Linux 6.1.0, as uid 1000, root in a")));
  Opening opening = kOpening;
  opening.privilege = "root";
  EXPECT_THAT(Text({opening}), HasSubstr("as uid 1000 with capabilities."));
  opening.uid = 0;
  EXPECT_THAT(Text({opening}), HasSubstr("Linux 6.1.0, as root.\n"));
}

TEST(TextRenderer, NumbersItsSteps) {
  EXPECT_EQ(Text({Step{3, "Inside", "", {}, {}}}), "\n3  Inside\n");
}

TEST(TextRenderer, ShowsACallWithItsResult) {
  EXPECT_EQ(Text({Did("inside", "sethostname(\"a\", 1)", 0, 0)}),
            "     inside   sethostname(\"a\", 1) = 0\n");
  EXPECT_EQ(Text({Did("root", "sethostname(\"a\", 1)", -1, EPERM)}),
            "     root     sethostname(\"a\", 1) = -1 EPERM (Operation not "
            "permitted)\n");
}

TEST(TextRenderer, NamesAProcessOnceForItsLines) {
  EXPECT_EQ(Text({Saw("outside", {{"hostname", "vm", "uname(2)"},
                                  {"NIS domain", "d", "uname(2)"}}),
                  Did("outside", "getpid()", 7, 0), Did("child", "f()", 0, 0)}),
            "     outside  hostname        vm                   uname(2)\n"
            "              NIS domain      d                    uname(2)\n"
            "              getpid() = 7\n"
            "     child    f() = 0\n");
}

TEST(TextRenderer, PutsASourceThatIsTooLongAboveItsValue) {
  const std::string source = "hostname is not installed: /proc/sys/kernel/";
  EXPECT_EQ(
      Text({Saw("outside", {{"hostname", "vm", source}})}),
      "     outside  hostname        " + source + "\n" + "              vm\n");
}

TEST(TextRenderer, GivesAValueWithLinesOfItsOwnABlock) {
  EXPECT_EQ(Text({Saw("inside", {{"queues", "a\n\nb", "$ ipcs -q"}})}),
            "     inside   queues          $ ipcs -q\n"
            "              a\n"
            "\n"
            "              b\n");
}

TEST(TextRenderer, NeverWritesMoreThan80Columns) {
  const std::string host(64, 'h');
  const std::string text = Text(
      {kOpening, Step{1, "Title", "", {}, {}},
       Note{"A sentence that is so long that it does not fit into the "
            "eighty columns that a terminal has at the least."},
       Did("inside", "sethostname(\"" + host + "\", 64)", -1, EPERM),
       Saw("inside", {{"hostname", host, "/proc/sys/kernel/hostname"},
                      {"hostname", std::string(300, 'x'), "$ hostname"},
                      {"hostname", "é" + std::string(299, 'x'), "uname(2)"}}),
       Comparison{{{"a very long probe", host, host, host, "private"}}},
       Claim{std::string(30, 'w') + " " + std::string(60, 'w'), true, ""},
       Claim{"A claim.", std::nullopt, std::string(90, 'r')}});
  EXPECT_LE(WidthOf(text), 80U);
  EXPECT_THAT(text, HasSubstr("…"));
}

TEST(TextRenderer, BreaksASentenceBetweenItsWords) {
  EXPECT_EQ(Text({Claim{"A sentence that is a little longer than what one line "
                        "of a screen holds.",
                        true, ""}}),
            "     holds    A sentence that is a little longer than what one "
            "line of a screen\n"
            "              holds.\n");
}

TEST(TextRenderer, ShowsControlCharactersInsteadOfObeyingThem) {
  const std::string text =
      Text({Saw("inside", {{"hostname", "a\x1b[31m\x07", "uname(2)"}}),
            Comparison{{{"hostname", "\x1b", "\x1b", "\r", "shared"}}},
            Did("inside", "sethostname(\"\x1b\", 1)", 0, 0)});
  EXPECT_THAT(text, AllOf(HasSubstr("a\\x1b[31m\\x07"), HasSubstr("\\x0d"),
                          Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
}

TEST(TextRenderer, ComparesInOneTable) {
  EXPECT_EQ(Text({Comparison{{{"hostname", "vm", "new", "vm", "private"}}}}),
            "\n"
            "            outside before  inside  outside after  verdict\n"
            "  hostname  vm              new     vm             private\n\n");
}

TEST(TextRenderer, AlignsTheColumnsOfATable) {
  EXPECT_EQ(Text({Table{{"kind", "flag"},
                        {{"mount", "CLONE_NEWNS"}, {"é", "CLONE_NEWUTS"}}}}),
            "\n"
            "  kind   flag\n"
            "  mount  CLONE_NEWNS\n"
            "  é      CLONE_NEWUTS\n\n");
}

TEST(TextRenderer, GivesUpTheMarginOfATableBeforeItCuts) {
  const std::string wide(71, 'x');
  EXPECT_THAT(Text({Table{{"a", "b"}, {{"narrow", wide}}}}),
              HasSubstr("\n narrow  " + wide + "\n"));
}

TEST(TextRenderer, LeavesOneEmptyLineBetweenATableAndWhatFollows) {
  const Table table = {{"a", "b"}, {{"c", "d"}}};
  const std::string shown = "\n  a  b\n  c  d\n\n";
  EXPECT_EQ(Text({table, Step{2, "Next", "", {}, {}}}), shown + "2  Next\n");
  EXPECT_EQ(Text({table, table}), shown + shown.substr(1));
  EXPECT_EQ(Text({table, Note{"A note."}}), shown + "     A note.\n");
}

TEST(TextRenderer, CutsTheWidestColumnInTheMiddle) {
  const std::string wide = "begin" + std::string(80, 'x') + "end";
  const std::string text = Text({Table{{"a", "b"}, {{"narrow", wide}}}});
  EXPECT_EQ(WidthOf(text), 80U);
  EXPECT_THAT(text, AllOf(HasSubstr("narrow  beginx"), HasSubstr("x…x"),
                          HasSubstr("xend\n")));
}

TEST(TextRenderer, MarksClaimsInWords) {
  EXPECT_EQ(Text({Claim{"Yes.", true, ""}}), "     holds    Yes.\n");
  EXPECT_EQ(Text({Claim{"No.", false, ""}}), "     FAILS    No.\n");
  EXPECT_EQ(Text({Claim{"Who knows.", std::nullopt, "unshare() refused"}}),
            "     skipped  Who knows. (unshare() refused)\n");
}

TEST(TextRenderer, PutsTheWordThatJudgesAnItemBeforeIt) {
  EXPECT_EQ(
      Text({Item{"works", true, "clone3(2)"}, Item{"cause 1", {}, "\x07"}}),
      "     works    clone3(2)\n"
      "     cause 1  \\x07\n");
  EXPECT_EQ(Text({Item{"refused", false, std::string(65, 'x') + " and more"}}),
            "     refused  " + std::string(65, 'x') + "\n" +
                std::string(14, ' ') + "and more\n");
  EXPECT_THAT(Text({Item{"works", true, ""}}, true),
              HasSubstr("\x1b[32mworks"));
  EXPECT_THAT(Text({Item{"refused", false, ""}}, true),
              HasSubstr("\x1b[1;31mrefused"));
  EXPECT_THAT(Text({Item{"skipped", {}, ""}}, true),
              HasSubstr("\x1b[33mskipped"));
}

TEST(TextRenderer, CountsTheClaims) {
  Verdict verdict;
  verdict.held = 5;
  verdict.contradicted = 1;
  EXPECT_EQ(Text({verdict}), "5 of 6 claims hold.\n");
  verdict.skipped = 2;
  EXPECT_EQ(Text({verdict}), "5 of 6 claims hold, 2 skipped.\n");
  EXPECT_EQ(Text({Verdict{}}), "") << "there was nothing to judge";
}

TEST(TextRenderer, AddsColorAndNothingElse) {
  const std::vector<Event> events = {
      kOpening, Step{1, "Title", "", {}, {}}, Claim{"Yes.", true, ""},
      Saw("inside", {{"hostname", "a", "uname(2)"}}),
      Comparison{{{"hostname", "a", "b", "a", "private"}}}};
  std::string colored = Text(events, true);
  EXPECT_THAT(colored, HasSubstr("\x1b[32m"));
  while (colored.find('\x1b') != std::string::npos) {
    const std::size_t begin = colored.find('\x1b');
    colored.erase(begin, colored.find('m', begin) - begin + 1);
  }
  EXPECT_EQ(colored, Text(events));
}

TEST(TextRenderer, MarksTheCellsThatDiffer) {
  const std::string text =
      Text({Comparison{{{"hostname", "a", "b", "a", "private"},
                        {"release", "6.1", "6.1", "6.1", "shared"},
                        {"load", "1", "1", "2", "changed"}}}},
           true);
  EXPECT_THAT(text, AllOf(HasSubstr("\x1b[1;36mb\x1b[0m"),
                          HasSubstr("\x1b[1;31m2\x1b[0m")));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("ma\x1b")), Not(HasSubstr("m6.1"))));
}

TEST(TextRenderer, ListsCodeBehindItsNumbersBelowItsFile) {
  const Code code = {"lessons/a.cc",
                     {{7, "int x = 1;"}, {8, ""}, {120, "f();"}}};
  EXPECT_EQ(
      Text({Step{1, "One", "", {}, code}, Code{"lessons/a.cc", {{9, "g();"}}},
            Code{"lessons/b.cc", {{1, "h();"}}}}),
      "\n1  One\n"
      "    lessons/a.cc\n"
      "  7 int x = 1;\n"
      "  8\n"
      "120 f();\n"
      "  9 g();\n"
      "    lessons/b.cc\n"
      "  1 h();\n");
  EXPECT_THAT(
      Text({Step{1, "One", "", {}, code}, Step{2, "Two", "", {}, code}}),
      HasSubstr("2  Two\n    lessons/a.cc\n"))
      << "in each step";
}

TEST(TextRenderer, AsksAndAnswers) {
  const Question question = {"What?", {"this", "that"}};
  EXPECT_EQ(Text({question}),
            "\n     question What?\n"
            "              1  this\n"
            "              2  that\n");
  EXPECT_EQ(Text({Answer{"that", 2, "It is so."}}),
            "     answer   2: that. It is so.\n");
  EXPECT_EQ(Text({Answer{"odd", std::nullopt, "It is so."}}),
            "     answer   none of these: odd. It is so.\n");
  EXPECT_EQ(Text({Answer{"that", 2, "It is so.", 2}}),
            "     answer   yes, 2: that. It is so.\n");
  EXPECT_EQ(Text({Answer{"that", 2, "It is so.", 1}}),
            "     answer   not 1, but 2: that. It is so.\n");
}

TEST(JsonRenderer, HasTheQuestionWithItsAnswer) {
  EXPECT_EQ(Json({kOpening, Question{"What?", {"this", "that"}},
                  Answer{"that", 2, "It is so."}, Verdict{}})["questions"],
            nlohmann::json::parse(R"json([
      {"text": "What?", "answers": ["this", "that"], "found": "that",
       "reason": "It is so."}])json"));
}

TEST(TextRenderer, HasASingleCommandBehindWhatIsSaidOfIt) {
  EXPECT_EQ(Text({Hint{"Look:", {"ls"}}}), "Look: ls\n");
  EXPECT_EQ(Text({Hint{"Type:", {"ls", "ps"}}}), "Type:\n     ls\n     ps\n");
}

TEST(JsonRenderer, WritesOneDocumentWithTheVerdict) {
  Verdict verdict;
  verdict.outcome = "contradicted";
  verdict.exit_status = 1;
  const nlohmann::json json =
      Json({kOpening, Step{1, "Outside", "", {}, {}}, Note{"A sentence."},
            Saw("outside", {{"hostname", "vm", "uname(2)"}}),
            Step{2, "Inside", "", {}, {}},
            Did("inside", "sethostname(\"a\", 1)", -1, EPERM),
            Comparison{{{"hostname", "vm", "a", "vm", "private"}}},
            Table{{"kind", "flag"}, {{"mount", "CLONE_NEWNS"}}},
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

TEST(MarkdownRenderer, HasHeadingsAndParagraphs) {
  EXPECT_EQ(Markdown({kOpening, Step{1, "Outside", "", {}, {}},
                      Note{"A `ps` sentence."}, Note{"Another."}}),
            "# UTS namespaces: a title\n"
            "\n"
            "uts_namespaces(7). Linux 6.1.0, as uid 1000, root in a new user "
            "namespace.\n"
            "\n"
            "## 1. Outside\n"
            "\n"
            "A `ps` sentence.\n"
            "\n"
            "Another.\n");
}

TEST(MarkdownRenderer, PutsNeighbouringCallsAndEvidenceInOneBlock) {
  EXPECT_EQ(Markdown({Did("inside", "sethostname(\"a\", 1)", 0, 0),
                      Saw("inside", {{"hostname", "a", "uname(2)"},
                                     {"queues", "a\n```\nb", "$ ipcs -q"}}),
                      Note{"A note."},
                      Did("root", "sethostname(\"a\", 1)", -1, EPERM),
                      Step{2, "Next", "", {}, {}}}),
            "```text\n"
            "inside   sethostname(\"a\", 1) = 0\n"
            "         hostname        a                    uname(2)\n"
            "         queues          $ ipcs -q\n"
            "         a\n"
            "         ```\n"
            "         b\n"
            "```\n"
            "\n"
            "A note.\n"
            "\n"
            "```text\n"
            "root     sethostname(\"a\", 1) = -1 EPERM (Operation not "
            "permitted)\n"
            "```\n"
            "\n"
            "## 2. Next\n");
}

TEST(MarkdownRenderer, ShowsCodeBelowItsPlace) {
  EXPECT_EQ(
      Markdown(
          {Step{1, "Outside", "", {}, {"lessons/uts.cc", {{7, "f();"}}}},
           Code{"lessons/uts.cc",
                {{9, "{"}, {10, "  g();"}, {13, ""}, {14, "}"}, {18, "h();"}}},
           Did("outside", "g()", 0, 0)}),
      "## 1. Outside\n"
      "\n"
      "`lessons/uts.cc:7`\n"
      "\n"
      "```cpp\n"
      "f();\n"
      "```\n"
      "\n"
      "`lessons/uts.cc:9-10, 13-14, 18`\n"
      "\n"
      "```cpp\n"
      "{\n"
      "  g();\n"
      "\n"
      "}\n"
      "\n"
      "h();\n"
      "```\n"
      "\n"
      "```text\n"
      "outside  g() = 0\n");
}

TEST(MarkdownRenderer, ListsTheAnswersToAQuestion) {
  EXPECT_EQ(Markdown({Question{"What does `hostname` print?", {"a*b", "vm"}},
                      Answer{"vm", 2, "A reason."}}),
            "**Question** What does `hostname` print?\n"
            "\n"
            "1. a\\*b\n"
            "2. vm\n"
            "\n"
            "**Answer** 2: vm. A reason.\n");
}

TEST(MarkdownRenderer, HasWholeTables) {
  const std::string wide(200, 'x');
  EXPECT_EQ(
      Markdown({Comparison{{{"hostname", "vm", wide, "vm", "private"}}},
                Table{{"kind", "flag"}, {{"a|b", "CLONE_NEWNS"}, {"", "-"}}}}),
      "|  | outside before | inside | outside after | verdict |\n"
      "|---|---|---|---|---|\n"
      "| hostname | vm | " +
          wide +
          " | vm | private |\n"
          "\n"
          "| kind | flag |\n"
          "|---|---|\n"
          "| a\\|b | CLONE_NEWNS |\n"
          "|  | - |\n");
}

TEST(MarkdownRenderer, ListsTheClaimsAndCountsThem) {
  Verdict verdict;
  verdict.held = verdict.contradicted = verdict.skipped = 1;
  EXPECT_EQ(Markdown({Claim{"Yes.", true, ""}, Claim{"No.", false, ""},
                      Claim{"Who knows.", std::nullopt, "f(*): refused"},
                      verdict, Hint{"Look:", {"ls *"}}, Hint{"`exit`.", {}}}),
            "- **holds** Yes.\n"
            "- **FAILS** No.\n"
            "- **skipped** Who knows. (f(\\*): refused)\n"
            "\n"
            "**1 of 2 claims hold, 1 skipped.**\n"
            "\n"
            "Look:\n"
            "\n"
            "```sh\n"
            "ls *\n"
            "```\n"
            "\n"
            "`exit`.\n");
}

TEST(MarkdownRenderer, SaysWhyALessonEndedEarly) {
  Verdict verdict;
  verdict.outcome = "cannot run";
  verdict.error = "unshare(CLONE_NEWUSER): …";
  verdict.advice = Advice{"user.max_user_namespaces is 0.", "sudo <it>"};
  EXPECT_EQ(Markdown({Did("outside", "f()", 0, 0), verdict}),
            "```text\n"
            "outside  f() = 0\n"
            "```\n"
            "\n"
            "**cannot run** unshare(CLONE_NEWUSER): …\n"
            "\n"
            "- **cause** user.max_user_namespaces is 0.\n"
            "- **remedy** sudo \\<it>\n");
  verdict.outcome = "failed";
  verdict.advice.reset();
  EXPECT_EQ(Markdown({verdict}), "**failed** unshare(CLONE_NEWUSER): …\n");
}

TEST(MarkdownRenderer, LeavesNoBlockOpenAndNoneEmpty) {
  EXPECT_EQ(Markdown({Shown{"outside", {}}, Verdict{}}), "");
  EXPECT_THAT(Markdown({Did("outside", "f()", 0, 0), Verdict{}}),
              HasSubstr("f() = 0\n```\n"));
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
            "container_001 uts:[4026531838] a > b # 1. !");
  EXPECT_EQ(Cell("a|b \\ *b* <i> ~~d~~ `c` $m$ &amp;"),
            "a\\|b \\\\ \\*b\\* \\<i> \\~\\~d\\~\\~ \\`c\\` \\$m\\$ \\&amp;");
  EXPECT_EQ(Cell("_a_ b_ a__b"), "\\_a\\_ b\\_ a\\_\\_b");
  EXPECT_EQ(Cell("![a](b) [a]: b"), "![a\\](b) [a\\]: b");
  EXPECT_EQ(Cell("a\nb\x1b\xff"), "a\\\\x0ab\\\\x1b\\\\xff");
}

TEST(MarkdownRenderer, KeepsTheCodeInASentence) {
  EXPECT_EQ(Markdown({Note{"A * `b * <c>` d * `e"}}),
            "A \\* `b * <c>` d \\* \\`e\n");
  EXPECT_EQ(Markdown({Claim{"MS_REC | MS_* in `_a_`_.", true, ""}}),
            "- **holds** MS_REC | MS\\_\\* in `_a_`\\_.\n");
}

TEST(MarkdownRenderer, BeginsNoHeadingListOrQuoteWithAnAnswer) {
  EXPECT_EQ(Markdown({Question{"Which?", {"# a", "- b", "> c", "1. d", "12"}},
                      Question{"Which?", {"+ e", "[x] f", "3) g", "h"}}}),
            "**Question** Which?\n"
            "\n"
            "1. \\# a\n"
            "2. \\- b\n"
            "3. \\> c\n"
            "4. 1\\. d\n"
            "5. 12\n"
            "\n"
            "**Question** Which?\n"
            "\n"
            "1. \\+ e\n"
            "2. \\[x] f\n"
            "3. 3\\) g\n"
            "4. h\n");
}

TEST(CastRenderer, BeginsWithItsHeader) {
  EXPECT_EQ(Cast({kOpening})[0], nlohmann::json::parse(R"json({
      "version": 2, "width": 80, "height": 24,
      "title": "UTS namespaces: a title",
      "env": {"TERM": "xterm-256color"}})json"));
}

TEST(CastRenderer, ShowsTheTextInColorALineAtATime) {
  const std::vector<Event> events = {
      kOpening, Step{1, "Title", "", {}, {}},
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
      Cast({kOpening, Note{"A."}, Note{"B."}, Step{7, "Title", "", {}, {}}}),
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

TEST(Renderer, FailsWhenTheOutputIsFull) {
  const Descriptor full = Open("/dev/full", O_WRONLY);
  try {
    MakeTextRenderer(To(full.get()), false)->Render(kOpening);
    FAIL();
  } catch (const OutputError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_THAT(error.what(), HasSubstr("No space left on device"));
  }
  EXPECT_THROW(MakeMarkdownRenderer(To(full.get()))->Render(kOpening),
               OutputError);
  EXPECT_THROW(MakeCastRenderer(To(full.get()))->Render(kOpening), OutputError);
  const std::unique_ptr<Renderer> json = MakeJsonRenderer(To(full.get()));
  json->Render(kOpening);
  EXPECT_THROW(json->Render(Verdict{}), OutputError);
}

}  // namespace
}  // namespace steps
