#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/show/renderer.h"
#include "tests/support/graph.h"

namespace steps {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

using Namespaces = std::map<int, NamespaceId>;

const Opening kOpening = {
    "uts", "UTS namespace: a title", "uts_namespaces(7)", "6.1.0", 1000,
    "root"};

// What the renderer writes for `events`.
std::string Written(std::unique_ptr<Renderer> (*make)(Write),
                    const std::vector<Event>& events) {
  std::string written;
  const std::unique_ptr<Renderer> renderer =
      make([&](std::string_view text) { written += text; });
  for (const Event& event : events) renderer->Render(event);
  return written;
}

std::string Dot(const std::vector<Event>& events) {
  return Written(MakeDotRenderer, events);
}

std::string Svg(const std::vector<Event>& events) {
  return Written(MakeSvgRenderer, events);
}

Drawing OfOne(const std::vector<Fact>& facts) {
  return {"now", {{"outside", {{CLONE_NEWUTS, {4, 1}}}, facts}}};
}

// Processes in a namespace of each kind, of which some share some.
Drawing Three() {
  return {
      "now",
      {{"one",
        {{CLONE_NEWNS, {4, 1}}, {CLONE_NEWUTS, {4, 2}}, {CLONE_NEWIPC, {4, 3}}},
        {}},
       {"two",
        {{CLONE_NEWNS, {4, 1}}, {CLONE_NEWUTS, {4, 2}}, {CLONE_NEWIPC, {4, 4}}},
        {}},
       {"three",
        {{CLONE_NEWNS, {4, 1}}, {CLONE_NEWUTS, {4, 5}}, {CLONE_NEWIPC, {4, 6}}},
        {}}}};
}

TEST(DotRenderer, DrawsALineFromAProcessToItsNamespaces) {
  auto drawn = ReadGraph(Dot({kOpening, Three(), Verdict{}}));
  EXPECT_THAT(
      drawn["now one"].namespaces,
      ElementsAre(Pair("ipc", "3"), Pair("mount", "1"), Pair("uts", "2")));
  EXPECT_THAT(
      drawn["now two"].namespaces,
      ElementsAre(Pair("ipc", "4"), Pair("mount", "1"), Pair("uts", "2")));
  EXPECT_THAT(
      drawn["now three"].namespaces,
      ElementsAre(Pair("ipc", "6"), Pair("mount", "1"), Pair("uts", "5")));
}

TEST(DotRenderer, SaysWhoSharesABox) {
  auto drawn = ReadGraph(Dot({kOpening, Three(), Verdict{}}));
  EXPECT_THAT(
      drawn["now one"].boxes,
      ElementsAre(Pair("ipc", "one alone"), Pair("mount", "shared by all"),
                  Pair("uts", "shared by one,<BR/>two")));
  EXPECT_THAT(
      drawn["now three"].boxes,
      ElementsAre(Pair("ipc", "three alone"), Pair("mount", "shared by all"),
                  Pair("uts", "three alone")));
  Drawing two = Three();
  two.processes.pop_back();
  EXPECT_EQ(ReadGraph(Dot({two, Verdict{}}))["now one"].boxes["uts"],
            "shared by both");
  EXPECT_EQ(ReadGraph(Dot({OfOne({}), Verdict{}}))["now outside"].boxes["uts"],
            "its namespaces");
}

// How often `part` stands in `text`.
int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(DotRenderer, HasOneBoxForWhatHasTheSameMembers) {
  // {one}, {one, two}, {two}, all, {three}
  EXPECT_EQ(Count(Dot({Three(), Verdict{}}), "_namespaces5 [label"), 1);
  EXPECT_EQ(Count(Dot({Three(), Verdict{}}), "_namespaces6 [label"), 0);
}

TEST(DotRenderer, MarksWhatNotAllShareNotByItsColourAlone) {
  Drawing drawing = Three();
  drawing.processes.pop_back();
  EXPECT_EQ(Count(Dot({drawing, Verdict{}}), "BORDER=\"3\""), 2);
  EXPECT_EQ(Count(Dot({drawing, Verdict{}}), "<TABLE BORDER=\"1\""), 1);
}

TEST(DotRenderer, MarksWhatWasNotInTheDrawingBefore) {
  const Drawing before = {
      "before",
      {{"outside", {{CLONE_NEWUTS, {4, 1}}, {CLONE_NEWUSER, {4, 2}}}, {}}}};
  const Drawing after = {
      "after",
      {{"outside", {{CLONE_NEWUTS, {4, 1}}, {CLONE_NEWUSER, {4, 3}}}, {}},
       {"inside", {{CLONE_NEWUTS, {4, 4}}, {CLONE_NEWUSER, {4, 3}}}, {}}}};
  auto drawn = ReadGraph(Dot({before, after, Verdict{}}));
  EXPECT_THAT(drawn["before outside"].is_new,
              ElementsAre(Pair("user", false), Pair("uts", false)));
  EXPECT_THAT(drawn["after outside"].is_new,
              ElementsAre(Pair("user", true), Pair("uts", false)));
  EXPECT_THAT(drawn["after inside"].is_new,
              ElementsAre(Pair("user", true), Pair("uts", true)));
}

TEST(DotRenderer, TellsNamespacesOfTwoDevicesApart) {
  const Drawing drawing = {"now",
                           {{"one", {{CLONE_NEWUTS, {4, 1}}}, {}},
                            {"two", {{CLONE_NEWUTS, {5, 1}}}, {}}}};
  auto drawn = ReadGraph(Dot({drawing, Verdict{}}));
  EXPECT_EQ(drawn["now one"].boxes["uts"], "one alone");
  EXPECT_EQ(drawn["now two"].boxes["uts"], "two alone");
}

TEST(DotRenderer, LeavesOutAKindThatAProcessHasLeft) {
  Drawing drawing = Three();
  drawing.processes[1].namespaces.erase(CLONE_NEWUTS);
  auto drawn = ReadGraph(Dot({drawing, Verdict{}}));
  EXPECT_EQ(drawn["now one"].boxes["uts"], "one alone");
  EXPECT_FALSE(drawn["now two"].boxes.contains("uts"));
}

TEST(DotRenderer, ShowsTheFactsOfAProcess) {
  const std::string dot =
      Dot({kOpening, OfOne({{"hostname", "vm"}}), Verdict{}});
  EXPECT_THAT(ReadGraph(dot)["now outside"].facts,
              UnorderedElementsAre(Pair("hostname", "vm")));
  EXPECT_THAT(dot, HasSubstr("label=<UTS namespace: a title>"));
}

TEST(DotRenderer, CutsALongFactInTheMiddle) {
  const std::string host = std::string(32, 'a') + std::string(32, 'b');
  const std::string shown =
      ReadGraph(Dot({OfOne({{"hostname", host}}), Verdict{}}))["now outside"]
          .facts["hostname"];
  EXPECT_EQ(shown, std::string(16, 'a') + "…" + std::string(15, 'b'));
}

TEST(DotRenderer, EscapesWhatAHostnameMayHold) {
  const auto shown = [](const std::string& host) {
    return ReadGraph(
               Dot({OfOne({{"hostname", host}}), Verdict{}}))["now outside"]
        .facts["hostname"];
  };
  EXPECT_EQ(shown("<b>&\"'\\N>]"), "&lt;b&gt;&amp;\"'\\N&gt;]");
  EXPECT_EQ(shown("a\x1b\n"), "a\\x1b\\x0a");
  EXPECT_EQ(shown("a\xff"), "a\\xff");
  EXPECT_EQ(shown("\uFFFE\uFFFF\uFFFD"),
            "\\xef\\xbf\\xbe\\xef\\xbf\\xbf\uFFFD");
}

TEST(SvgRenderer, HasGraphvizDrawWhateverANameHolds) {
  if (!HasGraphviz()) GTEST_SKIP() << "Graphviz is not installed";
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  std::vector<Fact> facts = {
      {"", ""}, {"\uFFFE", "]]>"}, {"\xed\xa0\x80", " "}};
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    facts.push_back({"bytes", bytes.substr(at, 8)});
  }
  Opening opening = kOpening;
  opening.title = "<\"}\n";
  EXPECT_THAT(Svg({opening, OfOne(facts), Three(), Verdict{}}),
              AllOf(StartsWith("<?xml"), HasSubstr(">]]&gt;</text>"),
                    HasSubstr(">outside</text>"),
                    HasSubstr(">three alone</text>"), EndsWith("</svg>\n")));
}

TEST(DotRenderer, DrawsNothingOfALessonThatEndedEarly) {
  Verdict failed;
  failed.error = "unshare(CLONE_NEWUSER): …";
  EXPECT_THAT(Dot({kOpening, Three(), failed}), IsEmpty());
  Verdict contradicted;
  contradicted.contradicted = 1;
  EXPECT_THAT(Dot({kOpening, Three(), contradicted}), Not(IsEmpty()));
}

}  // namespace
}  // namespace steps
