#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/graph.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/refusals.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using namespace std::string_literals;
using nlohmann::json;
using testing::_;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::SizeIs;
using testing::StartsWith;

class InspectTest : public LessonTest {
 protected:
  InspectTest() : LessonTest("inspect") {}

  // A run with --json and these words, which must end with this status.
  json RunJsonWith(std::vector<std::string> words, int exit_status = 0) const {
    words.insert(words.begin(), "--json");
    const Result result = Run(words);
    EXPECT_EQ(ExitStatus(result.status), exit_status) << result.errors;
    json run = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(run), "");
    return run;
  }

  // That these words are refused with `exit_status`, and what stderr says.
  std::string ErrorsOf(const std::vector<std::string>& words,
                       int exit_status) const {
    const Result result = Run(words);
    EXPECT_EQ(ExitStatus(result.status), exit_status);
    return result.errors;
  }
};

INSTANTIATE_TEST_SUITE_P(As, InspectTest, testing::Bool(), UserName);

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
  return std::to_string(NamespaceOf(process.pid(), kind).inode);
}

std::string LinkOf(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/ns/" + name);
}

// The names of the kinds that this kernel has.
std::vector<std::string> KindsHere() {
  std::vector<std::string> names;
  for (const Kind& kind : Kinds()) {
    if (NamespacesOf(getpid()).contains(kind.flag)) {
      names.emplace_back(kind.name);
    }
  }
  return names;
}

// What `process` saw in this step, in the order in which it did.
std::vector<std::string> Seen(const json& run, int step,
                              const std::string& process) {
  std::vector<std::string> values;
  for (const json& entry : run["evidence"]) {
    if (entry["step"] == step && entry["process"] == process) {
      values.push_back(entry["value"]);
    }
  }
  return values;
}

// The cells of this kind's row, but for its name.
std::vector<std::string> Row(const json& table, const std::string& kind) {
  for (const json& row : table["rows"]) {
    if (row[0] == kind) return {row.begin() + 1, row.end()};
  }
  ADD_FAILURE() << "no row " << kind;
  return {};
}

TEST_P(InspectTest, OutsideHasALinkForEachKindOfThisKernel) {
  const json run = RunJson();
  std::vector<std::string> kinds;
  for (const json& entry : run["evidence"]) {
    if (entry["step"] != 1) continue;
    const std::string source = entry["source"];
    const std::string link = LinkOf(source.substr(source.rfind('/') + 1));
    // As nobody it has entered a user namespace first.
    const bool entered = as_nobody() && entry["probe"] == "user";
    EXPECT_EQ(entry["value"] == link, !entered) << entry;
    kinds.push_back(entry["probe"]);
  }
  EXPECT_EQ(kinds, KindsHere());
}

TEST_P(InspectTest, OnlyAFlagMakesANewNamespace) {
  const json run = RunJson();
  EXPECT_EQ(Found(run), "all");
  EXPECT_THAT(Seen(run, 2, "outside"), ElementsAre("(none)"));
  EXPECT_THAT(Seen(run, 3, "outside"), ElementsAre("uts"));
  std::vector<std::string> kinds;
  for (const json& row : run["comparison"]) {
    kinds.push_back(row["probe"]);
    EXPECT_EQ(row["verdict"], row["probe"] == "uts" ? "private" : "shared");
  }
  EXPECT_EQ(kinds, KindsHere());
}

TEST_P(InspectTest, MembersOfOneNamespaceSeeItsName) {
  const json run = RunJson();
  const std::string name = ReadText("/proc/sys/kernel/hostname");
  EXPECT_THAT(Seen(run, 4, "member"), ElementsAre("(none)", "container_001"));
  EXPECT_THAT(Seen(run, 4, "outside"), ElementsAre(name));
}

TEST_P(InspectTest, LinksForetellWhereTheNextChildWillBe) {
  const json run = RunJson();
  for (const auto& [step, kind] : {std::pair{5, "pid"}, {6, "time"}}) {
    const std::vector<std::string> second = Seen(run, step, "second");
    ASSERT_THAT(second, ElementsAre(StartsWith(kind + ":["s)));
    EXPECT_NE(second[0], LinkOf(kind));
    // There is no PID namespace yet when nobody is PID 1.
    EXPECT_THAT(
        Seen(run, step, "caller"),
        ElementsAre(LinkOf(kind), step == 5 ? "ENOENT" : second[0], second[0]));
  }
}

TEST_P(InspectTest, RunsInsideItself) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
    Check(sethostname("container_001", 13), "sethostname()");
  });
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(InspectTest, SkipsTheClaimForWhichNoNamespaceMayBeMade) {
  for (const char* kind : {"pid", "time"}) {
    const json run = RunJson([kind] {
      EnterUserNamespaceAsRoot();
      const auto limit = fmt::format("/proc/sys/user/max_{}_namespaces", kind);
      WriteAll(Open(limit, O_WRONLY).get(), "0");
    });
    EXPECT_EQ(run["verdict"], "holds");
    std::vector<std::string> skipped;
    for (const json& claim : run["claims"]) {
      if (!claim["holds"].is_null()) continue;
      skipped.push_back(claim["text"]);
      EXPECT_THAT(claim["reason"].get<std::string>(),
                  HasSubstr(fmt::format("user.max_{}_namespaces is 0", kind)));
    }
    EXPECT_THAT(skipped, ElementsAre(StartsWith(kind + "_for_children"s)));
  }
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
  EXPECT_THAT(table["rows"], SizeIs(KindsHere().size()));
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
  const json table =
      RunJsonWith({Word(uts), Word(plain), Word(ipc)})["tables"][0];
  EXPECT_EQ(Row(table, "uts").back(), Word(plain) + " and " + Word(ipc));
  EXPECT_EQ(Row(table, "ipc").back(), Word(uts) + " and " + Word(plain));
  EXPECT_EQ(Row(table, "net").back(), "all");
}

TEST_P(InspectTest, ComparesAnyNumberIn80Columns) {
  std::vector<Process> members;
  std::vector<std::string> words;
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
  for (const json& row : RunJsonWith({"2"})["tables"][0]["rows"]) {
    EXPECT_THAT(row[1].get<std::string>(), MatchesRegex("[0-9]+"));
  }
}

TEST_P(InspectTest, SaysThatAProcessIsGone) {
  const std::string gone = Word(Member(as_nobody()));
  const std::string words = "there is no process " + gone;
  EXPECT_EQ(ErrorsOf({gone}, 1), "inspect: " + words + "\n");
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
          "  remedy  sudo\n");
  EXPECT_EQ(RunJsonWith({"1"}, 77)["verdict"], "cannot run");
}

// The reader's PIDs are those of this process, outside of the user namespace.
TEST_P(InspectTest, SaysWhatRootOfAUserNamespaceLacks) {
  const Process member = Member(as_nobody());
  const Result result = Run({Word(member)}, EnterUserNamespaceAsRoot);
  EXPECT_EQ(ExitStatus(result.status), 77);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("EACCES"), HasSubstr("CAP_SYS_PTRACE")));
}

TEST_P(InspectTest, ComparesTheShellInsideWithThisProcess) {
  const Process member = Member(as_nobody());
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside inspect] root@container_001:");
  terminal.Type("echo \"shell <$$>\"\n");
  terminal.ReadTo("\nshell <");
  std::string shell = terminal.ReadTo(">");
  shell.pop_back();
  for (const json& row :
       RunJsonWith({Word(member), shell})["tables"][0]["rows"]) {
    // A user namespace, too, for an ordinary user to be root in.
    const bool own = row[0] == "uts" || (as_nobody() && row[0] == "user");
    EXPECT_EQ(row[3], own ? "none" : "all") << row;
  }
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST_P(InspectTest, NeedsAProcOfItsOwnPidNamespace) {
  const Result result = Run({"1"}, CoverProc);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors, HasSubstr("cause   /proc belongs to another"));
}

}  // namespace
}  // namespace steps
