#include <sys/ioctl.h>
#include <termios.h>

#include <tuple>

#include "common/kernel/cgroups.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

Words Sh(const std::string& script) { return {"sh", "-c", script}; }

class ContainerTest : public LessonTest {
 protected:
  // A shell with job control, to which the container is $lesson.
  Command Script(const std::string& script) const {
    return {.function = [script] {
      MUST(dup2, Open(program(), O_RDONLY).get(), 9);
      if (as_nobody() && IsRoot()) BecomeNobody();
      setenv("lesson", "/proc/self/fd/9 --", 1);
      return execlp("sh", "sh", "-mc", script.c_str(), nullptr);
    }};
  }
};

INSTANTIATE_TEST_SUITE_P(Is, ContainerTest,
                         ValuesIn(ForBothUsers({"container"})), LessonName);

TEST_P(ContainerTest, DoesWithoutAnOverlay) {
  const json run = RunJson([] { MountOver("/usr/share"); });
  EXPECT_THAT(Skipped(run), Contains(HasSubstr("What is written to /usr")));
}

// As container engines mask it. Then no new proc may be mounted.
TEST_P(ContainerTest, DoesWithoutProc) {
  const json run = RunJson(MaskProc);
  EXPECT_THAT(run["calls"].dump(),
              ContainsRegex(R"("mount\(\\"proc[^}]*"errno":"EPERM")"));
  EXPECT_THAT(Skipped(run), Not(Contains(HasSubstr("all namespaces"))));
  const Result command = Try({"true"}, MaskProc);
  ExpectExit(command, 0, "",
             AllOf(HasSubstr("Left out: mount(\"proc\")"),
                   HasSubstr("/proc is masked"), HasSubstr("To have it: ")));
  ExpectFits80Columns(command.errors);
}

// A kernel that answers each prctl(2) with 0 has a capability of any number.
TEST_P(ContainerTest, EndsWhereEveryPrctlAnswers0) {
  const auto lie = [] { FilterCalls({{SYS_prctl, 0}}); };
  ExpectExit(Try({}, lie), 1, HasSubstr("FAILS "));
}

TEST_P(ContainerTest, SkipsItsLimitBehindALowerOne) {
  const auto place = as_nobody() ? std::nullopt : FindCgroupPlace("pids");
  if (!place || place->controllers.empty()) {
    GTEST_SKIP() << "no cgroup may be made between";
  }
  const Cgroup group(*place);
  const auto write_to = [&group](const std::string& file, const char* text) {
    WriteAll(Open(group.path() + "/" + file, O_WRONLY).get(), text);
  };
  write_to("pids.max", "14");
  const json run = RunJson([&] { write_to("cgroup.procs", "0"); });
  EXPECT_THAT(Skipped(run), Contains(HasSubstr("limit on its processes")));
}

TEST_P(ContainerTest, SaysWhatItCouldNotRemove) {
  if (as_nobody()) GTEST_SKIP() << "to nobody no cgroup is delegated";
#ifdef SYS_rmdir
  static constexpr int kRmdir = SYS_rmdir;
#else
  static constexpr int kRmdir = SYS_unlinkat;
#endif
  const auto forbid = [] { FilterCalls({{kRmdir, EPERM}}); };
  for (const Words& command : std::vector<Words>{{}, {"true"}}) {
    const Words left = Matches(Run(command, forbid, 1).errors,
                               "not removed: rmdir\\(\"([^\"]*)\"\\)");
    EXPECT_THAT(left, Not(IsEmpty()));
    for (const std::string& path : left) {
      EXPECT_EQ(rmdir(path.c_str()), 0) << path;
    }
  }
}

// The tool.

TEST_P(ContainerTest, EveryNamespaceOfTheCommandIsAnother) {
  for (const auto& [flag, id] : NamespacesOf(getpid())) {
    const std::string link =
        fmt::format("/proc/self/ns/{}", KindOf(flag).proc_name);
    // As root it is in the reader's own user namespace, as under an engine,
    // and the container lacks nothing.
    const bool same = flag == CLONE_NEWUSER && !as_nobody();
    const Result inside = Run({"readlink", link});
    EXPECT_EQ(inside.output == ReadLink(link) + "\n", same) << inside.output;
    EXPECT_EQ(inside.errors.find("Left out: ") == std::string::npos,
              !as_nobody());
    ExpectFits80Columns(inside.errors);
  }
}

TEST_P(ContainerTest, CommandSeesTheContainerAndGivesTheExitStatus) {
  const auto before = [] {
    MUST(dup2, STDIN_FILENO, 77);
    setenv("SECRET", "told", 1);
    setsid();
  };
  // What each command prints inside, and how it ends.
  const std::vector<std::tuple<Words, Text, int>> commands = {
      {Sh("echo out; exit 3"), "out\n", 3},
      // What it sends to its own group stays inside.
      {Sh("kill -9 0"), "", 128 + SIGKILL},
      {{"no_such_command"}, "", 127},
      {Sh("tty; test -e /dev/console"), "not a tty\n", 1},
      // It is the child of an init, in a /proc of its own …
      {{"ps", "-e", "-o", "pid=,ppid=,comm="},
       MatchesRegex(" +1 +0 container\n +2 +1 ps\n"),
       0},
      // … which reaps an orphan: a zombie still has its directory.
      {Sh("orphan=$(sh -c 'sleep 0 >&- & echo $!'); i=0\n"
          "while [ -e /proc/$orphan ] && [ $((i += 1)) -lt 1000 ]\n"
          "do sleep 0.01; done; [ ! -e /proc/$orphan ]"),
       "", 0},
      // It has no descriptor and no variable of the reader's,
      {Sh("ls /proc/self/fd; echo ${SECRET-no} $HOME"),
       "0\n1\n2\n3\nno /root\n", 0},
      // the capabilities that engines leave,
      {{"cat", "/proc/self/status"},
       AllOf(HasSubstr("NoNewPrivs:\t1\nSeccomp:\t2\n"),
             HasSubstr("CapInh:\t0000000000000000\n"
                       "CapPrm:\t00000000a80425fb\n"
                       "CapEff:\t00000000a80425fb\n"
                       "CapBnd:\t00000000a80425fb\n"
                       "CapAmb:\t0000000000000000\n")),
       0},
      // a link to the gateway, and no further,
      {{"bash", "-c", "cat < /dev/tcp/192.0.2.1/8080"}, "192.0.2.2\n", 0},
      {{"bash", "-c", ": < /dev/tcp/198.51.100.1/80"}, "", 1},
      // and directories in which all that is written goes with it.
      {Sh("cd /usr; echo text >written_inside; cat written_inside; "
          "echo >/tmp/written_inside; echo >/etc/written_inside; ls /tmp"),
       "text\nwritten_inside\n", 0},
      {Sh("ls -d /usr/written_inside 2>&-"), "", 2}};
  for (const auto& [command, output, status] : commands) {
    SCOPED_TRACE(command.back());
    const Result result = Try(command, before);
    EXPECT_TRUE(WIFEXITED(result.status)) << "and the lesson lives on";
    ExpectExit(result, status, output);
  }
  for (const std::string directory : {"/usr", "/tmp", "/etc"}) {
    EXPECT_FALSE(fs::exists(directory + "/written_inside"));
  }
}

TEST_P(ContainerTest, LimitsMemoryAndProcesses) {
  if (as_nobody()) GTEST_SKIP() << "to nobody no cgroup is delegated";
  const Words memory = Sh("head -c 400M /dev/zero | tail >/dev/null; echo $?");
  ExpectExit(Try(memory), 0, "137\n");
  // PID 1 is one of the 100.
  const Words processes =
      Sh("(while sleep 1000 & do :; done) 2>&-; set -- /proc/[0-9]*; echo $#");
  ExpectExit(Try(processes), 0, "99\n");
}

// A system call that succeeds. perl(1) is in every Debian.
std::string Succeeds(long call, const std::string& arguments) {
  return fmt::format("perl -e 'exit(syscall({}, {}) == -1)'", call, arguments);
}

// The ways out, each as a command that succeeds; and what stops it.
std::vector<std::pair<std::string, const char*>> Escapes() {
  const char* climb =
      "perl -e 'my $root = (stat \"/\")[1]; mkdir \"/tmp/lower\"; "
      "chroot \"/tmp/lower\"; chdir \"..\" for 1 .. 50; chroot \".\"; "
      "exit($root == (stat \"/\")[1])'";
  return {
      {"unshare --user --map-root-user true", "the filter"},
      {"unshare --mount true", "the filter"},
      {"nsenter --target 1 --mount true", "the filter"},
      {"mount -t tmpfs tmpfs /tmp", "the filter"},
      {"mount -t cgroup -o memory memory /tmp", "the filter"},
      {"umount /proc/sys", "the filter"},
      {Succeeds(SYS_keyctl, "0, -3, 1"), "the filter"},
      {Succeeds(SYS_open_by_handle_at, "0, \"\", 0") + " || " +
           Succeeds(SYS_io_uring_setup, "1, \"\\0\" x 200"),
       "the filter"},
      {"perl -e 'exit !ioctl STDIN, 0x5412, \"x\"'", "the filter: TIOCSTI"},
      {"hostname renamed", "no CAP_SYS_ADMIN"},
      {"date --set now", "no CAP_SYS_TIME"},
      {"test $(nice -n -5 nice) -lt 0", "no CAP_SYS_NICE"},
      {"ip link set lo down", "no CAP_NET_ADMIN"},
      {Succeeds(SYS_ptrace, "16, 1, 0, 0"), "PID 1 is not dumpable"},
      {"ls /proc/1/root/ || ls /proc/1/cwd/", "PID 1 is not dumpable"},
      {"readlink /proc/1/fd/0 || true >>/proc/1/exe", "PID 1 is not dumpable"},
      {"echo x >/proc/sys/kernel/domainname", "a read-only mount"},
      {"echo h >/proc/sysrq-trigger", "a read-only mount"},
      {"test -w /proc/irq/default_smp_affinity", "a read-only mount"},
      {"chmod 600 /dev/full || chown 1 /dev/null || chmod 600 /proc/keys",
       "a read-only mount"},
      {"! echo >/dev/null || ! head -c 1 /dev/zero", "a device that is there"},
      {"head -c 1 /proc/kcore | grep -q .", "/dev/null lies over it"},
      {"mknod /tmp/node c 1 5 && head -c 1 /tmp/node", "MS_NODEV"},
      {"test -e /sys/fs/cgroup", "no cgroup is mounted"},
      {climb, "pivot_root(2)"},
      {"test -e /home || grep -q ' /mnt' /proc/mounts", "pivot_root(2)"},
  };
}

TEST_P(ContainerTest, NoWayOutIsOpen) {
  for (const char* tool : {"hostname", "ip", "nsenter", "perl", "unshare"}) {
    if (FindProgram(tool).empty()) GTEST_SKIP() << tool << " is not installed";
  }
  const auto escapes = Escapes();
  std::string script;
  for (std::size_t i = 0; i < escapes.size(); ++i) {
    script += fmt::format("if {{ {}; }} >/dev/null 2>&1; then echo {}; fi\n",
                          escapes[i].first, i);
  }
  std::istringstream open(Try(Sh(script + "echo all")).output);
  for (std::size_t i = 0; open >> i;) {
    ADD_FAILURE() << escapes[i].first << ": not stopped by "
                  << escapes[i].second;
  }
  open.clear();
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(open), {}), "all\n");
}

// On the reader's terminal.

// A command, or a script of the reader's that runs one; and a conversation.
struct Talk {
  Words command;
  std::vector<std::pair<std::string, std::string>> lines;
  std::string end = "exit status 0";
};

TEST_P(ContainerTest, CommandHasATerminal) {
  for (const auto& [command, lines, end] : std::vector<Talk>{
           // One of its own.
           {Sh("tty; tty </dev/console; tty </dev/stderr; stty size; "
               "ls /dev/pts"),
            {{"\n/dev/pts/0\r\n/dev/console\r\n/dev/pts/0\r\n24 80\r\n"
              "0  ptmx\r\n",
              ""}}},
           // All that is typed and shown passes.
           {Sh("stty raw -echo; echo ready; seq 20000; head -c 20000 | wc -c"),
            {{"\nready\n", std::string(20000, 'x')},
             {"\n19999\n20000\n20000\n", ""}}},
           // Ctrl-C is for the command, once; Ctrl-Z stops nothing.
           {Sh("n=0; trap 'n=$((n+1))' INT; echo ready; read x; sleep 0.1; "
               "echo $n times; exit 9"),
            {{"\nready\r\n", "\x03"}, {"", "\n"}, {"\n1 times\r\n", ""}},
            "exit status 9"},
           {Sh("echo ready; read x; echo $x"),
            {{"\nready\r\n", "\x1a"}, {"", "on\n"}, {"\non\r\n", ""}}},
           // A shell has job control.
           {{"bash", "--norc"},
            {{"# ", "sh -c 'echo begun; read x; echo $x; read x'\n"},
             {"\nbegun\r\n", "\x1a"},
             {"Stopped", "fg\n"},
             {"\nsh -c", "once\n"},
             {"once\r\nonce\r\n", "\x03"},
             {"# ", "exit 5\n"}},
            "exit status 5"},
           // In a pipeline it leaves the terminal to the others.
           {{"$lesson echo piped 2>&- | cat; read x; echo \"$x\""},
            {{"piped\r\n", "typed\n"}, {"\ntyped\r\n", ""}}},
           {{"$lesson sh -c 'tty; echo error >&2' 2>&1 >/dev/tty | "
             "grep rror >/dev/null"},
            {{"/dev/pts/0\r\n", ""}}}}) {
    SCOPED_TRACE(command.back());
    Terminal terminal(command.size() == 1 ? Script(command[0])
                                          : Lesson(command));
    EXPECT_EQ(terminal.Talk(lines), end);
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("no job control")));
  }
}

// The reader's terminal, on which that program is.
Descriptor OpenTerminalOf(const Terminal& terminal) {
  return Open(fmt::format("/proc/{}/fd/0", terminal.pid()), O_RDWR | O_NOCTTY);
}

TEST_P(ContainerTest, PassesOnTheSizeOfTheTerminalAndASignal) {
  Terminal terminal(
      Lesson(Sh("trap 'stty size' WINCH; trap 'exit 7' INT; echo ready; "
                "while :; do read x; done")));
  terminal.ReadTo("\nready\r\n");
  const winsize size = {
      .ws_row = 50, .ws_col = 132, .ws_xpixel = 0, .ws_ypixel = 0};
  MUST(ioctl, OpenTerminalOf(terminal).get(), TIOCSWINSZ, &size);
  terminal.ReadTo("50 132\r\n");
  kill(terminal.pid(), SIGINT);
  EXPECT_EQ(terminal.Await(), "exit status 7");
}

TEST_P(ContainerTest, CtrlCIsNotLostWhileTheContainerIsMade) {
  for (int i = 0; i < 20; ++i) {
    Terminal terminal(Lesson({"sleep", "1000"}));
    terminal.ReadTo("all of it together");
    usleep(i * 3000);  // One of the moments at which it is made.
    terminal.Type("\x03");
    EXPECT_EQ(terminal.Await(), "exit status 130");
  }
}

TEST_P(ContainerTest, TerminalOfTheReaderIsRestored) {
  // What is typed, or which signal ends the lesson, or its group.
  for (const auto& [keys, signal, is_for_group] : {std::tuple("\n", 0, false),
                                                   {"\x03", 0, false},
                                                   {"", SIGTERM, false},
                                                   {"", SIGKILL, false},
                                                   {"", SIGKILL, true}}) {
    SCOPED_TRACE(signal);
    Terminal terminal(
        Script("before=$(stty -g); "
               "$lesson sh -c 'trap \"\" HUP; echo ready; read x || "
               "sleep 1000'; "
               "until test $(stty -g) = $before; do :; done; echo restored"));
    terminal.ReadTo("\nready\r\n");
    const pid_t lesson = ChildrenOf(terminal.pid()).at(0);
    termios raw = {};
    MUST(tcgetattr, OpenTerminalOf(terminal).get(), &raw);
    EXPECT_EQ(raw.c_lflag & (ICANON | ECHO | ISIG), 0U);
    if (signal != 0) kill(is_for_group ? -lesson : lesson, signal);
    EXPECT_EQ(terminal.Talk({{"", keys}, {"restored\r\n", ""}}),
              "exit status 0");
    EXPECT_THAT(Survivors(), IsEmpty());
  }
}

TEST_P(ContainerTest, StopsAndGoesOnAsAJobOfTheReaders) {
  Terminal terminal(
      Script("$lesson sh -c 'echo ready; read x; echo $x'; "
             "echo stopped; fg; echo ended"));
  terminal.ReadTo("\nready\r\n");
  kill(ChildrenOf(terminal.pid()).at(0), SIGSTOP);
  EXPECT_EQ(
      terminal.Talk({{"stopped", "typed\n"}, {"\ntyped\r\nended\r\n", ""}}),
      "exit status 0");
}

TEST_P(ContainerTest, EndsWithTheReadersTerminal) {
  Terminal(Lesson(Sh("echo ready; sleep 1000"))).ReadTo("\nready\r\n");
  EXPECT_THAT(Survivors(), IsEmpty());
}

// Another root.

// A directory with a shell, and nothing else.
class Root : public TemporaryDirectory {
 public:
  Root() {
    // With their libraries, which ldd(1) lists below the name of each.
    for (const auto& file :
         Matches(RunTool({"ldd", "/bin/sh", "/bin/cat"}), "(/[^ :\n]+)")) {
      fs::create_directories(path() + fs::path(file).parent_path().string());
      fs::copy_file(file, path() + file, fs::copy_options::skip_existing);
    }
    fs::create_directory(path() + "/etc");
    fs::create_symlink("/given", path() + "/etc/hosts");
    Put("given", "given\n", 0644);
    // As its owner would have it: what uid 0 inside may write to.
    const uid_t uid = IsRoot() ? 65534 : geteuid();
    for (const auto& entry : fs::recursive_directory_iterator(path())) {
      MUST(lchown, entry.path().c_str(), uid, uid);
    }
  }

  // Its files, and what the one that was given holds.
  std::string State() const {
    std::string state = ReadFile(path() + "/given");
    for (const auto& entry : fs::recursive_directory_iterator(path())) {
      state += entry.path().string() + "\n";
    }
    return state;
  }
};

TEST_P(ContainerTest, RootIsADirectoryThatStaysAsItIs) {
  const Root root;
  const std::string before = root.State();
  ExpectExit(Try({"--rootfs", root.path(), "sh", "-c",
                  "cat /given; echo more >> /given; cat /given; "
                  "echo new > /new; echo /[!lu]*"}),  // Libraries anywhere.
             0,
             "given\ngiven\nmore\n"
             "/bin /dev /etc /given /mnt /new /proc\n");
  EXPECT_EQ(root.State(), before);
  ExpectExit(Try({"--rootfs", root.path(), "ps"}), 127);

  // Without a command it has a shell.
  Terminal terminal(Lesson({"--rootfs", root.path()}));
  EXPECT_EQ(terminal.Talk({{"# ", "cat /given /etc/hostname\n"},
                           {"\ngiven\r\ncontainer_001\r\n", "exit 5\n"}}),
            "exit status 5");
}

// Mounted on, it may not be shown below an overlay in a user namespace.
TEST_P(ContainerTest, RootWithoutAnOverlayIsReadOnly) {
  const Root root;
  const auto mount_on_it = [&] { MountOver(root.path() + "/etc"); };
  const Words words = {"--rootfs", root.path(), "cat", "/given"};
  ExpectExit(Try(words, mount_on_it), 77, "",
             HasSubstr("cause   The new root is read-only"));
  for (const char* missing : {"/dev", "/mnt", "/proc"}) {
    fs::create_directory(root.path() + missing);
  }
  ExpectExit(Try(words, mount_on_it), 0, "given\n", HasSubstr("/, read-only"));
}

// A link could lead one mount behind another, and keep the host's root there.
TEST_P(ContainerTest, RefusesARootWithLinksWhereItMounts) {
  for (const std::string link : {"dev", "mnt", "proc"}) {
    const Root root;
    fs::create_symlink("etc", root.path() + "/" + link);
    ExpectExit(Try({"--rootfs", root.path(), "sh", "-c", "echo out"}), 1, "",
               HasSubstr("open(\"root/" + link + "\""));
  }
}

TEST_P(ContainerTest, RefusesARootThatIsNoDirectory) {
  for (const std::string path : {"", "/nonexistent", "/etc/passwd"}) {
    ExpectExit(Try({"--rootfs", path, "true"}), 2, "",
               HasSubstr(fmt::format("--rootfs: open(\"{}\"", path)));
  }
  ExpectExit(Try({"--rootfs"}), 2);
  ExpectExit(Try({"--shell", "--rootfs", "/usr"}), 2);
}

}  // namespace
}  // namespace steps
