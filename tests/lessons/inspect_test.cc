#include "tests/support/lessons.h"

namespace steps {
namespace {

class InspectTest : public LessonTest {
 protected:
  // The document about these processes.
  json Inspect(const Words& pids) const { return RunJson({}, 0, pids); }

  // A process of the user as whom the lesson runs, in the new namespaces
  // `flags`.
  static Process Member(int flags = 0) {
    Process member = Process::Quiet().Clone("member", flags);
    if (as_nobody() && IsRoot()) member.Run(BecomeNobody);
    return member;
  }
};

INSTANTIATE_TEST_SUITE_P(Is, InspectTest, ValuesIn(ForBothUsers({"inspect"})),
                         LessonName);

std::string Word(const Process& process) {
  return std::to_string(process.pid());
}

// The cells of this kind's row, but for its name.
Words Row(const json& table, const std::string& kind) {
  for (const json& row : table["rows"]) {
    if (row[0] == kind) return {row.begin() + 1, row.end()};
  }
  ADD_FAILURE() << "no row " << kind;
  return {};
}

TEST_P(InspectTest, ComparesTheProcessesThatTheReaderNames) {
  // Only root may make it.
  const int flags = IsRoot() ? CLONE_NEWUTS | CLONE_NEWPID : 0;
  const Process plain = Member();
  const Process other = Member(flags);
  const json run = Inspect({Word(plain), Word(other)});
  ASSERT_THAT(run["tables"], SizeIs(1));
  const json& table = run["tables"][0];
  EXPECT_EQ(table["header"], json({"", "PID " + Word(plain),
                                   "PID " + Word(other), "shared by"}));
  const auto others = NamespacesOf(other.pid());
  EXPECT_THAT(table["rows"], SizeIs(others.size()));
  const std::map<std::string, Drawn> drawn =
      ReadGraph(Run({"--dot", Word(plain), Word(other)}).output);
  ASSERT_THAT(drawn, SizeIs(2));
  const Drawn& box = drawn.at("now PID " + Word(plain));
  EXPECT_EQ(box.facts.at("command") + "\n",
            ReadFile(fmt::format("/proc/{}/comm", plain.pid())));
  for (const auto& [flag, id] : NamespacesOf(plain.pid())) {
    const std::string kind(KindOf(flag).name);
    const std::string inode = std::to_string(id.inode);
    const bool shared = (flags & flag) == 0;
    EXPECT_THAT(Row(table, kind),
                ElementsAre(inode, std::to_string(others.at(flag).inode),
                            shared ? "all" : "none"));
    EXPECT_EQ(box.namespaces.at(kind), inode);
    EXPECT_EQ(box.boxes.at(kind),
              shared ? "shared by both" : "PID " + Word(plain) + " alone");
  }
  EXPECT_EQ(run["claims"], json::array());
  EXPECT_EQ(run["privilege"], as_nobody() ? "none" : "root");
}

TEST_P(InspectTest, SaysWhichTwoOfThreeShare) {
  if (as_nobody()) GTEST_SKIP() << "only root may make new namespaces";
  const Process plain = Member();
  const Process uts = Member(CLONE_NEWUTS);
  const Process ipc = Member(CLONE_NEWIPC);
  const json table = Inspect({Word(uts), Word(plain), Word(ipc)})["tables"][0];
  EXPECT_EQ(Row(table, "uts").back(), Word(plain) + " and " + Word(ipc));
  EXPECT_EQ(Row(table, "ipc").back(), Word(uts) + " and " + Word(plain));
  EXPECT_EQ(Row(table, "net").back(), "all");
}

TEST_P(InspectTest, ComparesAnyNumberIn80Columns) {
  std::vector<Process> members;
  Words words;
  for (const std::size_t tables : {1, 1, 1, 2, 2, 3, 3, 4}) {
    members.push_back(Member());
    words.push_back(Word(members.back()));
    const json run = Inspect(words);
    ASSERT_THAT(run["tables"], SizeIs(tables));
    // Each begins with the first.
    for (const json& table : run["tables"]) {
      EXPECT_EQ(table["header"][1], "PID " + words[0]);
    }
    EXPECT_EQ(run["tables"][0]["header"].back() == "shared by",
              words.size() > 1);
  }
  ExpectFits80Columns(Run(words).output);
}

TEST_P(InspectTest, SaysWhatAZombieHasLeft) {
  Process member = Member();
  const Process zombie = member.Clone("zombie", 0);
  // Its parent waits for it, and leaves it what it is.
  member.Run([pid = zombie.pid()] {
    MUST(kill, pid, SIGKILL);
    MUST(waitid, P_PID, static_cast<id_t>(pid), nullptr, WEXITED | WNOWAIT);
  });
  const json table = Inspect({Word(member), Word(zombie)})["tables"][0];
  EXPECT_THAT(Row(table, "uts"), ElementsAre(_, "(left)", "none"));
  EXPECT_EQ(Row(table, "pid").back(), "all");
  EXPECT_EQ(Row(table, "user").back(), "all");
}

TEST_P(InspectTest, SaysThatAProcessIsGone) {
  const std::string gone = Word(Member());
  ExpectExit(Try({"--dot", gone}), 1, "",
             fmt::format("inspect: there is no process {}\n", gone));
}

TEST_P(InspectTest, RefusesAWordThatIsNoPid) {
  for (const char* word : {"abc", "12x", " 1", "+1", "1.0", "0", "",
                           "2147483648", "99999999999999999999"}) {
    ExpectExit(Try({"1", word}), 2, _,
               fmt::format("inspect: not a PID, a number from 1 to 2147483647: "
                           "{}\nTry: bazel run //lessons:inspect -- --help\n",
                           word));
  }
  ExpectExit(Try({"-1"}), 2, "", HasSubstr("there is no option -1\n"));
  ExpectExit(Try({"1", "--json"}), 2, _,
             HasSubstr("options go before the PIDs: --json\n"));
}

TEST_P(InspectTest, SaysWhoMayInspectTheProcessOfAnotherUser) {
  if (!as_nobody()) GTEST_SKIP() << "root may inspect most processes";
  ExpectExit(Try({"1"}), 77, _,
             "inspect: stat(\"/proc/1/ns/mnt\", &status): Permission denied "
             "(EACCES)\n"
             "  cause   The process belongs to somebody else, or may do more "
             "(ptrace(2)).\n"
             "  remedy  sudo, or CAP_SYS_PTRACE in its user namespace\n");
}

}  // namespace
}  // namespace steps
