#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_run.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class SetnsTest : public LessonTest {
 protected:
  SetnsTest() : LessonTest("setns") {}

  // Two terminals: the shell of a lesson, and one that joins it with the line
  // that the first has printed. Both prompts show the same hostname, and what
  // `command` prints in both is given.
  static std::string InBothShellsOf(const std::string& lesson,
                                    const std::string& command) {
    const auto host = [&lesson](Terminal& terminal, const char* where) {
      terminal.ReadTo(fmt::format("[{} {}", where, lesson));
      terminal.ReadTo("] root@");
      return terminal.ReadTo(":");
    };
    const auto type = [&command](Terminal& terminal) {
      terminal.Type(fmt::format("echo found $({})\n", command));
      terminal.ReadTo("\nfound ");
      return terminal.ReadTo("\r\n");
    };
    Terminal first({.program = "lessons/" + lesson,
                    .arguments = {"--shell"},
                    .as_nobody = as_nobody()});
    first.ReadTo("bazel run //lessons:setns -- ");
    std::istringstream words(WithoutColor(first.ReadTo("\r\n")));
    const std::vector<std::string> paths(
        std::istream_iterator<std::string>(words), {});
    const std::string first_host = host(first, "inside");
    Terminal second({.program = "lessons/setns",
                     .arguments = paths,
                     .as_nobody = as_nobody()});
    EXPECT_EQ(host(second, "joined"), first_host);
    std::string found = type(first);
    EXPECT_EQ(type(second), found);
    for (Terminal* terminal : {&second, &first}) {
      terminal->Type("exit\n");
      EXPECT_EQ(DescribeStatus(terminal->Await()), "exit status 0");
    }
    EXPECT_THAT(Survivors(), IsEmpty());
    return first_host + " " + found;
  }
};

INSTANTIATE_TEST_SUITE_P(As, SetnsTest, testing::Bool(), UserName);

TEST_P(SetnsTest, ControlIsOutsideAndTheJoinerInside) {
  utsname names = {};
  uname(&names);
  const json run = RunJson();
  EXPECT_THAT(Values(run, "control", "hostname"), ElementsAre(names.nodename));
  EXPECT_THAT(Values(run, "control", "UTS"),
              ElementsAre(FromLink("", "/proc/self/ns/uts").value));
  EXPECT_THAT(Calls(run, "control"), IsEmpty());
  EXPECT_THAT(Values(run, "joiner", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Values(run, "inside", "UTS"),
              IsSupersetOf(Values(run, "joiner", "UTS")));
  EXPECT_THAT(Calls(run, "joiner"),
              AllOf(Contains(MatchesRegex(R"(open\("/proc/[0-9]+/ns/uts", )"
                                          R"(O_RDONLY\) = [0-9]+)")),
                    Contains(MatchesRegex(R"(setns\([0-9]+, )"
                                          R"(CLONE_NEWUTS\) = 0)")),
                    Contains(MatchesRegex(R"(setns\([0-9]+, 0\) = 0)"))));
  EXPECT_THAT(Values(run, "outside", "hostname"), ElementsAre(names.nodename));
}

TEST_P(SetnsTest, ComparesTheJoinerOfOneKindWithTheOutside) {
  const json run = RunJson();
  std::vector<std::string> rows;
  for (const json& row : run["comparison"]) {
    rows.push_back(row["probe"].get<std::string>() + " " +
                   row["verdict"].get<std::string>());
  }
  EXPECT_THAT(rows,
              ElementsAre("hostname isolated", "UTS isolated", "PID shared"));
}

TEST_P(SetnsTest, AWrongKindAndNoNamespaceAreRefused) {
  const std::vector<std::string> calls = Calls(RunJson(), "outside");
  EXPECT_THAT(
      calls,
      Contains(MatchesRegex(R"(setns\([0-9]+, CLONE_NEWIPC\) = EINVAL)")));
  EXPECT_THAT(calls, Contains(MatchesRegex(R"(setns\([0-9]+, 0\) = EINVAL)")));
}

TEST_P(SetnsTest, PidfdJoinsTwoKindsAndOnlyTheChildChangesItsPidNamespace) {
  const json run = RunJson();
  EXPECT_THAT(Calls(run, "joiner"),
              Contains(MatchesRegex(R"(setns\([0-9]+, CLONE_NEWUTS \| )"
                                    R"(CLONE_NEWPID\) = 0)")));
  const std::string outside = FromLink("", "/proc/self/ns/pid").value;
  EXPECT_THAT(Values(run, "joiner", "PID"), ElementsAre(outside));
  EXPECT_EQ(Found(run), outside);
  EXPECT_THAT(Values(run, "child", "PID"), Not(Contains(outside)));
  EXPECT_THAT(Values(run, "inside", "PID"),
              IsSupersetOf(Values(run, "child", "PID")));
  EXPECT_EQ(Values(run, "child", "UTS"), Values(run, "joiner", "UTS"));
}

TEST_P(SetnsTest, NamespaceOutlivesItsLastProcess) {
  const json run = RunJson();
  EXPECT_THAT(
      Calls(run, "keeper"),
      ElementsAre("unshare(CLONE_NEWNS) = 0",
                  R"(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) = 0)",
                  StartsWith("clone(CLONE_NEWUTS | SIGCHLD) = "),
                  EndsWith(R"(ns/uts", "/dev/tty", NULL, MS_BIND, NULL) = 0)"),
                  MatchesRegex(R"(kill\([0-9]+, 0\) = ESRCH)"),
                  StartsWith(R"(open("/dev/tty", O_RDONLY) = )"),
                  R"(umount2("/dev/tty", MNT_DETACH) = 0)",
                  MatchesRegex(R"(setns\([0-9]+, CLONE_NEWUTS\) = 0)")));
  EXPECT_THAT(Values(run, "keeper", "hostname"), ElementsAre("container_001"));
  EXPECT_THAT(Values(run, "inside", "UTS"),
              IsSupersetOf(Values(run, "keeper", "UTS")));
  EXPECT_NE(Values(run, "keeper", "UTS"), Values(run, "joiner", "UTS"));
}

TEST_P(SetnsTest, RunsWhereTheNameIsTaken) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWUTS), "unshare(CLONE_NEWUTS)");
    Check(sethostname("container_001", 13), "sethostname()");
  });
  EXPECT_THAT(Values(run, "joiner", "hostname"), ElementsAre("container_002"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(SetnsTest, SkipsTheClaimThatNeedsAMountNamespace) {
  const json run = RunJson([] {
    EnterUserNamespaceAsRoot();
    WriteAll(Open("/proc/sys/user/max_mnt_namespaces", O_WRONLY).get(), "0");
  });
  EXPECT_EQ(run["verdict"], "holds");
  int skipped = 0;
  for (const json& claim : run["claims"]) {
    if (!claim["holds"].is_null()) continue;
    ++skipped;
    EXPECT_THAT(claim["reason"].get<std::string>(),
                HasSubstr("user.max_mnt_namespaces is 0"));
  }
  EXPECT_EQ(skipped, 1);
}

TEST_P(SetnsTest, JoinsTheShellOfUts) {
  EXPECT_THAT(InBothShellsOf("uts", "hostname; readlink /proc/self/ns/uts"),
              MatchesRegex("container_001: container_001 uts:.[0-9]+.\r\n"));
}

TEST_P(SetnsTest, JoinsTheShellOfIpc) {
  EXPECT_THAT(InBothShellsOf("ipc", "readlink /proc/self/ns/ipc"),
              HasSubstr(" ipc:["));
}

TEST_P(SetnsTest, JoinsTheShellOfPid) {
  EXPECT_THAT(InBothShellsOf("pid", "readlink /proc/self/ns/pid"),
              HasSubstr(" pid:["));
}

TEST_P(SetnsTest, JoinsTheShellOfMountAndItsPids) {
  EXPECT_THAT(
      InBothShellsOf("mount", "readlink /proc/self/ns/mnt; ps -e -o comm="),
      MatchesRegex(".* mnt:.[0-9]+. mount( bash)+ ps\r\n"));
}

// A process in a user namespace of its own, and in others of all kinds that
// this one owns.
class Holder {
 public:
  explicit Holder(bool as_nobody)
      : process_([as_nobody](Line& line) {
          if (as_nobody && IsRoot()) BecomeNobody();
          EnterUserNamespaceAsRoot();
          int flags = 0;
          for (const Kind& kind : Kinds()) flags |= kind.flag;
          flags &= ~CLONE_NEWUSER;
          Check(unshare(flags), "unshare({})", CloneFlags(flags));
          // PID and time namespaces take in children only.
          Child inside([](Line& to_parent) { to_parent.Checkpoint(); });
          inside.Fork();
          line.Send(std::to_string(inside.pid()));
          line.Checkpoint();
          inside.Finish();
        }) {
    process_.Fork();
    pid_ = std::stoi(process_.Receive().value());
  }

  // Its link for this kind.
  std::string Path(std::string_view kind) const {
    return fmt::format("/proc/{}/ns/{}", pid_, kind);
  }

 private:
  Child process_;
  pid_t pid_ = -1;
};

TEST_P(SetnsTest, JoinsEveryKindAndRunsTheCommandThere) {
  const Holder holder(as_nobody());
  for (const Kind& kind : Kinds()) {
    const std::string path = holder.Path(kind.proc_name);
    const Result result = Run(
        {path, "readlink", fmt::format("/proc/self/ns/{}", kind.proc_name)});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    EXPECT_EQ(result.output, FromLink("", path).value + "\n")
        << "and nothing else on stdout";
    EXPECT_THAT(result.errors,
                HasSubstr(fmt::format("open(\"{}\", O_RDONLY) = 3\n", path)));
    EXPECT_THAT(result.errors, HasSubstr(", 0) = 0\n"));
    // Root has the privilege without being in the owner.
    const bool joins_owner = as_nobody() && kind.flag != CLONE_NEWUSER;
    EXPECT_EQ(result.errors.find("setns(4, CLONE_NEWUSER) = 0\n") !=
                  std::string::npos,
              joins_owner)
        << result.errors;
    EXPECT_EQ(result.errors.find("joined first") != std::string::npos,
              joins_owner);
    ExpectFits80Columns(result.errors);
  }
}

TEST_P(SetnsTest, JoinsSeveralNamespacesAtOnce) {
  const Holder holder(as_nobody());
  const Result result =
      Run({holder.Path("mnt"), holder.Path("pid"), "sh", "-c",
           "echo $$; readlink /proc/$PPID/ns/mnt; echo /proc/0/ns/uts"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, StartsWith("2\n"));
  EXPECT_THAT(result.output, testing::EndsWith("/proc/0/ns/uts\n"));
  EXPECT_THAT(result.errors, HasSubstr("setns(3, 0) = 0\n"));
  const Result gone =
      Run({holder.Path("mnt"), "/proc/0/ns/pid", "echo", "ran"});
  EXPECT_EQ(DescribeStatus(gone.status), "exit status 1");
  EXPECT_THAT(gone.output, IsEmpty());
}

TEST_P(SetnsTest, PassesOnTheExitStatusOfTheCommand) {
  const Holder holder(as_nobody());
  for (const std::string& path : {holder.Path("uts"), holder.Path("pid")}) {
    const auto status = [&](const std::vector<std::string>& command) {
      std::vector<std::string> words = {path};
      words.insert(words.end(), command.begin(), command.end());
      return DescribeStatus(Run(words).status);
    };
    EXPECT_EQ(status({"sh", "-c", "exit 5"}), "exit status 5");
    EXPECT_EQ(status({"no-such-command"}), "exit status 127");
    EXPECT_EQ(status({"/"}), "exit status 126");
    EXPECT_EQ(status({"sh", "-c", "kill -KILL $$"}), path == holder.Path("pid")
                                                         ? "exit status 137"
                                                         : "killed by SIGKILL");
  }
}

TEST_P(SetnsTest, ForksIntoAPidNamespace) {
  const Holder holder(as_nobody());
  const Result result = Run({holder.Path("pid"), "sh", "-c", "echo $$"});
  EXPECT_EQ(result.output, "2\n");
  EXPECT_THAT(result.errors, HasSubstr("takes in children only"));
}

// What a mount namespace shows in /proc is another PID namespace's.
TEST_P(SetnsTest, SaysThatTheProcThereIsStrange) {
  Child process([](Line& line) {
    if (as_nobody() && IsRoot()) BecomeNobody();
    EnterUserNamespaceAsRoot();
    Child inside([](Line& to_parent) {
      Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
            "mount(\"none\", \"/\", MS_REC | MS_PRIVATE)");
      Check(mount("none", "/proc", "proc", 0, nullptr), "mount(\"proc\")");
      to_parent.Send("ready");
      to_parent.Checkpoint();
    });
    const int flags = CLONE_NEWPID | CLONE_NEWNS | SIGCHLD;
    const pid_t pid = clone(Child::Main, inside.stack_top(), flags, &inside);
    Check(inside.Started(pid), "clone({})", CloneFlags(flags));
    inside.Receive();
    line.Send(std::to_string(pid));
    line.Checkpoint();
    inside.Finish();
  });
  process.Fork();
  const std::string pid = process.Receive().value();
  const Result result = Run({"/proc/" + pid + "/ns/mnt", "ls", "/proc"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, StartsWith("1\n"));
  EXPECT_THAT(result.errors, HasSubstr("for ps, join that one, too.\n"));
  ExpectFits80Columns(result.errors);
}

TEST_P(SetnsTest, SaysWhatItCannotJoin) {
  const auto expect = [](const Result& result, const std::string& status,
                         const std::string& message) {
    EXPECT_EQ(DescribeStatus(result.status), "exit status " + status);
    EXPECT_THAT(result.errors, HasSubstr("\nsetns: " + message));
    EXPECT_THAT(result.output, IsEmpty());
  };
  expect(Run({"/dev/null", "true"}), "2", "/dev/null is no namespace\n");
  expect(Run({"/proc/self/status"}), "2",
         "/proc/self/status is no namespace\n");
  expect(Run({"/proc/self/ns/user", "true"}), "2",
         "you are in /proc/self/ns/user already\n");
  Child gone([](Line&) {});
  gone.Fork();
  gone.Finish();
  const std::string path = fmt::format("/proc/{}/ns/uts", gone.pid());
  expect(
      Run({path, "true"}), "1",
      fmt::format("there is no \"{}\": a process's links end with it\n", path));
  for (const std::string word : {"4242", "", "/nonexistent"}) {
    expect(Run({word, "true"}), "1",
           fmt::format("there is no \"{}\": a namespace has a path such as "
                       "/proc/4242/ns/uts\n",
                       word));
  }
}

TEST_P(SetnsTest, CannotJoinWhatIsNotTheReadersAndSaysWhy) {
  const std::string mine = fmt::format("/proc/{}/ns/uts", getpid());
  const Result look = Run({mine, "true"}, [] {
    if (IsRoot()) EnterUserNamespaceAsRoot();
  });
  EXPECT_EQ(DescribeStatus(look.status), "exit status 77");
  EXPECT_THAT(look.errors,
              HasSubstr(fmt::format(
                  "\nsetns: open(\"{}\"): Permission denied (EACCES)\n"
                  "  cause   The process ",
                  mine)));
  EXPECT_EQ(look.errors.find("\n  remedy  sudo\n") != std::string::npos,
            as_nobody());

  const Result join = Run({"/proc/self/ns/uts", "true"}, [] {
    if (IsRoot()) EnterUserNamespaceAsRoot();
  });
  EXPECT_EQ(DescribeStatus(join.status), "exit status 77");
  EXPECT_THAT(join.errors,
              HasSubstr("\nsetns: setns(3, 0): Operation not permitted "
                        "(EPERM)\n  cause   It takes CAP_SYS_ADMIN "));
  EXPECT_EQ(join.errors.find("\n  remedy  sudo\n") != std::string::npos,
            as_nobody());
}

// The lines of the page's only run of the tool, without what differs from
// machine to machine.
TEST_P(SetnsTest, PrintsWhatItsPageShows) {
  if (!as_nobody()) GTEST_SKIP() << "the page shows an ordinary user";
  const auto plain = [](const std::string& text) {
    return std::regex_replace(
        std::regex_replace(text, std::regex("Linux .*"), ""),
        std::regex("[0-9]+"), "0");
  };
  const std::string page = ReadFile("docs/setns.md");
  const std::size_t begin = page.find("\nsetns: ", page.find("```console"));
  Terminal lesson(
      {.program = "lessons/uts", .arguments = {"--shell"}, .as_nobody = true});
  lesson.ReadTo("lessons:setns -- ");
  std::string path = WithoutColor(lesson.ReadTo("\r\n"));
  path.resize(path.find('\r'));
  const Result result = Run({path, "hostname"});
  EXPECT_EQ(plain(result.errors + result.output),
            plain(page.substr(begin + 1, page.find("```", begin) - begin - 1)));
  lesson.ReadTo("[inside uts]");
  lesson.Type("exit\n");
  lesson.Await();
}

TEST_P(SetnsTest, HelpsToJoin) {
  EXPECT_THAT(Run({"--help"}).output,
              HasSubstr("//lessons:setns -- /proc/4242/ns/uts"));
}

}  // namespace
}  // namespace steps
