

#include "tests/support/graph.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

class InspectTest : public LessonTest {
 protected:
  json RunJsonWith(const Words& words, int status = 0) const {
    return RunJson({}, status, words);
  }

  // That these words are refused with `exit_status`, and what stderr says.
  std::string ErrorsOf(const Words& words, int exit_status) const {
    return Run(words, {}, exit_status).errors;
  }
};

INSTANTIATE_TEST_SUITE_P(Is, InspectTest, ValuesIn(ForBothUsers({"inspect"})),
                         LessonName);

// A process of the user as whom the lesson runs, in the new namespaces `flags`.
Process Member(bool as_nobody, int flags = 0) {
  Process member = Process::Quiet().Clone("member", flags);
  if (as_nobody && IsRoot()) member.Run(BecomeNobody);
  return member;
}

std::string Word(const Process& process) {
  return std::to_string(process.pid());
}

std::string Inode(const Process& process, const Kind& kind) {
  return std::to_string(NamespacesOf(process.pid()).at(kind.flag).inode);
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
  const Process plain = Member(as_nobody());
  const Process other = Member(as_nobody(), flags);
  const json run = RunJsonWith({Word(plain), Word(other)});
  ASSERT_THAT(run["tables"], SizeIs(1));
  const json& table = run["tables"][0];
  EXPECT_EQ(table["header"], json({"", "PID " + Word(plain),
                                   "PID " + Word(other), "shared by"}));
  EXPECT_THAT(table["rows"], SizeIs(NamespacesOf(getpid()).size()));
  const std::map<std::string, Drawn> drawn =
      ReadGraph(Run({"--dot", Word(plain), Word(other)}).output);
  ASSERT_THAT(drawn, SizeIs(2));
  const Drawn& box = drawn.at("now PID " + Word(plain));
  EXPECT_EQ(box.facts.at("command") + "\n",
            ReadFile(fmt::format("/proc/{}/comm", plain.pid())));
  for (const auto& [flag, id] : NamespacesOf(getpid())) {
    const Kind& kind = KindOf(flag);
    const std::string name(kind.name);
    const bool shared = (flags & flag) == 0;
    EXPECT_THAT(Row(table, name),
                ElementsAre(Inode(plain, kind), Inode(other, kind),
                            shared ? "all" : "none"));
    EXPECT_EQ(box.namespaces.at(name), Inode(plain, kind));
    EXPECT_EQ(box.boxes.at(name),
              shared ? "shared by both" : "PID " + Word(plain) + " alone");
  }
  EXPECT_EQ(run["claims"], json::array());
  EXPECT_EQ(run["privilege"], as_nobody() ? "none" : "root");
}

TEST_P(InspectTest, SaysWhichTwoOfThreeShare) {
  if (as_nobody()) GTEST_SKIP() << "only root may make new namespaces";
  const Process plain = Member(false);
  const Process uts = Member(false, CLONE_NEWUTS);
  const Process ipc = Member(false, CLONE_NEWIPC);
  const json run = RunJsonWith({Word(uts), Word(plain), Word(ipc)});
  const json& table = run["tables"][0];
  EXPECT_EQ(Row(table, "uts").back(), Word(plain) + " and " + Word(ipc));
  EXPECT_EQ(Row(table, "ipc").back(), Word(uts) + " and " + Word(plain));
  EXPECT_EQ(Row(table, "net").back(), "all");
}

TEST_P(InspectTest, ComparesAnyNumberIn80Columns) {
  std::vector<Process> members;
  Words words;
  for (const std::size_t tables : {1, 1, 1, 2, 2, 3, 3, 4}) {
    members.push_back(Member(as_nobody()));
    words.push_back(Word(members.back()));
    const json run = RunJsonWith(words);
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
  Process member = Member(as_nobody());
  const Process zombie = member.Clone("zombie", 0);
  // Its parent waits for it, and leaves it what it is.
  member.Run([pid = zombie.pid()] {
    MUST(kill, pid, SIGKILL);
    MUST(waitid, P_PID, static_cast<id_t>(pid), nullptr, WEXITED | WNOWAIT);
  });
  const json table = RunJsonWith({Word(member), Word(zombie)})["tables"][0];
  EXPECT_THAT(Row(table, "uts"), ElementsAre(_, "(left)", "none"));
  EXPECT_EQ(Row(table, "pid").back(), "all");
  EXPECT_EQ(Row(table, "user").back(), "all");
}

TEST_P(InspectTest, ComparesAKernelThread) {
  if (!std::filesystem::exists("/proc/2/comm") ||
      ReadText("/proc/2/comm") != "kthreadd") {
    GTEST_SKIP() << "no kernel thread is seen here";
  }
  if (as_nobody()) {
    EXPECT_THAT(ErrorsOf({"2"}, 77), HasSubstr("EACCES"));
    return;
  }
  const json run = RunJsonWith({"2"});
  for (const json& row : run["tables"][0]["rows"]) {
    EXPECT_THAT(row[1].get<std::string>(), MatchesRegex("[0-9]+"));
  }
}

TEST_P(InspectTest, SaysThatAProcessIsGone) {
  const std::string gone = Word(Member(as_nobody()));
  const std::string words = "there is no process " + gone;
  EXPECT_EQ(ErrorsOf({"--dot", gone}, 1), "inspect: " + words + "\n");
  EXPECT_EQ(RunJsonWith({gone}, 1)["error"], words);
}

TEST_P(InspectTest, RefusesAWordThatIsNoPid) {
  for (const char* word : {"abc", "12x", " 1", "+1", "1.0", "0", "",
                           "2147483648", "99999999999999999999"}) {
    EXPECT_EQ(ErrorsOf({"1", word}, 2),
              fmt::format("inspect: not a PID, a number from 1 to 2147483647: "
                          "{}\nTry: bazel run //lessons:inspect -- --help\n",
                          word));
  }
  EXPECT_THAT(ErrorsOf({"-1"}, 2), HasSubstr("there is no option -1\n"));
  EXPECT_THAT(ErrorsOf({"1", "--json"}, 2),
              HasSubstr("options go before the PIDs: --json\n"));
}

TEST_P(InspectTest, SaysWhoMayInspectTheProcessOfAnotherUser) {
  if (!as_nobody()) GTEST_SKIP() << "root may inspect most processes";
  const std::string call = "stat(\"/proc/1/ns/mnt\", &status)";
  EXPECT_EQ(
      ErrorsOf({"1"}, 77),
      "inspect: " + call +
          ": Permission denied (EACCES)\n"
          "  cause   The process belongs to somebody else, or may do more "
          "(ptrace(2)).\n"
          "  remedy  sudo, or CAP_SYS_PTRACE in its user namespace\n");
  EXPECT_EQ(RunJsonWith({"1"}, 77)["verdict"], "cannot run");
}

}  // namespace
}  // namespace steps
