#include "common/renderer.h"

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

#include "common/descriptor.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Opening kOpening = {
    "uts", "UTS namespace: a title", "uts_namespaces(7)", "6.1.0",
    1000,  "user namespace"};

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
  return Written([&](int fd) { return MakeTextRenderer(fd, color); }, events);
}

nlohmann::json Json(const std::vector<Event>& events) {
  return nlohmann::json::parse(Written(MakeJsonRenderer, events));
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
  EXPECT_THAT(text, AllOf(HasSubstr("UTS namespace: a title"),
                          HasSubstr("uts_namespaces(7)\n"),
                          HasSubstr("Linux 6.1.0, as uid 1000: root in a")));
  Opening opening = kOpening;
  opening.privilege = "root";
  EXPECT_THAT(Text({opening}), HasSubstr("as uid 1000 with CAP_SYS_ADMIN."));
  opening.uid = 0;
  EXPECT_THAT(Text({opening}), HasSubstr("Linux 6.1.0, as root.\n"));
}

TEST(TextRenderer, NumbersItsSteps) {
  EXPECT_EQ(Text({Step{3, "Inside"}}), "\n3  Inside\n");
}

TEST(TextRenderer, ShowsACallWithItsResult) {
  EXPECT_EQ(Text({Call{"inside", "sethostname(\"a\", 1)", 0, 0}}),
            "     inside   sethostname(\"a\", 1) = 0\n");
  EXPECT_EQ(Text({Call{"root", "sethostname(\"a\", 1)", -1, EPERM}}),
            "     root     sethostname(\"a\", 1) = -1 EPERM (Operation not "
            "permitted)\n");
}

TEST(TextRenderer, SaysOnceWhatSeveralSourcesAgreeOn) {
  EXPECT_EQ(Text({Shown{"outside",
                        {{"hostname", "vm", "uname(2)"},
                         {"hostname", "vm", "$ hostname"},
                         {"hostname", "other", "/proc"},
                         {"domain name", "d", "uname(2)"}}}}),
            "     outside  hostname     vm                   uname(2)\n"
            "                                                $ hostname\n"
            "                           other                /proc\n"
            "              domain name  d                    uname(2)\n");
}

TEST(TextRenderer, GivesAValueWithLinesOfItsOwnABlock) {
  EXPECT_EQ(Text({Shown{"inside", {{"queues", "a\n\nb", "$ ipcs -q"}}}}),
            "     inside   queues       $ ipcs -q\n"
            "              a\n"
            "              \n"
            "              b\n");
}

TEST(TextRenderer, NeverWritesMoreThan80Columns) {
  const std::string host(64, 'h');
  const std::string text =
      Text({kOpening, Step{1, "Title"},
            Note{"A sentence that is so long that it does not fit into the "
                 "eighty columns that a terminal has at the least."},
            Call{"inside", "sethostname(\"" + host + "\", 64)", -1, EPERM},
            Shown{"inside",
                  {{"hostname", host, "/proc/sys/kernel/hostname"},
                   {"hostname", std::string(300, 'x'), "$ hostname"},
                   {"hostname", "é" + std::string(299, 'x'), "uname(2)"}}},
            Comparison{{{"a very long probe", host, host, host, "isolated"}}},
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
      Text({Shown{"inside", {{"hostname", "a\x1b[31m\x07", "uname(2)"}}},
            Comparison{{{"hostname", "\x1b", "\x1b", "\r", "shared"}}},
            Call{"inside", "sethostname(\"\x1b\", 1)", 0, 0}});
  EXPECT_THAT(text, AllOf(HasSubstr("a\\x1b[31m\\x07"), HasSubstr("\\x0d"),
                          Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
}

TEST(TextRenderer, ComparesInOneTable) {
  EXPECT_EQ(Text({Comparison{{{"hostname", "vm", "new", "vm", "isolated"}}}}),
            "\n"
            "            outside before  inside  outside after  verdict\n"
            "  hostname  vm              new     vm             isolated\n\n");
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
  EXPECT_EQ(Text({table, Step{2, "Next"}}), shown + "2  Next\n");
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

TEST(TextRenderer, CountsTheClaims) {
  Verdict verdict;
  verdict.held = 5;
  verdict.contradicted = 1;
  EXPECT_EQ(Text({verdict}), "\n5 of 6 claims hold.\n");
  verdict.skipped = 2;
  EXPECT_EQ(Text({verdict}), "\n5 of 6 claims hold, 2 skipped.\n");
  EXPECT_EQ(Text({Verdict{}}), "") << "there was nothing to judge";
}

TEST(TextRenderer, AddsColorAndNothingElse) {
  const std::vector<Event> events = {
      kOpening, Step{1, "Title"}, Claim{"Yes.", true, ""},
      Shown{"inside", {{"hostname", "a", "uname(2)"}}},
      Comparison{{{"hostname", "a", "b", "a", "isolated"}}}};
  std::string colored = Text(events, true);
  EXPECT_THAT(colored, HasSubstr("\x1b[32m"));
  while (colored.find('\x1b') != std::string::npos) {
    const std::size_t begin = colored.find('\x1b');
    colored.erase(begin, colored.find('m', begin) - begin + 1);
  }
  EXPECT_EQ(colored, Text(events));
}

TEST(JsonRenderer, WritesOneDocumentWithTheVerdict) {
  Verdict verdict;
  verdict.outcome = "contradicted";
  verdict.exit_status = 1;
  const nlohmann::json json = Json(
      {kOpening, Step{1, "Outside"}, Note{"A sentence."},
       Shown{"outside", {{"hostname", "vm", "uname(2)"}}}, Step{2, "Inside"},
       Call{"inside", "sethostname(\"a\", 1)", -1, EPERM},
       Comparison{{{"hostname", "vm", "a", "vm", "isolated"}}},
       Table{{"kind", "flag"}, {{"mount", "CLONE_NEWNS"}}},
       Claim{"Yes.", true, ""}, Claim{"No.", false, ""},
       Claim{"Who knows.", std::nullopt, "refused"}, verdict});
  EXPECT_EQ(json["lesson"], "uts");
  EXPECT_EQ(json["kernel"], "6.1.0");
  EXPECT_EQ(json["uid"], 1000);
  EXPECT_EQ(json["privilege"], "user namespace");
  EXPECT_EQ(json["steps"], nlohmann::json::parse(R"json([
      {"number": 1, "title": "Outside"}, {"number": 2, "title": "Inside"}])json"));
  EXPECT_EQ(json["evidence"], nlohmann::json::parse(R"json([
      {"event": 1, "step": 1, "side": "outside", "probe": "hostname", "value": "vm",
       "source": "uname(2)"
}])json"));
  EXPECT_EQ(json["calls"], nlohmann::json::parse(R"json([
      {"event": 2, "step": 2, "side": "inside", "call": "sethostname(\"a\", 1)",
       "result": -1, "errno": "EPERM"
}])json"));
  EXPECT_EQ(json["comparison"], nlohmann::json::parse(R"json([
      {"probe": "hostname", "outside_before": "vm", "inside": "a",
       "outside_after": "vm", "verdict": "isolated"}])json"));
  EXPECT_EQ(json["tables"], nlohmann::json::parse(R"json([
      {"step": 2, "header": ["kind", "flag"],
       "rows": [["mount", "CLONE_NEWNS"]]}])json"));
  EXPECT_EQ(json["claims"], nlohmann::json::parse(R"json([
      {"text": "Yes.", "holds": true}, {"text": "No.", "holds": false},
      {"text": "Who knows.", "holds": null, "reason": "refused"}])json"));
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
      Json({kOpening, Shown{"inside", {{"hostname", "a\xff", "uname(2)"}}},
            Verdict{}});
  EXPECT_EQ(json["evidence"][0]["value"], "a\uFFFD");
}

TEST(Renderer, FailsWhenTheOutputIsFull) {
  const Descriptor full = Open("/dev/full", O_WRONLY);
  try {
    MakeTextRenderer(full.get(), false)->Render(kOpening);
    FAIL();
  } catch (const OutputError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_THAT(error.what(), HasSubstr("No space left on device"));
  }
  const std::unique_ptr<Renderer> json = MakeJsonRenderer(full.get());
  json->Render(kOpening);
  EXPECT_THROW(json->Render(Verdict{}), OutputError);
}

}  // namespace
}  // namespace steps
