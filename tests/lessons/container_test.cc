#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/refusals.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

class ContainerTest : public LessonTest {
 protected:
  Result Run(const Words& words = {}, const Before& before = {}) const {
    return RunCommand(Lesson(words, before));
  }

  // What the command prints, which must end with this status.
  std::string Inside(const std::vector<std::string>& words, int status = 0) {
    const Result result = Run(words);
    EXPECT_EQ(ExitStatus(result.status), status) << result.errors;
    return result.output;
  }

  std::string InShell(const std::string& script, int status = 0) {
    return Inside({"sh", "-c", script}, status);
  }

  // A shell with job control, on a terminal, to which the container is
  // $lesson.
  Command Script(const std::string& script) const {
    return {.function = [this, script] {
      MUST(dup2, Open(program(), O_RDONLY).get(), 9);
      if (as_nobody() && IsRoot()) BecomeNobody();
      setenv("lesson", "/proc/self/fd/9 --", 1);
      return execlp("sh", "sh", "-mc", script.c_str(), nullptr);
    }};
  }
};

INSTANTIATE_TEST_SUITE_P(Is, ContainerTest,
                         ValuesIn(ForBothUsers({"container"})), LessonName);

bool Holds(const json& run, const std::string& part) {
  for (const json& claim : run["claims"]) {
    if (claim["text"].get<std::string>().find(part) != std::string::npos) {
      return claim["holds"] == true;
    }
  }
  return false;
}

TEST_P(ContainerTest, ShowsItsInitAndItsLink) {
  const json run = RunJson();
  EXPECT_EQ(Found(run), "yes, with another PID");
  EXPECT_THAT(Values(run, "orphan", "parent's PID"), ElementsAre("1"));
  EXPECT_THAT(Values(run, "inside", "seen as"), ElementsAre("192.0.2.2"));
  EXPECT_THAT(Calls(run, "inside"), Contains("kill(2, SIGUSR1) = 0"));
}

TEST_P(ContainerTest, ForksUpToTheLimit) {
  if (as_nobody()) GTEST_SKIP() << "to nobody no cgroup is delegated";
  // With PID 1 and the command they are 20.
  EXPECT_THAT(Values(RunJson(), "command", "children"), ElementsAre("18"));
}

TEST_P(ContainerTest, DoesWithoutAnOverlay) {
  const json run = RunJson([] { MountOver("/usr/share"); });
  EXPECT_THAT(Values(run, "inside", "file in /usr"), ElementsAre("absent"));
  EXPECT_FALSE(Holds(run, "What is written to /usr"));
}

// As container engines mask it. Then no new proc may be mounted.
TEST_P(ContainerTest, DoesWithoutProc) {
  const json run = RunJson([] { MountOver("/proc/tty"); });
  EXPECT_THAT(Calls(run, "inside"),
              Contains(MatchesRegex("mount\\(\"proc\".* = EPERM")));
  EXPECT_TRUE(Holds(run, "all namespaces"));
  const Result command = Run({"true"}, [] { MountOver("/proc/tty"); });
  EXPECT_EQ(DescribeStatus(command.status), "exit status 0");
  EXPECT_THAT(command.errors,
              AllOf(HasSubstr("Left out: mount(\"proc\")"),
                    HasSubstr("/proc is masked"), HasSubstr("To have it: ")));
  ExpectFits80Columns(command.errors);
}

// A kernel that answers each prctl(2) with 0 has a capability of any number.
TEST_P(ContainerTest, EndsWhereEveryPrctlAnswers0) {
  const Result result = Run({}, [] { FilterCalls({{SYS_prctl, 0}}); });
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output, HasSubstr("FAILS "));
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
  EXPECT_FALSE(Holds(run, "limit on its processes"));
  EXPECT_EQ(run["verdict"], "holds");
}

TEST_P(ContainerTest, SaysWhatItCouldNotRemove) {
  if (as_nobody()) GTEST_SKIP() << "to nobody no cgroup is delegated";
#ifdef SYS_rmdir
  static constexpr int kRmdir = SYS_rmdir;
#else
  static constexpr int kRmdir = SYS_unlinkat;
#endif
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{}, {"true"}}) {
    const Result result = Run(command, [] { FilterCalls({{kRmdir, EPERM}}); });
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    const std::regex left("not removed: rmdir\\(([^)]*)\\)");
    std::smatch match;
    std::string errors = result.errors;
    EXPECT_TRUE(std::regex_search(errors, match, left)) << errors;
    for (; std::regex_search(errors, match, left); errors = match.suffix()) {
      rmdir(match.str(1).c_str());
      EXPECT_FALSE(fs::exists(match.str(1)));
    }
  }
}

// The tool.

TEST_P(ContainerTest, EveryNamespaceOfTheCommandIsAnother) {
  for (const Kind& kind : Kinds()) {
    const std::string link = fmt::format("/proc/self/ns/{}", kind.proc_name);
    if (!fs::exists(link)) continue;
    // As root it is in the reader's own user namespace, as under an engine.
    const bool same = kind.flag == CLONE_NEWUSER && !as_nobody() && IsRoot();
    const std::string inside = Inside({"readlink", link});
    EXPECT_EQ(inside == fs::read_symlink(link).string() + "\n", same) << inside;
  }
}

TEST_P(ContainerTest, StdoutAndTheExitStatusAreTheCommands) {
  const Result result = Run({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 3");
  EXPECT_EQ(result.output, "out\n");
  EXPECT_THAT(result.errors, HasSubstr("\nerr\n"));
  ExpectFits80Columns(result.errors);
  InShell("kill -9 $$", 128 + SIGKILL);
  Inside({"/etc/passwd"}, 126);
  Inside({"no_such_command"}, 127);
}

TEST_P(ContainerTest, NamesTheLessonAndTheOptionOfEachPart) {
  const std::string shown = Run({"true"}).errors;
  for (const char* line :
       {"\n  hostname +container_001 +uts +--hostname container_001\n",
        "\n  root +/usr, an overlay +chroot +IMAGE\n",
        "\n  capabilities +14 of [0-9]+ +user +--cap-add, --cap-drop\n",
        "\n  network +eth0 up, lo up +net +--network\n"}) {
    EXPECT_THAT(shown, testing::ContainsRegex(line));
  }
  EXPECT_EQ(shown.find("Left out: ") != std::string::npos, as_nobody());
}

TEST_P(ContainerTest, CommandIsTheChildOfAnInitInItsOwnProc) {
  EXPECT_THAT(Inside({"ps", "-e", "-o", "pid=,ppid=,comm="}),
              MatchesRegex(" +1 +0 container\n +2 +1 ps\n"));
}

TEST_P(ContainerTest, LeavesNoZombie) {
  // The orphan has ended when the other end of its pipe has.
  EXPECT_THAT(InShell("(sleep 0.01 & exec 1>&-); sleep 0.05; "
                      "grep -l 'State:.Z' /proc/[0-9]*/status; true"),
              IsEmpty());
}

TEST_P(ContainerTest, PassesOnASignal) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Terminal terminal(Lesson({"sh", "-c",
                              "trap 'echo got; exit 7' INT TERM; "
                              "echo ready; while :; do read x; done"}));
    terminal.ReadTo("\nready\r\n");
    ASSERT_EQ(kill(terminal.pid(), signal), 0);
    terminal.ReadTo("got\r\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 7");
  }
}

TEST_P(ContainerTest, CtrlCIsForTheCommandOnce) {
  Terminal terminal(Lesson({"sh", "-c",
                            "n=0; trap 'n=$((n+1))' INT; echo ready; "
                            "read x; sleep 0.1; echo $n times; exit 9"}));
  terminal.ReadTo("\nready\r\n");
  terminal.Type("\x03");
  terminal.Type("\n");
  terminal.ReadTo("\n1 times\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 9");
}

TEST_P(ContainerTest, CtrlCIsNotLostWhileTheContainerIsMade) {
  for (int i = 0; i < 20; ++i) {
    Terminal terminal(Lesson({"sleep", "1000"}));
    terminal.ReadTo("all of it together");
    usleep(i * 3000);  // One of the moments at which it is made.
    terminal.Type("\x03");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 130");
  }
}

TEST_P(ContainerTest, SignalToItsOwnGroupStaysInside) {
  const Result result = RunCommand({.function = [&] {
    setsid();
    const Result inside = Run({"sh", "-c", "kill -9 0"});
    return ExitStatus(inside.status) == 128 + SIGKILL ? 3 : 4;
  }});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 3");
}

TEST_P(ContainerTest, LeavesTheTerminalToThePipelineThatItIsIn) {
  Terminal terminal(
      Script("$lesson echo piped 2>&- | cat; "
             "read x; echo \"$x\""));
  terminal.ReadTo("piped\r\n");
  terminal.Type("typed\n");
  terminal.ReadTo("\ntyped\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST_P(ContainerTest, HasATerminalOfItsOwn) {
  Terminal terminal(Lesson({"sh", "-c",
                            "tty; tty </dev/console; tty </dev/stderr; "
                            "stty size; ls /dev/pts"}));
  terminal.ReadTo(
      "\n/dev/pts/0\r\n/dev/console\r\n/dev/pts/0\r\n24 80\r\n"
      "0  ptmx\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  EXPECT_EQ(InShell("tty; test -e /dev/console", 1), "not a tty\n");
}

TEST_P(ContainerTest, LeavesAFileInThePlaceOfStderr) {
  Terminal terminal(
      Script("$lesson sh -c 'tty; echo error >&2' 2>&1 >/dev/tty | grep rror"));
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
  // The two reach the reader's terminal by different ways, in any order.
  EXPECT_THAT(terminal.screen(),
              AllOf(HasSubstr("/dev/pts/0\r\n"), HasSubstr("error")));
}

TEST_P(ContainerTest, ShellHasJobControl) {
  Terminal terminal(Lesson({"bash", "--norc"}));
  EXPECT_EQ(terminal.ReadTo("# ").find("job control"), std::string::npos);
  terminal.Type("sh -c 'echo begun; read x; echo $x; read x'\n");
  terminal.ReadTo("\nbegun\r\n");
  terminal.Type("\x1a");
  terminal.ReadTo("Stopped");
  terminal.Type("fg\n");
  terminal.ReadTo("\nsh -c");
  terminal.Type("once\n");
  terminal.ReadTo("once\r\nonce\r\n");
  terminal.Type("\x03");
  terminal.ReadTo("# ");
  terminal.Type("exit 5\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 5");
}

// The reader's terminal, on which that program is.
Descriptor OpenTerminalOf(const Terminal& terminal) {
  return Open(fmt::format("/proc/{}/fd/0", terminal.pid()), O_RDWR | O_NOCTTY);
}

TEST_P(ContainerTest, TerminalHasTheSizeOfTheReaders) {
  Terminal terminal(Lesson({"sh", "-c",
                            "trap 'stty size; exit 0' WINCH; echo ready; "
                            "while :; do read x; done"}));
  terminal.ReadTo("\nready\r\n");
  const winsize size = {
      .ws_row = 50, .ws_col = 132, .ws_xpixel = 0, .ws_ypixel = 0};
  MUST(ioctl, OpenTerminalOf(terminal).get(), TIOCSWINSZ, &size);
  terminal.ReadTo("50 132\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST_P(ContainerTest, AllThatIsTypedAndShownPasses) {
  Terminal terminal(Lesson({"sh", "-c",
                            "stty raw -echo; echo ready; seq 20000; "
                            "head -c 20000 | wc -c"}));
  terminal.ReadTo("\nready\n");
  terminal.Type(std::string(20000, 'x'));
  terminal.ReadTo("\n19999\n20000\n20000\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

// The lesson's process, in which the signal is sent to its group where `group`.
struct End {
  const char* description;
  const char* keys;
  int signal = 0;
  bool group = false;
};

TEST_P(ContainerTest, TerminalOfTheReaderIsRestored) {
  for (const End& end : std::vector<End>{{"it ends", "\n"},
                                         {"Ctrl-C", "\x03"},
                                         {"SIGTERM", "", SIGTERM},
                                         {"SIGKILL", "", SIGKILL},
                                         {"all", "", SIGKILL, true}}) {
    Terminal terminal(
        Script("before=$(stty -g); "
               "$lesson sh -c 'echo ready; read x'; "
               "until test $(stty -g) = $before; do :; done; echo restored"));
    terminal.ReadTo("\nready\r\n");
    const std::vector<pid_t> lesson = ChildrenOf(terminal.pid());
    ASSERT_EQ(lesson.size(), 1U);
    termios raw = {};
    MUST(tcgetattr, OpenTerminalOf(terminal).get(), &raw);
    EXPECT_EQ(raw.c_lflag & (ICANON | ECHO | ISIG), 0U);
    if (end.signal != 0) kill(end.group ? -lesson[0] : lesson[0], end.signal);
    terminal.Type(end.keys);
    terminal.ReadTo("restored\r\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0")
        << end.description;
    EXPECT_THAT(Survivors(), IsEmpty()) << end.description;
  }
}

TEST_P(ContainerTest, StopsAndGoesOnAsAJobOfTheReaders) {
  Terminal terminal(
      Script("$lesson sh -c 'echo ready; read x; echo $x'; "
             "echo stopped; fg; echo ended"));
  terminal.ReadTo("\nready\r\n");
  kill(ChildrenOf(terminal.pid()).at(0), SIGSTOP);
  terminal.ReadTo("stopped");
  terminal.Type("typed\n");
  terminal.ReadTo("\ntyped\r\nended\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST_P(ContainerTest, EndsWithTheReadersTerminal) {
  std::optional<Terminal> terminal;
  terminal.emplace(Lesson({"sh", "-c", "echo ready; sleep 1000"}));
  terminal->ReadTo("\nready\r\n");
  terminal.reset();
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_P(ContainerTest, CtrlZStopsNothing) {
  Terminal terminal(Lesson({"sh", "-c", "echo ready; read x; echo $x"}));
  terminal.ReadTo("\nready\r\n");
  terminal.Type("\x1a");
  terminal.Type("on\n");
  terminal.ReadTo("\non\r\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
}

TEST_P(ContainerTest, EndsWithWhoeverRunsIt) {
  Terminal terminal(Lesson({"sh", "-c", "echo ready; sleep 1000"}));
  terminal.ReadTo("\nready\r\n");
  ASSERT_EQ(kill(terminal.pid(), SIGKILL), 0);
  EXPECT_EQ(DescribeStatus(terminal.Await()), "killed by SIGKILL");
  EXPECT_THAT(Survivors(), IsEmpty());
}

TEST_P(ContainerTest, WhatIsWrittenInsideIsGoneAfterwards) {
  EXPECT_EQ(InShell("echo text > /usr/from_container && cat "
                    "/usr/from_container; echo > /tmp/from_container; "
                    "echo > /etc/from_container; ls /tmp"),
            "text\nfrom_container\n");
  for (const std::string folder : {"/usr", "/tmp", "/etc"}) {
    EXPECT_FALSE(fs::exists(folder + "/from_container"));
  }
  InShell("test -e /usr/from_container", 1);
}

TEST_P(ContainerTest, HasTheCapabilitiesThatEnginesLeave) {
  const std::string status = Inside({"cat", "/proc/self/status"});
  for (const char* line :
       {"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapInh:\t0000000000000000\n",
        "CapPrm:\t00000000a80425fb\n", "CapEff:\t00000000a80425fb\n",
        "CapBnd:\t00000000a80425fb\n", "CapAmb:\t0000000000000000\n"}) {
    EXPECT_THAT(status, HasSubstr(line));
  }
}

// A way out, as a command that succeeds where it is open.
struct Escape {
  std::string command;
  const char* stopped_by;
};

// A system call that succeeds. perl(1) is in every Debian.
std::string Succeeds(long call, const std::string& arguments) {
  return fmt::format("perl -e 'exit(syscall({}, {}) == -1)'", call, arguments);
}

std::vector<Escape> Escapes() {
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
  const Result tools =
      Run({"sh", "-c",
           "for tool in hostname ip nsenter perl unshare; do command -v $tool "
           "|| exit 1; done"});
  if (tools.status != 0) GTEST_SKIP() << "a tool is not installed";
  const std::vector<Escape> escapes = Escapes();
  std::string script;
  for (std::size_t i = 0; i < escapes.size(); ++i) {
    script += fmt::format("if {{ {}; }} >/dev/null 2>&1; then echo {}; fi\n",
                          escapes[i].command, i);
  }
  std::istringstream open(InShell(script));
  for (std::size_t i = 0; open >> i;) {
    ADD_FAILURE() << escapes[i].command << ": not stopped by "
                  << escapes[i].stopped_by;
  }
}

TEST_P(ContainerTest, CommandGetsNoDescriptorAndNoVariableOfTheReader) {
  const auto leave_open = [] {
    Check(dup2(STDIN_FILENO, 77), "dup2()");
    setenv("SECRET", "told", 1);
  };
  const Result result = Run(
      {"sh", "-c", "ls /proc/self/fd; echo ${SECRET-no} $HOME"}, leave_open);
  EXPECT_EQ(result.output, "0\n1\n2\n3\nno /root\n");
}

TEST_P(ContainerTest, MemoryIsLimited) {
  if (as_nobody()) GTEST_SKIP() << "to nobody no cgroup is delegated";
  EXPECT_EQ(InShell("head -c 512M /dev/zero | tail > /dev/null; echo $?"),
            "137\n");
}

TEST_P(ContainerTest, LinkLeadsToTheGatewayAndNoFurther) {
  EXPECT_EQ(Inside({"bash", "-c", "cat < /dev/tcp/192.0.2.1/8080"}),
            "192.0.2.2\n");
  Inside({"bash", "-c", ": < /dev/tcp/198.51.100.1/80"}, 1);
}

// A folder with a shell, and nothing else.
class RootFolder {
 public:
  RootFolder() {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    fs::permissions(path_, fs::perms(0755));
    const std::string libraries = RunTool({"ldd", "/bin/sh"});
    Copy("/bin/sh");
    Copy("/bin/cat");
    const std::regex file("/[^ ]+");
    for (auto match =
             std::sregex_iterator(libraries.begin(), libraries.end(), file);
         match != std::sregex_iterator(); ++match) {
      Copy(match->str());
    }
    fs::create_directory(path_ + "/etc");
    fs::create_symlink("/given", path_ + "/etc/hosts");
    const Descriptor given = Open(path_ + "/given", O_WRONLY | O_CREAT, 0644);
    WriteAll(given.get(), "given\n");
    // As its owner would have it: what uid 0 inside may write to.
    const uid_t uid = IsRoot() ? 65534 : geteuid();
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      Check(lchown(entry.path().c_str(), uid, uid), "lchown()");
    }
  }
  ~RootFolder() { fs::remove_all(path_); }

  const std::string& path() const { return path_; }

  // Its files, and what the one that was given holds.
  std::string State() const {
    std::string state = ReadFile(path_ + "/given");
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      state += entry.path().string() + "\n";
    }
    return state;
  }

 private:
  void Copy(const std::string& file) const {
    fs::create_directories(path_ + fs::path(file).parent_path().string());
    fs::copy_file(file, path_ + file, fs::copy_options::skip_existing);
  }

  std::string path_ = "/tmp/container_test.XXXXXX";
};

TEST_P(ContainerTest, RootIsAFolderThatStaysAsItIs) {
  const RootFolder folder;
  const std::string before = folder.State();
  EXPECT_EQ(Inside({"--rootfs", folder.path(), "sh", "-c",
                    "cat /given; echo more >> /given; cat /given; "
                    "echo new > /new; echo /[!lu]*"}),  // Libraries anywhere.
            "given\ngiven\nmore\n"
            "/bin /dev /etc /given /mnt /new /proc\n");
  EXPECT_EQ(folder.State(), before);
  Inside({"--rootfs", folder.path(), "ps"}, 127);
}

// Mounted on, it may not be shown below an overlay in a user namespace.
TEST_P(ContainerTest, RootWithoutAnOverlayIsReadOnly) {
  const RootFolder folder;
  const auto mount_on_it = [&] { MountOver(folder.path() + "/etc"); };
  const std::vector<std::string> arguments = {"--rootfs", folder.path(), "cat",
                                              "/given"};
  const Result refused = Run(arguments, mount_on_it);
  EXPECT_EQ(DescribeStatus(refused.status), "exit status 77");
  EXPECT_THAT(refused.errors, HasSubstr("cause   The new root is read-only"));
  for (const char* missing : {"/dev", "/mnt", "/proc"}) {
    fs::create_directory(folder.path() + missing);
  }
  const Result result = Run(arguments, mount_on_it);
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  EXPECT_EQ(result.output, "given\n");
  EXPECT_THAT(result.errors, HasSubstr("/, read-only"));
}

TEST_P(ContainerTest, WithoutACommandTheFolderHasAShell) {
  const RootFolder folder;
  Terminal terminal(Lesson({"--rootfs", folder.path()}));
  terminal.ReadTo("# ");
  terminal.Type("cat /given /etc/hostname\n");
  terminal.ReadTo("\ngiven\r\ncontainer_001\r\n");
  terminal.Type("exit 5\n");
  EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 5");
}

// A link could lead one mount behind another, and keep the host's root there.
TEST_P(ContainerTest, RefusesARootWithLinksWhereItMounts) {
  const std::vector<std::string> names = {"dev", "mnt", "proc"};
  for (const std::string& link : names) {
    for (const std::string& target : names) {
      if (link == target) continue;
      const RootFolder folder;
      fs::create_directory(folder.path() + "/" + target);
      fs::create_symlink(target, folder.path() + "/" + link);
      const Result result =
          Run({"--rootfs", folder.path(), "sh", "-c", "echo out"});
      EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
      EXPECT_THAT(result.output, IsEmpty());
      EXPECT_THAT(result.errors, HasSubstr("open(\"root/" + link + "\""));
    }
  }
}

TEST_P(ContainerTest, RefusesARootThatIsNoFolder) {
  for (const std::string path : {"", "/nonexistent", "/etc/passwd"}) {
    const Result result = Run({"--rootfs", path, "true"});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2");
    EXPECT_THAT(result.errors,
                HasSubstr(fmt::format("--rootfs: open(\"{}\"", path)));
  }
  EXPECT_EQ(DescribeStatus(Run({"--rootfs"}).status), "exit status 2");
  EXPECT_EQ(DescribeStatus(Run({"--shell", "--rootfs", "/usr"}).status),
            "exit status 2");
}

}  // namespace
}  // namespace steps
