#include "common/show/show.h"
#include "tests/support/graph.h"
#include "tests/support/test.h"

namespace steps {
namespace {

const Opening kOpening = {
    "uts", "UTS namespace: a title", "uts_namespaces(7)", "6.1.0", 1000,
    "root"};

// What the renderer makes of `events`.
std::string Dot(const std::vector<Event>& events,
                const Renderer& renderer = MakeDotRenderer(false)) {
  std::string text;
  for (const Event& event : events) text += renderer(event);
  return text;
}

Drawing OfOne(const std::vector<std::string>& facts) {
  return {"now", {{"outside", {{CLONE_NEWUTS, {4, 1}}}, facts}}};
}

// A process in these UTS and IPC namespaces of one device; 0: in none.
Drawing::Process In(const std::string& name, ino_t uts, ino_t ipc) {
  Drawing::Process process = {name, {}, {}};
  if (uts != 0) process.namespaces[CLONE_NEWUTS] = {4, uts};
  if (ipc != 0) process.namespaces[CLONE_NEWIPC] = {4, ipc};
  return process;
}

const Drawing kThree = {"now",
                        {In("one", 2, 3), In("two", 2, 4), In("three", 2, 4)}};

TEST(DotRenderer, DrawsALineToTheBoxOfThoseThatShareANamespace) {
  struct Case {
    std::vector<Drawing::Process> processes;
    std::string uts, uts_box, ipc, ipc_box;  // Of the last one.
  };
  const std::string both = "shared by both";
  for (const auto& [processes, uts, uts_box, ipc, ipc_box] : std::vector<Case>{
           {{In("one", 2, 3)}, "2", "its namespaces", "3", "its namespaces"},
           {{In("one", 2, 3), In("two", 2, 4)}, "2", both, "4", "two alone"},
           {kThree.processes, "2", "shared by all", "4",
            "shared by two,\\nthree"},
           // It has ended, or another device has namespaces of these numbers.
           {{In("one", 2, 3), In("two", 0, 3)}, "", "", "3", both},
           {{In("one", 2, 3), {"two", {{CLONE_NEWUTS, {5, 2}}}, {}}},
            "2",
            "two alone",
            "",
            ""}}) {
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
    EXPECT_THAT(dot, HasSubstr("label=\"UTS namespace: a title\""));
  }
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
  EXPECT_THAT(
      Dot({opening, OfOne(facts), kThree, Verdict{}}, MakeDotRenderer(true)),
      AllOf(StartsWith("<?xml"), HasSubstr(": ]]&gt;</text>"),
            HasSubstr(">outside</text>"), HasSubstr(">one alone</text>"),
            EndsWith("</svg>\n")));
}

TEST(DotRenderer, DrawsNothingOfALessonThatEndedEarly) {
  Verdict failed;
  failed.error = "unshare(CLONE_NEWUSER): …";
  EXPECT_THAT(Dot({kOpening, kThree, failed}), IsEmpty());
  Verdict contradicted;
  contradicted.contradicted = 1;
  EXPECT_THAT(Dot({kOpening, kThree, contradicted}), Not(IsEmpty()));
}

}  // namespace
}  // namespace steps
