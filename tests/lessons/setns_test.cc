#include <iterator>
#include <tuple>

#include "tests/support/lessons.h"

namespace steps {
namespace {

// Root in a new user namespace, and in new namespaces that this one owns.
Process Outer(bool as_nobody, int flags) {
  Process outer = Process::Quiet().Clone("outer", 0);
  if (as_nobody && IsRoot()) outer.Run(BecomeNobody);
  outer.Run(EnterUserNamespaceAsRoot);
  outer.Run([flags] { MUST(unshare, flags); });
  return outer;
}

std::string LinkOf(const Process& process, std::string_view kind) {
  return fmt::format("/proc/{}/ns/{}", process.pid(), kind);
}

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

class SetnsTest : public LessonTest {
 protected:
  // The link for this kind of a process in other namespaces of all kinds.
  std::string Path(std::string_view kind) {
    if (!inner_) {
      outer_.emplace(Outer(as_nobody(), KnownFlags() & ~CLONE_NEWUSER));
      // PID and time namespaces take in children only.
      inner_.emplace(outer_->Clone("inner", 0));
    }
    return LinkOf(*inner_, kind);
  }

 private:
  std::optional<Process> outer_;
  std::optional<Process> inner_;
};

INSTANTIATE_TEST_SUITE_P(Is, SetnsTest, ValuesIn(ForBothUsers({"setns"})),
                         LessonName);

// Two terminals: the prompt of each shows the same hostname. The page has a run
// of the tool there, by an ordinary user.
TEST_P(SetnsTest, JoinsAShellWithAShellAndPrintsWhatItsPageShows) {
  Terminal first({.program = "lessons/uts",
                  .arguments = {"--shell"},
                  .as_nobody = as_nobody()});
  first.ReadTo("bazel run //lessons:setns -- ");
  const std::string path = WithoutColor(first.ReadTo("/ns/uts"));
  first.ReadTo("[inside uts] root@container_001:");
  Terminal second(Lesson({path}));
  EXPECT_EQ(
      second.Talk({{"[joined uts", ""},
                   {"] root@container_001:", "readlink /proc/self/ns/uts\n"},
                   {"\n" + ReadLink(path) + "\r\n", "exit\n"}}),
      "exit status 0");
  const Result result = Run({path, "hostname"});
  const std::string page = ReadFile("docs/setns.md");
  const std::size_t begin = page.find("\nsetns: ", page.find("```console")) + 1;
  const auto plain = [](const std::string& text) {
    return std::regex_replace(text, std::regex("Linux .*|[0-9]+"), "0");
  };
  if (as_nobody()) {
    EXPECT_EQ(plain(result.errors + result.output),
              plain(page.substr(begin, page.find("```", begin) - begin)));
  }
  EXPECT_EQ(first.Talk({{"", "exit\n"}}), "exit status 0");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_P(SetnsTest, JoinsEveryKindAndRunsTheCommandThere) {
  for (const Kind& kind : Kinds()) {
    SCOPED_TRACE(kind.name);
    const std::string path = Path(kind.proc_name);
    const Result result = Run(
        {path, "readlink", fmt::format("/proc/self/ns/{}", kind.proc_name)});
    EXPECT_EQ(result.output, ReadLink(path) + "\n")
        << "and nothing else on stdout";
    EXPECT_THAT(result.errors,
                AllOf(HasSubstr(fmt::format("open(\"{}\", ", path)),
                      HasSubstr(fmt::format(", {}) = 0\n", kind.flag_name))));
    const auto says = [&](const std::string& words) {
      return result.errors.find(words) != std::string::npos;
    };
    // Root has the privilege without being in the owner.
    const bool joins_owner = as_nobody() && kind.flag != CLONE_NEWUSER;
    EXPECT_EQ(says("setns(4, CLONE_NEWUSER) = 0\n"), joins_owner);
    EXPECT_EQ(says("joined first"), joins_owner);
    EXPECT_EQ(says("takes in children only"), kind.flag == CLONE_NEWPID);
    ExpectFits80Columns(result.errors);
  }
}

TEST_P(SetnsTest, JoinsSeveralNamespacesInAnyOrder) {
  const std::string user = Path("user");
  const std::string uts = Path("uts");
  const std::string mount = Path("mnt");
  for (const Words& words : {Words{user, uts},
                             {uts, user},
                             {user, mount, uts},
                             {mount, uts, "--"},
                             {uts, mount, user}}) {
    const Result result =
        Run(words + Words{"sh", "-c", "readlink /proc/self/ns/uts"});
    EXPECT_EQ(result.output, ReadLink(uts) + "\n") << result.errors;
  }
  const Words echo = {"sh", "-c", "echo $$ /proc/0/ns/uts; exit 5"};
  EXPECT_EQ(Run(Words{mount, Path("pid")} + echo, {}, 5).output,
            "2 /proc/0/ns/uts\n");
  // After "--" it is the command, which cannot be run.
  Run({uts, "--", mount}, {}, 126);
  EXPECT_THAT(Run({mount, "/proc/0/ns/pid", "echo", "ran"}, {}, 1).output,
              IsEmpty());
}

// In the inner user namespace there is no privilege over the outer one's.
TEST_P(SetnsTest, TriesAnotherOrderWhereOneFails) {
  Process outer = Outer(as_nobody(), CLONE_NEWUTS);
  Process inner = outer.Clone("inner", 0);
  inner.Run(EnterUserNamespaceAsRoot);
  const std::string user = LinkOf(inner, "user");
  const std::string uts = LinkOf(inner, "uts");
  EXPECT_EQ(
      Run({user, uts, "readlink", "/proc/self/ns/user", "/proc/self/ns/uts"})
          .output,
      ReadLink(user) + "\n" + ReadLink(uts) + "\n");
}

TEST_P(SetnsTest, SkipsWhereTheReaderIsAlreadyAndWhatLeadsNowhereYet) {
  for (const Kind& kind : Kinds()) {
    const std::string path = fmt::format("/proc/self/ns/{}", kind.proc_name);
    const Result result = Run({path, "echo", "ran"});
    EXPECT_EQ(result.output, "ran\n");
    EXPECT_THAT(result.errors, AllOf(HasSubstr(path + ": you are in it "
                                                      "already."),
                                     Not(HasSubstr("setns(3"))));
  }
  const Process outer = Outer(as_nobody(), CLONE_NEWPID);
  const Result result = Run({LinkOf(outer, "pid_for_children"),
                             LinkOf(outer, "user"), "sh", "-c", "echo ran"});
  EXPECT_EQ(result.output, "ran\n");
  EXPECT_THAT(result.errors, HasSubstr("for_children: nothing is there yet."));
}

// All links of the process: of two kinds it has two, and one is shared.
TEST_P(SetnsTest, JoinsEachNamespaceOnce) {
  Words words;
  for (const auto& link : fs::directory_iterator(Path(""))) {
    words.push_back(link.path());
  }
  const Result result =
      Run(words + Words{"/proc/self/ns/uts", "sh", "-c", "echo $$; hostname"});
  EXPECT_THAT(result.output, StartsWith("2\n"));
  EXPECT_THAT(result.errors, HasSubstr("ns/uts: you are in it already."));
  EXPECT_THAT(Matches(result.errors, "(, CLONE_NEWPID\\) = 0)"), SizeIs(1));
}

// Network namespaces have a directory in which ip(8) pins them by a name.
TEST_P(SetnsTest, JoinsPinnedNamespaces) {
  if (as_nobody()) GTEST_SKIP() << "an ordinary user mounts nothing here";
  const auto pin = [] {
    MUST(unshare, CLONE_NEWNS);
    MakeMountsPrivate();
    MountTmpfs("/run");
    MUST(mkdir, "/run/netns", 0755);
    const Process other =
        Process::Quiet().Clone("other", CLONE_NEWNET | CLONE_NEWUTS);
    for (const auto& [kind, pinned] :
         {std::pair("net", "/run/netns/foo"), {"uts", "/run/uts"}}) {
      Open(pinned, O_CREAT, 0600);
      MUST(mount, LinkOf(other, kind).c_str(), pinned, nullptr, MS_BIND,
           nullptr);
    }
  };
  const Words same = {"sh", "-c",
                      "test /proc/self/ns/net -ef /run/netns/foo && echo net\n"
                      "test /proc/self/ns/uts -ef /run/uts && echo uts"};
  EXPECT_EQ(Run(Words{"/run/netns/foo", "/run/uts", "--"} + same, pin).output,
            "net\nuts\n");
  EXPECT_EQ(Run(Words{"foo"} + same, pin, 1).output, "net\n");
}

TEST_P(SetnsTest, SaysWhatIsStillOfTheOldNamespace) {
  const std::string mount = Path("mnt");
  for (const auto& [path, note] : std::map<std::string, std::string>{
           {Path("net"), "/sys is still that of the network namespace"},
           {Path("pid"), "/proc is still that of the PID namespace"}}) {
    const Result result = Run({path, "true"});
    EXPECT_THAT(result.errors, HasSubstr(note));
    ExpectFits80Columns(result.errors);
    EXPECT_THAT(Run({path, mount, "true"}).errors, Not(HasSubstr(note)));
  }
}

// What a mount namespace shows in /proc is another PID namespace's.
TEST_P(SetnsTest, SaysThatTheProcThereIsStrange) {
  Process outer = Outer(as_nobody(), 0);
  Process inside = outer.Clone("inside", CLONE_NEWPID | CLONE_NEWNS);
  inside.Run(MakeMountsPrivate);
  inside.Run([] { MUST(mount, "none", "/proc", "proc", 0, nullptr); });
  const Result result = Run({LinkOf(inside, "mnt"), "ls", "/proc"});
  EXPECT_THAT(result.output, StartsWith("1\n"));
  EXPECT_THAT(result.errors, HasSubstr("for ps, join that one, too.\n"));
  ExpectFits80Columns(result.errors);
}

TEST_P(SetnsTest, SaysWhatItCannotJoin) {
  const std::string gone = LinkOf(Process::Quiet().Clone("gone", 0), "uts");
  const std::string no_path =
      ": a namespace has a path such as /proc/4242/ns/uts\n";
  for (const auto& [word, status, says] :
       std::vector<std::tuple<std::string, int, std::string>>{
           {"/dev/null", 2, "/dev/null is no namespace\n"},
           {"/proc/self/status", 2, "/proc/self/status is no namespace\n"},
           {gone, 1,
            "there is no \"" + gone + "\": a process's links end with it\n"},
           {"4242", 1, "there is no \"4242\"" + no_path},
           {"", 1, "there is no \"\"" + no_path}}) {
    ExpectExit(Try({word, "true"}), status, "", HasSubstr("\nsetns: " + says));
  }
  for (const bool ended : {true, false}) {
    const auto before = [ended] {
      EnterUserNamespaceAsRoot();
      std::optional<Process> first =
          Process::Quiet().Clone("first", CLONE_NEWPID);
      MUST(dup2, Open(LinkOf(*first, "pid"), O_RDONLY).get(), 77);
      ended ? first.reset() : EnterContainer();
    };
    ExpectExit(
        Try({"/proc/self/fd/77", "true"}, before), 77, "",
        HasSubstr(ended ? "\nsetns: fork(): Cannot allocate memory (ENOMEM)\n"
                          "  cause   PID 1 of that PID namespace has ended"
                        : "\nsetns: setns(3, CLONE_NEWPID): Invalid argument "
                          "(EINVAL)\n"
                          "  cause   That PID namespace is not below"));
  }
}

TEST_P(SetnsTest, CannotJoinWhatIsNotTheReadersAndSaysWhy) {
  if (!IsRoot()) GTEST_SKIP() << "this process is the reader's";
  const std::string mine = fmt::format("/proc/{}/ns/uts", getpid());
  const Result look = Run(
      {mine, "true"}, as_nobody() ? Before() : EnterUserNamespaceAsRoot, 77);
  EXPECT_THAT(look.errors,
              HasSubstr(fmt::format("\nsetns: open(\"{}\", O_RDONLY | "
                                    "O_CLOEXEC): Permission denied (EACCES)\n"
                                    "  cause   The process ",
                                    mine)));
  EXPECT_EQ(look.errors.find("\n  remedy  sudo, ") != std::string::npos,
            as_nobody());
}

}  // namespace
}  // namespace steps
