#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/graph.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;

// A process of the user as whom the lesson runs, in the new namespaces `flags`.
class Member {
 public:
  explicit Member(bool as_nobody, int flags = 0)
      : child_([as_nobody](Line& line) {
          if (as_nobody && IsRoot()) BecomeNobody();
          line.Send("ready");
          line.Checkpoint();
        }) {
    Check(child_.Started(
              clone(Child::Main, child_.stack_top(), flags | SIGCHLD, &child_)),
          "clone({:#x})", flags);
    child_.Receive();
  }

  pid_t pid() const { return child_.pid(); }
  std::string word() const { return std::to_string(pid()); }
  std::string Inode(const Kind& kind) const {
    return std::to_string(NamespaceOf(pid(), kind).inode);
  }

 private:
  Child child_;
};

class InspectTest : public LessonTest {
 protected:
  InspectTest() : LessonTest("inspect") {}

  // A run with --json and these words, which must end with this status.
  json RunJsonWith(const std::vector<std::string>& words,
                   int exit_status = 0) const {
    std::vector<std::string> arguments = {"--json"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const Result result = Run(arguments);
    EXPECT_EQ(DescribeStatus(result.status),
              fmt::format("exit status {}", exit_status))
        << result.errors;
    json run = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(run), "");
    return run;
  }

  // That these words are refused with `exit_status`, and what stderr says.
  std::string ErrorsOf(const std::vector<std::string>& words,
                       int exit_status) const {
    const Result result = Run(words);
    EXPECT_EQ(DescribeStatus(result.status),
              fmt::format("exit status {}", exit_status));
    return result.errors;
  }
};

INSTANTIATE_TEST_SUITE_P(As, InspectTest, testing::Bool(), UserName);

// The links of this process: the kind's name in /proc, and where it leads.
std::map<std::string, std::string> LinksInProc() {
  std::map<std::string, std::string> links;
  for (const auto& link :
       std::filesystem::directory_iterator("/proc/self/ns")) {
    links[link.path().filename()] =
        std::filesystem::read_symlink(link.path()).string();
  }
  return links;
}

// The names of the kinds that this kernel has but one.
std::vector<std::string> KindsBut(const std::string& left_out) {
  std::vector<std::string> names;
  for (const Kind& kind : Kinds()) {
    if (kind.name == left_out) continue;
    if (LinksInProc().contains(std::string(kind.proc_name))) {
      names.emplace_back(kind.name);
    }
  }
  return names;
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

// What `side` answers to `probe` in this step, in the order in which it did.
std::vector<std::string> Answers(const json& run, int step,
                                 const std::string& side,
                                 const std::string& probe) {
  std::vector<std::string> answers;
  for (const json& entry : run["evidence"]) {
    if (entry["step"] == step && entry["side"] == side &&
        entry["probe"] == probe) {
      answers.push_back(entry["value"]);
    }
  }
  return answers;
}

TEST_P(InspectTest, OutsideHasALinkForEachKindOfThisKernel) {
  const json run = RunJson();
  std::map<std::string, std::string> links = LinksInProc();
  links.erase("pid_for_children");
  links.erase("time_for_children");
  const std::string folder = "/proc/self/ns/";
  std::map<std::string, std::string> shown;
  for (const json& entry : run["evidence"]) {
    if (entry["step"] != 1) continue;
    const std::string source = entry["source"];
    EXPECT_EQ(source.substr(0, folder.size()), folder);
    shown[source.substr(folder.size())] = entry["value"];
  }
  if (as_nobody()) {
    // The one that it entered to be root.
    EXPECT_NE(shown["user"], links["user"]);
    links["user"] = shown["user"];
  }
  EXPECT_EQ(shown, links);
}

TEST_P(InspectTest, ForkedChildSharesAll) {
  const json run = RunJson();
  EXPECT_THAT(Answers(run, 2, "outside", "same"),
              ElementsAre(Joined(KindsBut(""))));
  EXPECT_THAT(Answers(run, 2, "outside", "different"), ElementsAre("(none)"));
  EXPECT_EQ(Found(run), "(none)");
}

TEST_P(InspectTest, ClonedChildDiffersInUtsAlone) {
  const json run = RunJson();
  EXPECT_THAT(Answers(run, 3, "outside", "same"),
              ElementsAre(Joined(KindsBut("uts"))));
  EXPECT_THAT(Answers(run, 3, "outside", "different"), ElementsAre("uts"));
  std::vector<std::string> probes;
  for (const json& row : run["comparison"]) {
    probes.push_back(row["probe"]);
    const bool is_uts = row["probe"] == "uts";
    EXPECT_EQ(row["verdict"], is_uts ? "isolated" : "shared") << row;
    EXPECT_EQ(row["inside"] == row["outside_before"], !is_uts);
    EXPECT_EQ(row["outside_after"], row["outside_before"]);
  }
  EXPECT_EQ(probes, KindsBut(""));
}

TEST_P(InspectTest, MembersOfOneNamespaceSeeItsName) {
  const json run = RunJson();
  const NamespaceId id = NamespaceOf(getpid(), KindOf(CLONE_NEWUTS));
  EXPECT_THAT(
      Answers(run, 4, "outside", "namespace"),
      ElementsAre(fmt::format("device {}, inode {}", id.device, id.inode)));
  EXPECT_EQ(Answers(run, 4, "member", "namespace"),
            Answers(run, 4, "inside", "namespace"));
  EXPECT_NE(Answers(run, 4, "inside", "namespace"),
            Answers(run, 4, "outside", "namespace"));
  EXPECT_THAT(Answers(run, 4, "member", "hostname"),
              ElementsAre("container_001"));
  EXPECT_EQ(Answers(run, 4, "inside", "hostname"),
            Answers(run, 4, "outside", "hostname"));
}

TEST_P(InspectTest, PidLinkLeadsNowhereBeforeTheFirstChild) {
  const json run = RunJson();
  const std::string here = LinksInProc()["pid"];
  EXPECT_THAT(Answers(run, 5, "caller", "own"), ElementsAre(here));
  const auto next = Answers(run, 5, "caller", "next child");
  ASSERT_THAT(next,
              ElementsAre(here, "ENOENT", MatchesRegex("pid:\\[[0-9]+\\]")));
  EXPECT_NE(next[2], here);
  EXPECT_THAT(Answers(run, 5, "child", "own"), ElementsAre(next[2], next[2]));
}

TEST_P(InspectTest, TimeLinkLeadsThereAtOnce) {
  if (!LinksInProc().contains("time")) GTEST_SKIP() << "no time namespaces";
  const json run = RunJson();
  const std::string here = LinksInProc()["time"];
  EXPECT_THAT(Answers(run, 6, "caller", "own"), ElementsAre(here));
  const auto next = Answers(run, 6, "caller", "next child");
  ASSERT_THAT(next, SizeIs(3));
  EXPECT_EQ(next[0], here);
  EXPECT_THAT(next[1], MatchesRegex("time:\\[[0-9]+\\]"));
  EXPECT_NE(next[1], here);
  EXPECT_EQ(next[2], next[1]);
  EXPECT_THAT(Answers(run, 6, "child", "own"), ElementsAre(next[1], next[1]));
}

TEST_P(InspectTest, RunsInsideItself) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
    Check(sethostname("container_001", 13), "sethostname()");
  });
  EXPECT_THAT(Answers(run, 4, "member", "hostname"),
              ElementsAre("container_002"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(InspectTest, SkipsTheClaimForWhichNoNamespaceMayBeMade) {
  for (const char* kind : {"pid", "time"}) {
    const json run = RunJson([kind] {
      EnterUserNamespaceAsRoot();
      WriteAll(
          Open(fmt::format("/proc/sys/user/max_{}_namespaces", kind), O_WRONLY)
              .get(),
          "0");
    });
    EXPECT_EQ(run["verdict"], "holds");
    std::vector<std::string> reasons;
    for (const json& claim : run["claims"]) {
      if (claim["holds"].is_null()) reasons.push_back(claim["reason"]);
    }
    EXPECT_THAT(reasons, ElementsAre(HasSubstr(fmt::format(
                             "user.max_{}_namespaces is 0", kind))));
  }
}

TEST_P(InspectTest, ComparesTheProcessesThatTheReaderNames) {
  const Member plain(as_nobody());
  // Only root may make it.
  const Member other(as_nobody(), IsRoot() ? CLONE_NEWUTS | CLONE_NEWPID : 0);
  const json run = RunJsonWith({plain.word(), other.word()});
  ASSERT_THAT(run["tables"], SizeIs(1));
  const json& table = run["tables"][0];
  EXPECT_EQ(table["header"], json({"", "PID " + plain.word(),
                                   "PID " + other.word(), "shared by"}));
  std::vector<std::string> kinds;
  for (const json& row : table["rows"]) {
    kinds.push_back(row[0]);
    for (const Kind& kind : Kinds()) {
      if (row[0] != std::string(kind.name)) continue;
      EXPECT_EQ(row[1], plain.Inode(kind));
      EXPECT_EQ(row[2], other.Inode(kind));
      EXPECT_EQ(row[3], row[1] == row[2] ? "all" : "none");
    }
  }
  EXPECT_EQ(kinds, KindsBut(""));
  EXPECT_EQ(run["claims"], json::array());
  EXPECT_EQ(run["privilege"], as_nobody() ? "none" : "root");
}

TEST_P(InspectTest, ComparesAsManyAsTheReaderNamesIn80Columns) {
  std::vector<Member> members;
  std::vector<std::string> words;
  for (int i = 0; i < 8; ++i) {
    members.emplace_back(as_nobody());
    words.push_back(members.back().word());
  }
  const Result result = Run(words);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  ExpectFits80Columns(result.output);
  EXPECT_THAT(RunJsonWith(words)["tables"], SizeIs(4));
}

TEST_P(InspectTest, ShowsOneProcess) {
  const Member member(as_nobody());
  const json run = RunJsonWith({member.word()});
  EXPECT_EQ(run["tables"][0]["header"], json({"", "PID " + member.word()}));
  EXPECT_THAT(
      Run({member.word()}).output,
      HasSubstr("\n  uts     " + member.Inode(KindOf(CLONE_NEWUTS)) + "\n"));
}

TEST_P(InspectTest, DrawsTheProcessesThatTheReaderNames) {
  const Member plain(as_nobody());
  const Member other(as_nobody(), IsRoot() ? CLONE_NEWUTS | CLONE_NEWPID : 0);
  const Result result = Run({"--dot", plain.word(), other.word()});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.errors, IsEmpty());
  std::map<std::string, Drawn> drawn = ReadGraph(result.output);
  ASSERT_THAT(drawn, SizeIs(2));
  Drawn& one = drawn["now PID " + plain.word()];
  Drawn& two = drawn["now PID " + other.word()];
  for (const std::string& name : KindsBut("")) {
    const Kind& kind = *std::ranges::find(Kinds(), name, &Kind::name);
    EXPECT_EQ(one.namespaces[name], plain.Inode(kind));
    EXPECT_EQ(two.namespaces[name], other.Inode(kind));
    EXPECT_EQ(one.boxes[name], plain.Inode(kind) == other.Inode(kind)
                                   ? "shared by both"
                                   : "PID " + plain.word() + " alone");
  }
  EXPECT_EQ(one.facts["command"] + "\n",
            ReadFile(fmt::format("/proc/{}/comm", plain.word())));
}

// kthreadd, where this /proc has the kernel's own processes.
std::optional<std::string> KernelThread() {
  const std::string name = "/proc/2/comm";
  if (!std::filesystem::exists(name) || ReadFile(name) != "kthreadd\n") {
    return std::nullopt;
  }
  return "2";
}

TEST_P(InspectTest, ComparesAKernelThread) {
  const std::optional<std::string> thread = KernelThread();
  if (!thread) GTEST_SKIP() << "no kernel thread is seen here";
  if (as_nobody()) {
    EXPECT_THAT(ErrorsOf({*thread}, 77), HasSubstr("EACCES"));
    return;
  }
  const Member member(false);
  const json run = RunJsonWith({*thread, member.word()});
  for (const json& row : run["tables"][0]["rows"]) {
    EXPECT_EQ(row[3], row[1] == row[2] ? "all" : "none");
    EXPECT_THAT(row[1].get<std::string>(), MatchesRegex("[0-9]+"));
  }
}

TEST_P(InspectTest, SaysThatAProcessIsGone) {
  std::string gone;
  {
    const Member member(as_nobody());
    gone = member.word();
  }
  const std::string words = "there is no process " + gone;
  EXPECT_EQ(ErrorsOf({gone}, 1), "inspect: " + words + "\n");
  EXPECT_EQ(ErrorsOf({"--dot", gone}, 1), "inspect: " + words + "\n");
  const json run = RunJsonWith({gone}, 1);
  EXPECT_EQ(run["verdict"], "failed");
  EXPECT_EQ(run["error"], words);
}

TEST_P(InspectTest, RefusesAWordThatIsNoPid) {
  for (const char* word : {"abc", "12x", "0", "", "2147483648"}) {
    EXPECT_EQ(ErrorsOf({"1", word}, 2),
              fmt::format("inspect: not a PID, a number from 1 to 2147483647: "
                          "{}\nTry: bazel run //lessons:inspect -- --help\n",
                          word));
  }
  EXPECT_THAT(ErrorsOf({"-1"}, 2), HasSubstr("there is no option -1\n"));
  EXPECT_THAT(ErrorsOf({"1", "--json"}, 2),
              HasSubstr("options go before the PIDs: --json\n"));
}

TEST_P(InspectTest, SaysWhoMayInspectTheProcessOfSomebodyElse) {
  if (!as_nobody()) GTEST_SKIP() << "to root most processes are open";
  EXPECT_EQ(ErrorsOf({"1"}, 77),
            "inspect: stat(\"/proc/1/ns/mnt\"): Permission denied (EACCES)\n"
            "  cause   The process belongs to somebody else, or may do more "
            "(ptrace(2)).\n"
            "  remedy  sudo\n");
  const json run = RunJsonWith({"1"}, 77);
  EXPECT_EQ(run["verdict"], "cannot run");
  EXPECT_EQ(run["error"],
            "stat(\"/proc/1/ns/mnt\"): Permission denied (EACCES)");
  EXPECT_THAT(run["cause"].get<std::string>(),
              HasSubstr("belongs to somebody else"));
  EXPECT_EQ(run["remedy"], "sudo");
}

// The reader's PIDs are those of this process, outside of the user namespace.
TEST_P(InspectTest, SaysWhatRootOfAUserNamespaceLacks) {
  const Member member(as_nobody());
  const Result result =
      Run({member.word()}, [] { EnterUserNamespaceAsRoot(); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("EACCES"), HasSubstr("CAP_SYS_PTRACE")));
}

TEST_P(InspectTest, ComparesTheShellInsideWithThisProcess) {
  const Member member(as_nobody());
  Terminal terminal({.program = program(),
                     .arguments = {"--shell"},
                     .as_nobody = as_nobody()});
  terminal.ReadTo("[inside inspect] root@container_001:");
  terminal.Type("echo \"shell <$$>\"\n");
  terminal.ReadTo("\nshell <");
  std::string shell = terminal.ReadTo(">");
  shell.pop_back();
  const json run = RunJsonWith({member.word(), shell});
  for (const json& row : run["tables"][0]["rows"]) {
    // A user namespace, too, for an ordinary user to be root in.
    const bool own = row[0] == "uts" || (as_nobody() && row[0] == "user");
    EXPECT_EQ(row[3], own ? "none" : "all") << row;
  }
  terminal.Type("exit\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

}  // namespace
}  // namespace steps
