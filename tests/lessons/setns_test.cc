#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/refusals.h"

namespace steps {
namespace {

using testing::IsSupersetOf;

class SetnsTest : public LessonTest {
 protected:
  Result Run(const Words& words = {}, const Before& before = {}) const {
    return RunCommand(Lesson(words, before));
  }
};

INSTANTIATE_TEST_SUITE_P(Is, SetnsTest, ValuesIn(ForBothUsers({"setns"})),
                         LessonName);

// Two terminals: the shell of uts, and one that joins it with the line that the
// first has printed. Both prompts show the same hostname.
TEST_P(SetnsTest, JoinsAShellWithAShell) {
  Terminal first({.program = "lessons/uts",
                  .arguments = {"--shell"},
                  .as_nobody = as_nobody()});
  first.ReadTo("bazel run //lessons:setns -- ");
  const std::string line = WithoutColor(first.ReadTo("\r\n"));
  const std::string path = line.substr(0, line.find('\r'));
  first.ReadTo("[inside uts] root@container_001:");
  Terminal second(Lesson({path}));
  second.ReadTo("[joined uts");
  second.ReadTo("] root@container_001:");
  second.Type("readlink /proc/self/ns/uts\n");
  second.ReadTo("\n" + ReadLink(path) + "\r\n");
  Exit(second);
  Exit(first);
  EXPECT_THAT(Survivors(), IsEmpty());
}

// A process in a new user namespace, and in others of all kinds that this one
// owns.
class Holder {
 public:
  explicit Holder(bool as_nobody) {
    if (as_nobody && IsRoot()) outer_.Run(BecomeNobody);
    outer_.Run(EnterUserNamespaceAsRoot);
    outer_.Run([] { MUST(unshare, AllFlags() & ~CLONE_NEWUSER); });
    // PID and time namespaces take in children only.
    inner_.emplace(outer_.Clone("inner", 0));
  }

  // Its link for this kind.
  std::string Path(std::string_view kind) const {
    return fmt::format("/proc/{}/ns/{}", inner_->pid(), kind);
  }

 private:
  Process outer_ = Process::Quiet().Clone("outer", 0);
  std::optional<Process> inner_;
};

TEST_P(SetnsTest, JoinsEveryKindAndRunsTheCommandThere) {
  const Holder holder(as_nobody());
  for (const Kind& kind : Kinds()) {
    const std::string path = holder.Path(kind.proc_name);
    const Result result = Run(
        {path, "readlink", fmt::format("/proc/self/ns/{}", kind.proc_name)});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
    EXPECT_EQ(result.output, ReadLink(path) + "\n")
        << "and nothing else on stdout";
    EXPECT_THAT(result.errors, HasSubstr(fmt::format("open(\"{}\", ", path)));
    EXPECT_THAT(result.errors,
                HasSubstr(fmt::format(", {}) = 0\n", kind.flag_name)));
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

TEST_P(SetnsTest, JoinsSeveralNamespacesInAnyOrder) {
  const Holder holder(as_nobody());
  const std::string user = holder.Path("user");
  const std::string uts = holder.Path("uts");
  const std::string mount = holder.Path("mnt");
  const std::string pid = holder.Path("pid");
  const Words command = {"sh", "-c", "readlink /proc/self/ns/uts"};
  for (Words words : {Words{user, uts},
                      {uts, user},
                      {user, mount, uts},
                      {mount, uts, "--"},
                      {uts, mount, user}}) {
    words.insert(words.end(), command.begin(), command.end());
    const Result result = Run(words);
    EXPECT_EQ(result.output, ReadLink(uts) + "\n") << result.errors;
  }
  EXPECT_EQ(Run({mount, pid, "sh", "-c", "echo $$ /proc/0/ns/uts"}).output,
            "2 /proc/0/ns/uts\n");
  // After "--" it is the command, which cannot be run.
  EXPECT_EQ(DescribeStatus(Run({uts, "--", mount}).status), "exit status 126");
  const Result gone = Run({mount, "/proc/0/ns/pid", "echo", "ran"});
  EXPECT_EQ(DescribeStatus(gone.status), "exit status 1");
  EXPECT_THAT(gone.output, IsEmpty());
}

TEST_P(SetnsTest, SkipsWhereTheReaderIsAlready) {
  for (const Kind& kind : Kinds()) {
    const std::string path = fmt::format("/proc/self/ns/{}", kind.proc_name);
    const Result result = Run({path, "echo", "ran"});
    EXPECT_EQ(result.output, "ran\n");
    EXPECT_THAT(result.errors, HasSubstr(path + ": you are in it already."));
    EXPECT_EQ(result.errors.find("setns(3"), std::string::npos);
  }
}

// In a mount namespace of its own.
void EmptyRun() {
  MUST(unshare, CLONE_NEWNS);
  MUST(mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  MUST(mount, "none", "/run", "tmpfs", 0, nullptr);
}

TEST_P(SetnsTest, FindsANetworkNamespaceByItsName) {
  if (as_nobody()) GTEST_SKIP() << "/run belongs to root";
  const auto mount_it = [] {
    EmptyRun();
    MUST(mkdir, "/run/netns", 0755);
    Open("/run/netns/foo", O_CREAT, 0600);
    const Process other = Process::Quiet().Clone("other", CLONE_NEWNET);
    const std::string path = fmt::format("/proc/{}/ns/net", other.pid());
    MUST(mount, path.c_str(), "/run/netns/foo", nullptr, MS_BIND, nullptr);
  };
  const Result result = Run({"foo", "readlink", "/proc/self/ns/net"}, mount_it);
  EXPECT_THAT(result.output, MatchesRegex("net:.[0-9]+.\n")) << result.errors;
  EXPECT_NE(result.output, ReadLink("/proc/self/ns/net") + "\n");
}

TEST_P(SetnsTest, PassesOnTheExitStatusOfTheCommand) {
  const Holder holder(as_nobody());
  for (const std::string& path : {holder.Path("uts"), holder.Path("pid")}) {
    const auto status = [&](const Words& command) {
      Words words = {path};
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

TEST_P(SetnsTest, CommandGetsASignalThatIsSentToTheToolAlone) {
  const Holder holder(as_nobody());
  for (const std::string& path : {holder.Path("uts"), holder.Path("pid")}) {
    for (const int signal : {SIGINT, SIGTERM}) {
      Terminal terminal(Lesson({path, "sh", "-c",
                                "trap 'exit 8' INT TERM; echo ready; "
                                "while :; do read x; done"}));
      terminal.ReadTo("\nready\r\n");
      ASSERT_EQ(kill(terminal.pid(), signal), 0);
      EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 8");
    }
  }
}

// All links of the process: of two kinds it has two, and one is shared.
TEST_P(SetnsTest, JoinsEachNamespaceOnce) {
  const Holder holder(as_nobody());
  std::vector<std::string> words;
  for (const auto& link :
       std::filesystem::directory_iterator(holder.Path(""))) {
    words.push_back(link.path());
  }
  words.emplace_back("/proc/self/ns/uts");
  words.insert(words.end(), {"sh", "-c", "echo $$; hostname"});
  const Result result = Run(words);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_THAT(result.output, StartsWith("2\n"));
  EXPECT_THAT(result.errors, HasSubstr("ns/uts: you are in it already."));
  const std::string joined = ", CLONE_NEWPID) = 0";
  const std::size_t first = result.errors.find(joined);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(result.errors.find(joined, first + 1), std::string::npos);
}

TEST_P(SetnsTest, SkipsTheLinkThatLeadsNowhereYet) {
  Process outer = Process::Quiet().Clone("outer", 0);
  if (as_nobody() && IsRoot()) outer.Run(BecomeNobody);
  outer.Run(EnterUserNamespaceAsRoot);
  outer.Run([] { MUST(unshare, CLONE_NEWPID); });
  const std::string directory = fmt::format("/proc/{}/ns/", outer.pid());
  const Result result = Run({directory + "pid_for_children", directory + "user",
                             "sh", "-c", "echo ran"});
  EXPECT_EQ(result.output, "ran\n") << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("for_children: nothing is there yet."));
}

// In the inner user namespace there is no privilege over the outer one's.
TEST_P(SetnsTest, TriesAnotherOrderWhereOneFails) {
  Process outer = Process::Quiet().Clone("outer", 0);
  if (as_nobody() && IsRoot()) outer.Run(BecomeNobody);
  outer.Run(EnterUserNamespaceAsRoot);
  outer.Run([] { MUST(unshare, CLONE_NEWUTS); });
  Process inner = outer.Clone("inner", 0);
  inner.Run(EnterUserNamespaceAsRoot);
  const std::string directory = fmt::format("/proc/{}/ns/", inner.pid());
  const std::string user = directory + "user";
  const std::string uts = directory + "uts";
  const Result result =
      Run({user, uts, "readlink", "/proc/self/ns/user", "/proc/self/ns/uts"});
  EXPECT_EQ(result.output, ReadLink(user) + "\n" + ReadLink(uts) + "\n")
      << result.errors;
}

TEST_P(SetnsTest, JoinsPinnedNamespaces) {
  if (as_nobody()) GTEST_SKIP() << "an ordinary user mounts nothing here";
  const auto pin = [] {
    EmptyRun();
    const Process other =
        Process::Quiet().Clone("other", CLONE_NEWNET | CLONE_NEWUTS);
    for (const std::string kind : {"net", "uts"}) {
      const std::string pinned = "/run/" + kind;
      const std::string path = fmt::format("/proc/{}/ns/{}", other.pid(), kind);
      Open(pinned, O_CREAT, 0600);
      MUST(mount, path.c_str(), pinned.c_str(), nullptr, MS_BIND, nullptr);
    }
  };
  const Result result =
      Run({"/run/net", "/run/uts", "--", "sh", "-c",
           "for kind in net uts; do "
           "test /proc/self/ns/$kind -ef /run/$kind && echo $kind; done"},
          pin);
  EXPECT_EQ(result.output, "net\nuts\n") << result.errors;
}

TEST_P(SetnsTest, SaysWhatIsStillOfTheOldNamespace) {
  const Holder holder(as_nobody());
  const std::string net = "/sys is still that of the network namespace";
  const std::string pid = "/proc is still that of the PID namespace";
  const std::string mount = holder.Path("mnt");
  for (const auto& [path, note] : std::map<std::string, std::string>{
           {holder.Path("net"), net}, {holder.Path("pid"), pid}}) {
    const Result result = Run({path, "true"});
    EXPECT_THAT(result.errors, HasSubstr(note));
    ExpectFits80Columns(result.errors);
    EXPECT_EQ(Run({path, mount, "true"}).errors.find(note), std::string::npos);
  }
}

// What happens before the tool begins: descriptor 77 is that of the PID
// namespace of `first`.
void OpenPidNamespaceOf(const Process& first) {
  const std::string path = fmt::format("/proc/{}/ns/pid", first.pid());
  MUST(dup2, Open(path, O_RDONLY).get(), 77);
}

TEST_P(SetnsTest, SaysThatThePid1HasEnded) {
  const Result result = Run({"/proc/self/fd/77", "true"}, [] {
    EnterUserNamespaceAsRoot();
    OpenPidNamespaceOf(Process::Quiet().Clone("first", CLONE_NEWPID));
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors,
              HasSubstr("\nsetns: fork(): Cannot allocate memory (ENOMEM)\n"
                        "  cause   PID 1 of that PID namespace has ended"));
}

TEST_P(SetnsTest, SaysThatThePidNamespaceIsNotBelow) {
  const Result result = Run({"/proc/self/fd/77", "true"}, [] {
    EnterUserNamespaceAsRoot();
    const Process first = Process::Quiet().Clone("first", CLONE_NEWPID);
    OpenPidNamespaceOf(first);
    MUST(unshare, CLONE_NEWPID | CLONE_NEWNS);
    const pid_t child = MUST(fork);
    if (child != 0) {
      int status = 0;
      Retry([&] { return waitpid(child, &status, 0); });
      _exit(ExitStatus(status));
    }
    MakeMountsPrivate();
    MUST(mount, "none", "/proc", "proc", 0, nullptr);
  });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77") << result.errors;
  EXPECT_THAT(result.errors,
              HasSubstr("Invalid argument (EINVAL)\n"
                        "  cause   That PID namespace is not below"));
}

TEST_P(SetnsTest, NeedsAProcOfItsOwnPidNamespace) {
  const Result result = Run({"/proc/self/ns/uts", "true"}, CoverProc);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 77");
  EXPECT_THAT(result.errors, HasSubstr("cause   /proc belongs to another"));
}

TEST_P(SetnsTest, ForksIntoAPidNamespace) {
  const Holder holder(as_nobody());
  const Result result = Run({holder.Path("pid"), "sh", "-c", "echo $$"});
  EXPECT_EQ(result.output, "2\n");
  EXPECT_THAT(result.errors, HasSubstr("takes in children only"));
}

// What a mount namespace shows in /proc is another PID namespace's.
TEST_P(SetnsTest, SaysThatTheProcThereIsStrange) {
  Process outer = Process::Quiet().Clone("outer", 0);
  if (as_nobody() && IsRoot()) outer.Run(BecomeNobody);
  outer.Run(EnterUserNamespaceAsRoot);
  Process inside = outer.Clone("inside", CLONE_NEWPID | CLONE_NEWNS);
  inside.Run(MakeMountsPrivate);
  inside.Run([] { MUST(mount, "none", "/proc", "proc", 0, nullptr); });
  const std::string pid = std::to_string(inside.pid());
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
  const pid_t gone = Process::Quiet().Clone("gone", 0).pid();
  const std::string path = fmt::format("/proc/{}/ns/uts", gone);
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
  if (!IsRoot()) GTEST_SKIP() << "this process is the reader's";
  const std::string mine = fmt::format("/proc/{}/ns/uts", getpid());
  const Result look = Run({mine, "true"}, [] {
    if (IsRoot()) EnterUserNamespaceAsRoot();
  });
  EXPECT_EQ(DescribeStatus(look.status), "exit status 77");
  EXPECT_THAT(look.errors,
              HasSubstr(fmt::format("\nsetns: open(\"{}\", O_RDONLY | "
                                    "O_CLOEXEC): Permission denied (EACCES)\n"
                                    "  cause   The process ",
                                    mine)));
  EXPECT_EQ(look.errors.find("\n  remedy  sudo\n") != std::string::npos,
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
