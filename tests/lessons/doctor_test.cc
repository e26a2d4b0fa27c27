// What the doctor says of a machine that refuses something is true, and is what
// a lesson says there.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/process.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/lesson_folder.h"
#include "tests/support/lesson_run.h"
#include "tests/support/lessons.h"
#include "tests/support/podman.h"
#include "tests/support/program.h"
#include "tests/support/seccomp.h"
#include "tests/support/terminal.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Before = std::function<void()>;

void Nothing() {}

#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

std::string OnOneLine(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += word + " ";
  return line;
}

void ExpectSaidOnce(const std::string& screen, const std::string& words) {
  ExpectFits80Columns(screen);
  const std::string line = OnOneLine(screen);
  EXPECT_THAT(line, HasSubstr(words));
  EXPECT_EQ(line.find(words), line.rfind(words)) << screen;
}

json Find(const json& list, const std::string& member,
          const std::string& value) {
  for (const json& entry : list) {
    if (entry[member] == value) return entry;
  }
  ADD_FAILURE() << "no " << value << " in " << list.dump(2);
  return {{"result", ""}, {"exit_status", -1}};
}

json Operation(const json& doctor, const std::string& name) {
  return Find(doctor["operations"], "operation", name);
}

json Lesson(const json& doctor, const std::string& name) {
  return Find(doctor["lessons"], "lesson", name);
}

// The operations that had this result, but for the one that is refused to any
// user to whom no cgroup is delegated.
std::vector<std::string> With(const json& doctor, const std::string& result) {
  std::vector<std::string> names;
  for (const json& each : doctor["operations"]) {
    if (each["operation"] == "a cgroup made") continue;
    if (each["result"] == result) names.push_back(each["operation"]);
  }
  return names;
}

class DoctorTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!as_nobody() && !IsRoot()) GTEST_SKIP() << "only root can be root";
  }

  static bool as_nobody() { return GetParam(); }

  Command Program(const std::string& name,
                  const std::vector<std::string>& arguments,
                  const Before& before) const {
    return {.program = folder_.Program(name),
            .arguments = arguments,
            .as_nobody = as_nobody(),
            .before = before};
  }

  Result Doctor(const std::vector<std::string>& arguments = {},
                const Before& before = Nothing) const {
    return RunCommand(Program("doctor", arguments, before));
  }

  // Its document, which must end with this status and fit its schema.
  json DoctorJson(int exit_status, const Before& before = Nothing) const {
    return Parse(Doctor({"--json"}, before), exit_status);
  }

  static json Parse(const Result& result, int exit_status) {
    EXPECT_EQ(DescribeStatus(result.status),
              fmt::format("exit status {}", exit_status))
        << result.errors << result.output;
    EXPECT_THAT(result.errors, IsEmpty());
    json document = json::parse(result.output);
    EXPECT_EQ(SchemaErrors(document, "doctor.schema.json"), "");
    EXPECT_EQ(document["exit_status"], exit_status);
    return document;
  }

  json LessonJson(const std::string& lesson, const Before& before) const {
    return json::parse(RunCommand(Program(lesson, {"--json"}, before)).output);
  }

  // Where `before` has the machine refuse something, `operation` is refused for
  // a cause with these words. The `lesson` cannot run, and names the same cause
  // and the same remedy; both stand on the screen once.
  void ExpectCause(const std::string& words, const std::string& operation,
                   const std::string& lesson, const Before& before) const {
    const json doctor = DoctorJson(77, before);
    const json tried = Operation(doctor, operation);
    EXPECT_EQ(tried["result"], "refused");
    EXPECT_THAT(tried.value("cause", ""), HasSubstr(words));
    const json alone = LessonJson(lesson, before);
    EXPECT_EQ(alone["verdict"], "cannot run");
    for (const json& said : {Lesson(doctor, lesson), alone}) {
      EXPECT_EQ(said["exit_status"], 77) << said;
      EXPECT_EQ(said["cause"], tried["cause"]);
      EXPECT_EQ(said["remedy"], tried["remedy"]);
    }
    const std::string screen = Doctor({}, before).output;
    ExpectSaidOnce(screen, tried.value("cause", ""));
    EXPECT_THAT(OnOneLine(screen), HasSubstr(tried.value("remedy", "?")));
  }

  const LessonFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(As, DoctorTest, testing::Bool(), UserName);

// As after an exec of an ordinary user's, who is uid 0 in a user namespace.
void GiveUpCapabilities() {
  Check(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), "prctl(SECBIT_NOROOT)");
}

void SetToZero(const Kind& kind) {
  const std::string limit =
      fmt::format("/proc/sys/user/max_{}_namespaces", kind.proc_name);
  WriteAll(Open(limit, O_WRONLY).get(), "0");
}

std::string WordsOfLimit(const Kind& kind) {
  return fmt::format("user.max_{}_namespaces is 0", kind.proc_name);
}

std::string NewNamespace(const Kind& kind) {
  return fmt::format("a new {} namespace", kind.name);
}

TEST_P(DoctorTest, FindsThatEverythingWorksHere) {
  const json doctor = DoctorJson(0);
  for (const char* result : {"refused", "failed", "not tried"}) {
    EXPECT_THAT(With(doctor, result), IsEmpty());
  }
  EXPECT_EQ(doctor["privilege"], as_nobody() ? "user namespace" : "root");
  EXPECT_EQ(doctor["uid"], as_nobody() && IsRoot() ? 65534U : geteuid());
  std::set<std::string> lessons;
  for (const json& each : doctor["lessons"]) {
    lessons.insert(each["lesson"]);
    EXPECT_EQ(each["exit_status"], 0);
    // Without delegation a user may make no cgroup.
    if (as_nobody() &&
        (each["lesson"] == "cgroup" || each["lesson"] == "container")) {
      continue;
    }
    EXPECT_EQ(each["skipped"], json::array());
    EXPECT_THAT(each["summary"].get<std::string>(),
                testing::MatchesRegex("([0-9]+) of [0-9]+"));
  }
  EXPECT_EQ(lessons, LessonNames());
}

TEST_P(DoctorTest, SaysSoOnAScreenOf80Columns) {
  const json document = DoctorJson(0);
  const Result result = Doctor();
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  ExpectFits80Columns(result.output);
  for (const std::string& operation : With(document, "works")) {
    EXPECT_THAT(result.output,
                HasSubstr(fmt::format("\n     works    {}\n", operation)));
  }
  bool skipped = false;
  for (const json& each : document["lessons"]) {
    EXPECT_THAT(result.output,
                ContainsRegex(fmt::format("\n     runs     {} +{}",
                                          each["lesson"].get<std::string>(),
                                          each["summary"].get<std::string>())));
    if (!each["skipped"].empty()) skipped = true;
  }
  EXPECT_THAT(result.output,
              testing::EndsWith(fmt::format(
                  "\n\n{0} of {0} lessons run here.\n", LessonNames().size())));
  EXPECT_EQ(result.output.find("cause") != std::string::npos, skipped);
}

TEST_P(DoctorTest, KnowsEveryToolThatALessonShows) {
  std::set<std::string> shown;
  for (const std::string& lesson : LessonNames()) {
    const json run = LessonJson(lesson, Nothing);
    for (const json& each : run["evidence"]) {
      const std::string source = each["source"];
      if (!source.starts_with("$ ")) continue;
      shown.insert(source.substr(2, source.find(' ', 2) - 2));
    }
  }
  std::set<std::string> known;
  const json doctor = DoctorJson(0);
  for (const json& tool : doctor["tools"]) known.insert(tool["name"]);
  EXPECT_EQ(known, shown);
}

TEST_P(DoctorTest, NamesThePackageOfAMissingTool) {
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  const json doctor = DoctorJson(0, hide);
  for (const json& tool : doctor["tools"]) {
    EXPECT_EQ(tool["found"], false);
  }
  EXPECT_THAT(Doctor({}, hide).output,
              HasSubstr("\n     missing  ps: in Debian's package procps\n"));
  EXPECT_THAT(Doctor().output, HasSubstr("\n     found    ps\n"));
}

TEST_P(DoctorTest, NamesALimitThatIsZero) {
  const std::vector<std::pair<int, std::string>> lessons = {
      {CLONE_NEWUTS, "uts"},
      {CLONE_NEWIPC, "ipc"},
      {CLONE_NEWPID, "pid"},
      {CLONE_NEWNS, "mount"}};
  for (const auto& [flag, lesson] : lessons) {
    const Kind& kind = KindOf(flag);
    ExpectCause(WordsOfLimit(kind), NewNamespace(kind), lesson, [&kind] {
      EnterUserNamespaceAsRoot();
      SetToZero(kind);
    });
  }
}

// Without these kinds the lesson clone still runs, but for some claims.
TEST_P(DoctorTest, NamesSeveralLimitsThatAreZero) {
  std::vector<Kind> kinds;
  for (const int flag :
       {CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWTIME}) {
    kinds.push_back(KindOf(flag));
  }
  const auto forbid = [&kinds] {
    EnterUserNamespaceAsRoot();
    std::ranges::for_each(kinds, SetToZero);
  };
  const json doctor = DoctorJson(77, forbid);
  const std::string screen = Doctor({}, forbid).output;
  for (const Kind& kind : kinds) {
    EXPECT_THAT(Lesson(doctor, std::string(kind.name)).value("cause", ""),
                HasSubstr(WordsOfLimit(kind)));
    const json refused = Operation(doctor, NewNamespace(kind));
    EXPECT_EQ(refused["errno"], "ENOSPC");
    EXPECT_THAT(refused.value("cause", ""), HasSubstr(WordsOfLimit(kind)));
    ExpectSaidOnce(screen, WordsOfLimit(kind));
  }
  EXPECT_THAT(Lesson(doctor, "clone")["skipped"].dump(),
              HasSubstr(WordsOfLimit(KindOf(CLONE_NEWTIME))));
  EXPECT_EQ(LessonJson("clone", forbid)["verdict"], "holds");
}

TEST_P(DoctorTest, DoesNotTryWhatAnOrdinaryUserCannotBegin) {
  const auto forbid = [] {
    ForbidUserNamespaces();
    GiveUpCapabilities();
  };
  const json doctor = DoctorJson(77, forbid);
  EXPECT_EQ(doctor["privilege"], "none");
  EXPECT_THAT(With(doctor, "refused"), ElementsAre("root in a user namespace"));
  EXPECT_THAT(With(doctor, "works"),
              ElementsAre("/proc of this PID namespace"));
  for (const json& each : doctor["operations"]) {
    if (each["result"] == "not tried") {
      EXPECT_EQ(each["needs"], "root in a user namespace");
    }
  }
  for (const json& each : doctor["lessons"]) {
    EXPECT_EQ(each["exit_status"], 77);
  }
  ExpectCause("user.max_user_namespaces is 0", "root in a user namespace",
              "uts", forbid);
  EXPECT_THAT(
      OnOneLine(Doctor({}, forbid).output),
      AllOf(HasSubstr("skipped not tried without root in a user namespace: a "
                      "new mount namespace, a new uts namespace, "),
            HasSubstr(fmt::format(" 0 of {} lessons run here. ",
                                  LessonNames().size()))));
}

TEST_P(DoctorTest, DoesNotTryWhatARefusedOperationIsNeededFor) {
  const json doctor = DoctorJson(77, [] {
    EnterUserNamespaceAsRoot();
    SetToZero(KindOf(CLONE_NEWNS));
  });
  EXPECT_EQ(Operation(doctor, "mounts made private")["needs"],
            "a new mount namespace");
  EXPECT_EQ(Operation(doctor, "a tmpfs mounted")["needs"],
            "mounts made private");
  EXPECT_EQ(Operation(doctor, "pivot_root(2)")["needs"], "a tmpfs mounted");
  EXPECT_EQ(Operation(doctor, "setns(2) with a link")["result"], "works");
}

TEST_P(DoctorTest, NamesTheFilterOfDocker) {
  const std::string operation =
      as_nobody() ? "root in a user namespace" : "a new uts namespace";
  ExpectCause("A seccomp filter refuses it", operation, "uts", FilterAsDocker);
  const json doctor = DoctorJson(77, FilterAsDocker);
  if (as_nobody()) return;
  EXPECT_EQ(Operation(doctor, "clone3(2)")["errno"], "ENOSYS");
  EXPECT_THAT(With(doctor, "works"),
              ElementsAre("/proc of this PID namespace", "chroot(2)"));
  EXPECT_THAT(With(doctor, "failed"), IsEmpty());
}

TEST_P(DoctorTest, NamesACgroupThatIsNotDelegated) {
  const json doctor = DoctorJson(0);
  const json made = Operation(doctor, "a cgroup made");
  EXPECT_EQ(made["result"] == "refused",
            !Lesson(doctor, "cgroup")["skipped"].empty());
  if (made["result"] == "works") GTEST_SKIP() << "one may be made here";
  EXPECT_THAT(made.value("cause", ""), HasSubstr("No cgroup is delegated"));
  EXPECT_THAT(Lesson(doctor, "cgroup")["skipped"].dump(),
              HasSubstr(made.value("cause", "?")));
  const std::string screen = Doctor().output;
  ExpectSaidOnce(screen, "No cgroup is delegated");
  EXPECT_THAT(screen, HasSubstr(" 1 skipped: cause 1\n"));
}

// What podman's default does in a user namespace.
TEST_P(DoctorTest, NamesAFilterThatRefusesANewName) {
  for (const char* lesson : {"uts", "inspect"}) {
    ExpectCause("A seccomp filter refuses it", "sethostname(2) inside", lesson,
                [] {
                  FilterCalls({{SYS_sethostname, EPERM}});
                });
  }
}

// One by one, after everything that each of them needs.
TEST_P(DoctorTest, NamesAFilterThatRefusesOneCall) {
  const std::vector<std::pair<int, std::string>> calls = {
      {SYS_clone3, "clone3(2)"},
      {SYS_pivot_root, "pivot_root(2)"},
      {SYS_umount2, "pivot_root(2)"},
      {SYS_mount, "mounts made private"},
      {SYS_pidfd_open, "setns(2) with a pidfd"}};
  for (const auto& [call, operation] : calls) {
    SCOPED_TRACE(operation);
    const int error =
        call == SYS_clone3 || call == SYS_pidfd_open ? ENOSYS : EPERM;
    const json doctor = json::parse(Doctor({"--json"}, [=, call = call] {
                                      FilterCalls({{call, error}});
                                    }).output);
    EXPECT_THAT(With(doctor, "refused"), ElementsAre(operation));
    EXPECT_THAT(Operation(doctor, operation).value("cause", ""),
                HasSubstr("seccomp"));
    EXPECT_THAT(With(doctor, "failed"), IsEmpty());
  }
}

// As in a container of Docker's with no capability more than CAP_SYS_ADMIN.
TEST_P(DoctorTest, NamesACapabilityThatRootLacks) {
  if (as_nobody()) GTEST_SKIP() << "root in a user namespace has it";
  const auto drop = [] {
    for (const unsigned long capability : {CAP_NET_ADMIN, CAP_SYS_TIME}) {
      Check(prctl(PR_CAPBSET_DROP, capability), "prctl(PR_CAPBSET_DROP)");
    }
  };
  ExpectCause("It takes CAP_NET_ADMIN as well", "lo brought up", "net", drop);
  ExpectCause("It takes CAP_SYS_TIME as well", "clocks put ahead", "time",
              drop);
  EXPECT_THAT(
      With(DoctorJson(77, drop), "refused"),
      ElementsAre("lo brought up", "a veth pair made", "clocks put ahead"));
}

TEST_P(DoctorTest, NamesAMaskedProc) {
  const auto mask = [] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
    Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(MS_PRIVATE)");
    Check(mount("none", "/proc/tty", "tmpfs", 0, nullptr), "mount()");
    EnterUserNamespaceAsRoot();
  };
  const json doctor = DoctorJson(0, mask);
  EXPECT_THAT(With(doctor, "refused"), ElementsAre("a new proc mounted"));
  const json refused = Operation(doctor, "a new proc mounted");
  EXPECT_THAT(refused.value("cause", ""), HasSubstr("/proc is masked"));
  const json skipped = Lesson(doctor, "mount")["skipped"];
  ASSERT_EQ(skipped.size(), 1U);
  EXPECT_EQ(skipped[0]["reason"],
            fmt::format("{}. {}", refused["error"].get<std::string>(),
                        refused["cause"].get<std::string>()));
  const json alone = LessonJson("mount", mask);
  EXPECT_THAT(alone["claims"].dump(), HasSubstr(skipped[0]["reason"].dump()));
  const std::string screen = Doctor({}, mask).output;
  ExpectSaidOnce(screen, "/proc is masked");
  EXPECT_THAT(screen,
              ContainsRegex("\n     runs     mount +[0-9]+ of [0-9]+, 1 "
                            "skipped: cause 1\n"));
}

TEST_P(DoctorTest, NamesTheProcOfAnotherPidNamespace) {
  // The process that is cloned becomes the program, with its parent's /proc.
  const auto run = [this](const std::string& name) {
    const Descriptor program = Open(folder_.Program(name), O_RDONLY);
    return RunCommand({.function = [&] {
      if (as_nobody() && IsRoot()) BecomeNobody();
      const Ids ids = Ids::OfCaller();
      Child child([&](Line&) {
        MapToRoot(ids);
        const std::vector<std::string> argv = {name, "--json"};
        fexecve(program.get(), ExecArguments(argv).data(), environ);
      });
      const int flags = CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD;
      child.Started(clone(Child::Main, child.stack_top(), flags, &child));
      return ExitStatus(child.Wait());
    }});
  };
  const json doctor = Parse(run("doctor"), 77);
  const json refused = Operation(doctor, "/proc of this PID namespace");
  EXPECT_THAT(refused.value("cause", ""), HasSubstr("another PID namespace"));
  EXPECT_EQ(Operation(doctor, "setns(2) with a link")["needs"],
            "/proc of this PID namespace");
  const json alone = json::parse(run("uts").output);
  for (const json& said : {Lesson(doctor, "uts"), alone}) {
    EXPECT_EQ(said["exit_status"], 77);
    for (const char* member : {"error", "cause", "remedy"}) {
      EXPECT_EQ(said[member], refused[member]) << member;
    }
  }
}

// A root folder that is no mount point, with all that programs need in it.
void EnterChroot(bool with_proc) {
  EnterUserNamespaceAsRoot();
  Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
  Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
        "mount(MS_PRIVATE)");
  const std::string root = "/mnt/root";
  Check(mount("none", "/mnt", "tmpfs", 0, nullptr), "mount(\"/mnt\")");
  for (const auto& entry : fs::directory_iterator("/")) {
    const std::string from = entry.path();
    const std::string to = root + from;
    if (from == "/mnt" || (from == "/proc" && !with_proc)) continue;
    if (entry.is_symlink()) {
      fs::copy_symlink(from, to);
    } else if (entry.is_directory()) {
      fs::create_directories(to);
      Check(mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr),
            "mount(\"{}\", MS_BIND)", from);
    }
  }
  fs::create_directories(root + "/mnt");
  Check(chroot(root.c_str()), "chroot(\"{}\")", root);
  Check(chdir("/"), "chdir(\"/\")");
}

TEST_P(DoctorTest, NamesAChroot) {
  ExpectCause("The root folder is no mount point", "mounts made private",
              "chroot", [] { EnterChroot(true); });
  ExpectCause("Inside a chroot no user namespace may be made",
              "root in a user namespace", "uts", [] {
                EnterChroot(true);
                GiveUpCapabilities();
              });
}

TEST_P(DoctorTest, NamesAProcThatIsNotMounted) {
  if (kSanitized) GTEST_SKIP() << "AddressSanitizer itself needs it";
  const auto enter = [] { EnterChroot(false); };
  ExpectCause("/proc is not mounted", "/proc of this PID namespace", "uts",
              enter);
  const json doctor = DoctorJson(77, enter);
  for (const json& each : doctor["lessons"]) {
    EXPECT_EQ(each["exit_status"], 77);
  }
}

TEST_P(DoctorTest, NamesALimitOfProcesses) {
  if (kSanitized) GTEST_SKIP() << "the leak checker is one more";
  if (!as_nobody()) GTEST_SKIP() << "for root there is none";
  ExpectCause("No more processes may be made", "root in a user namespace",
              "uts", [] {
                const rlimit none = {0, 0};
                Check(setrlimit(RLIMIT_NPROC, &none), "setrlimit()");
              });
}

TEST_P(DoctorTest, FailsWhereALessonDoes) {
  folder_.FakeAll("exit 77\n");
  folder_.Fake("pid", "echo wrong; echo worse >&2; kill -SEGV $$\n");
  folder_.Remove("mount");
  const json doctor = DoctorJson(1);
  EXPECT_EQ(Lesson(doctor, "pid")["exit_status"], 139);
  EXPECT_EQ(Lesson(doctor, "mount")["exit_status"], 1);
  EXPECT_THAT(Lesson(doctor, "mount").value("error", ""),
              HasSubstr("/mount\"): No such file"));
  const Result result = Doctor();
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("\n     FAILS    pid       failed with 139\n"),
                    HasSubstr("\n     FAILS    mount     failed with 1: execv"),
                    Not(HasSubstr("wrong"))));
  EXPECT_THAT(result.errors, IsEmpty()) << "nothing of a lesson's is shown";
}

TEST_P(DoctorTest, HasColorOnATerminalOnly) {
  folder_.FakeAll("exit 77\n");
  const auto screen = [this](const char* variable, const char* value) {
    Terminal terminal(
        Program("doctor", {}, [=] { setenv(variable, value, 1); }));
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 77");
    return terminal.screen();
  };
  EXPECT_THAT(screen("TERM", "xterm"),
              AllOf(HasSubstr("\x1b[32mworks"), HasSubstr("\x1b[1;31mref")));
  EXPECT_THAT(screen("NO_COLOR", "1"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(Doctor().output, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Doctor({"--color=always"}).output, HasSubstr("\x1b["));
}

TEST_P(DoctorTest, RefusesWrongUsage) {
  for (const char* wrong : {"uts", "--nonsense", "--color=blue"}) {
    const Result result = Doctor({wrong});
    EXPECT_EQ(DescribeStatus(result.status), "exit status 2") << wrong;
    EXPECT_THAT(result.output, IsEmpty());
    EXPECT_THAT(result.errors,
                HasSubstr("bazel run //lessons:doctor -- --help"));
  }
}

TEST_P(DoctorTest, HelpsWithinEightyColumns) {
  const Result result = Doctor({"--help"});
  EXPECT_EQ(DescribeStatus(result.status), "exit status 0");
  EXPECT_THAT(result.output, HasSubstr("bazel run //lessons:doctor"));
  ExpectFits80Columns(result.output);
  EXPECT_THAT(Doctor({"--version"}).output, StartsWith("doctor "));
}

TEST_P(DoctorTest, FailsOnAFullDisk) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--json"}}) {
    const Result result = Doctor(arguments, [] {
      Check(dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO), "dup2()");
    });
    EXPECT_EQ(DescribeStatus(result.status), "exit status 1");
    EXPECT_THAT(result.errors, HasSubstr("No space left on device"));
  }
}

TEST(DoctorInPodman, NamesItsFilterAndItsMaskAndTheRemediesHelp) {
  if (!IsRoot()) GTEST_SKIP() << "only root can be root";
  const LessonFolder folder;
  Child child([&](Line& line) {
    const Podman podman;
    for (const char* tool : {"podman", "crun"}) {
      if (RunTool({tool, "--version"})) continue;
      line.Send(fmt::format("{} is not installed", tool));
      return;
    }
    const auto run = [&](const std::string& program,
                         const std::vector<std::string>& options = {}) {
      std::vector<std::string> all = options;
      all.push_back("--volume=" + folder.path() + ":/lessons:ro");
      const Result result = podman.Run(all, {"/lessons/" + program, "--json"});
      line.Send(result.output.empty() ? result.errors : result.output);
      return ExitStatus(result.status);
    };
    // When podman itself fails, it says so with a status of its own.
    if (run("doctor") >= 125) return;
    run("uts");
    run("doctor",
        {"--security-opt=seccomp=unconfined", "--security-opt=unmask=ALL"});
  });
  StartForPodman(child);
  const std::string output = child.Receive().value();
  const json doctor = json::parse(output, nullptr, false);
  if (doctor.is_discarded()) GTEST_SKIP() << output;
  const json alone = json::parse(child.Receive().value());
  const json helped = json::parse(child.Receive().value());
  child.Finish();

  EXPECT_THAT(With(doctor, "refused"),
              ElementsAre("sethostname(2) inside", "a new proc mounted"));
  EXPECT_THAT(With(doctor, "failed"), IsEmpty());
  const json filtered = Operation(doctor, "sethostname(2) inside");
  EXPECT_THAT(filtered.value("cause", ""), HasSubstr("seccomp"));
  EXPECT_THAT(Operation(doctor, "a new proc mounted").value("cause", ""),
              HasSubstr("/proc is masked"));
  for (const json& said : {Lesson(doctor, "uts"), alone}) {
    EXPECT_EQ(said["exit_status"], 77);
    EXPECT_EQ(said["cause"], filtered["cause"]);
    EXPECT_EQ(said["remedy"], filtered["remedy"]);
  }
  EXPECT_THAT(With(helped, "refused"), IsEmpty());
  EXPECT_EQ(helped["exit_status"], 0);
}

}  // namespace
}  // namespace steps
