// What the doctor says of a machine is true, and is what a lesson says there.

#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/support/lessons.h"

namespace steps {
namespace {

const std::string kProc = "/proc of this PID namespace";
const std::string kRoot = "root in a user namespace";

std::string OnOneLine(const std::string& text) {
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

void ExpectSaidOnce(const std::string& screen, const std::string& words) {
  ExpectFits80Columns(screen);
  const std::string line = OnOneLine(screen);
  EXPECT_THAT(line, HasSubstr(words));
  EXPECT_EQ(line.find(words), line.rfind(words)) << screen;
}

// The entry of a list, "operations" or "lessons", with this name.
json Find(const json& list, const std::string& name) {
  for (const json& entry : list) {
    if (entry.value("operation", entry.value("lesson", "")) == name) {
      return entry;
    }
  }
  ADD_FAILURE() << "no " << name << " in " << list.dump(2);
  return {{"result", ""}, {"exit_status", -1}};
}

// The operations that had this result, but for the one that takes delegation.
Words With(const json& doctor, const std::string& result) {
  Words names;
  for (const json& each : doctor["operations"]) {
    if (each["operation"] == "a cgroup made") continue;
    if (each["result"] == result) names.push_back(each["operation"]);
  }
  return names;
}

class DoctorTest : public LessonFolderTest {
 protected:
  // The document of a lesson that runs beside it.
  json LessonJson(const std::string& lesson, const Before& before) const {
    Command command = Lesson({"--json"}, before);
    command.program = folder_.Program(lesson);
    json run = json::parse(RunCommand(command).output);
    EXPECT_EQ(SchemaErrors(run), "");
    return run;
  }
};

INSTANTIATE_TEST_SUITE_P(Is, DoctorTest, ValuesIn(ForBothUsers({"doctor"})),
                         LessonName);

// The next exec gives no capabilities, as to an ordinary user.
void GiveUpCapabilities() { MUST(prctl, PR_SET_SECUREBITS, SECBIT_NOROOT); }

void ForbidAndGiveUp() {
  ForbidUserNamespaces();
  GiveUpCapabilities();
}

// A root directory that is no mount point, with all that programs need in it.
void EnterChroot(bool with_proc) {
  EnterPrivateMounts();
  MountTmpfs("/mnt");
  const std::string root = "/mnt/root";
  for (const auto& entry : fs::directory_iterator("/")) {
    const std::string from = entry.path();
    const std::string to = root + from;
    if (from == "/mnt" || (from == "/proc" && !with_proc)) continue;
    if (entry.is_symlink()) {
      fs::copy_symlink(from, to);
    } else if (entry.is_directory()) {
      fs::create_directories(to);
      MUST(mount, from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr);
    }
  }
  fs::create_directories(root + "/mnt");
  MUST(chroot, root.c_str());
  MUST(chdir, "/");
}

std::string NewNamespace(int flag) {
  return fmt::format("a new {} namespace", KindOf(flag).name);
}

// The lesson cannot run, and names the same cause and the same remedy; both
// stand on the screen once.
TEST_P(DoctorTest, NamesTheCauseInTheWordsOfTheLesson) {
  struct Case {
    std::string words;
    std::string operation;
    std::string lesson;
    Before before;
    bool applies = true;
  };
  const std::string first = as_nobody() ? kRoot : NewNamespace(CLONE_NEWUTS);
  std::vector<Case> cases = {
      {"user.max_user_namespaces is 0", kRoot, "uts", ForbidAndGiveUp},
      {"A seccomp filter refuses it", first, "uts", FilterAsDocker},
      {"A seccomp filter refuses it", "sethostname(2) inside", "uts",
       // What podman's default does in a user namespace.
       [] {
         FilterCalls({{SYS_sethostname, EPERM}});
       }},
      {"The root directory is no mount point", "mounts made private", "chroot",
       [] { EnterChroot(true); }},
      {"Inside a chroot no user namespace may be made", kRoot, "uts",
       [] {
         EnterChroot(true);
         GiveUpCapabilities();
       }},
      {"/proc is not mounted", kProc, "uts", [] { EnterChroot(false); },
       !kSanitized},  // AddressSanitizer itself needs it.
      {"/proc belongs to another PID namespace", kProc, "uts", CoverProc,
       !kSanitized},
      {"No more processes may be made", kRoot, "uts",
       [] {
         const rlimit none = {0, 0};
         MUST(setrlimit, RLIMIT_NPROC, &none);
       },
       as_nobody() && !kSanitized}};  // The leak checker is one more.
  for (const Kind& kind : Kinds()) {
    cases.push_back({fmt::format("user.max_{}_namespaces is 0", kind.proc_name),
                     NewNamespace(kind.flag), std::string(kind.name),
                     Forbid(kind.flag)});
  }
  for (const Case& each : cases) {
    if (!each.applies) continue;
    SCOPED_TRACE(each.words + ": " + each.operation);
    const json doctor = RunJson(each.before, 77);
    const json tried = Find(doctor["operations"], each.operation);
    EXPECT_EQ(tried["result"], "refused");
    EXPECT_THAT(tried.value("cause", ""), HasSubstr(each.words));
    EXPECT_THAT(With(doctor, "failed"), IsEmpty());
    const json alone = LessonJson(each.lesson, each.before);
    for (const json& said : {Find(doctor["lessons"], each.lesson), alone}) {
      EXPECT_EQ(said["exit_status"], 77) << said;
      EXPECT_EQ(said.value("cause", ""), tried.value("cause", "?"));
      EXPECT_EQ(said.value("remedy", ""), tried.value("remedy", "?"));
    }
    const std::string screen = Run({}, each.before, 77).output;
    ExpectSaidOnce(screen, tried.value("cause", ""));
    EXPECT_THAT(OnOneLine(screen), HasSubstr(tried.value("remedy", "?")));
  }
}

TEST_P(DoctorTest, FindsThatEverythingWorksHere) {
  const json doctor = RunJson();
  const std::string screen = Run().output;
  ExpectFits80Columns(screen);
  for (const char* result : {"refused", "failed", "not tried"}) {
    EXPECT_THAT(With(doctor, result), IsEmpty());
  }
  EXPECT_THAT(screen, HasSubstr("\n     works    chroot(2)\n"));
  EXPECT_EQ(doctor["privilege"], as_nobody() ? "user namespace" : "root");
  EXPECT_EQ(doctor["uid"], as_nobody() && IsRoot() ? 65534U : geteuid());
  std::set<std::string> lessons;
  for (const json& each : doctor["lessons"]) {
    const std::string lesson = each["lesson"];
    lessons.insert(lesson);
    EXPECT_EQ(each["exit_status"], 0);
    EXPECT_THAT(screen,
                HasSubstr(fmt::format("\n     runs     {:<9} {}", lesson,
                                      each["summary"].get<std::string>())));
    if (lesson != "cgroup" && lesson != "container") {
      EXPECT_EQ(each["skipped"], json::array());
    }
  }
  EXPECT_EQ(lessons, LessonNames());
  EXPECT_THAT(screen,
              testing::EndsWith(fmt::format(
                  "\n\n{0} of {0} lessons run here.\n", LessonNames().size())));

  // Without delegation a user may make no cgroup.
  const json made = Find(doctor["operations"], "a cgroup made");
  const std::string skipped =
      Find(doctor["lessons"], "cgroup")["skipped"].dump();
  EXPECT_EQ(made["result"] == "refused", skipped != "[]");
  if (made["result"] == "works") return;
  EXPECT_THAT(made.value("cause", ""), HasSubstr("No cgroup is delegated"));
  EXPECT_THAT(skipped, HasSubstr(made.value("cause", "?")));
  ExpectSaidOnce(screen, "No cgroup is delegated");
}

// As `podman run --user USER --cap-add SYS_ADMIN` makes one. What takes more is
// done as by an ordinary user.
TEST_P(DoctorTest, FindsThatEveryLessonRunsForAUserWithOneCapability) {
  if (as_nobody()) GTEST_SKIP() << "only root can give one";
  const json doctor = RunJson([] {
    MUST(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    BecomeNobody();
    const std::unique_ptr<void, int (*)(void*)> one(
        cap_from_text("cap_sys_admin=eip"), cap_free);
    MUST(cap_set_proc, static_cast<cap_t>(one.get()));
    MUST(cap_set_ambient, CAP_SYS_ADMIN, CAP_SET);
  });
  EXPECT_THAT(With(doctor, "refused"), IsEmpty());
  EXPECT_THAT(With(doctor, "failed"), IsEmpty());
}

TEST_P(DoctorTest, KnowsEveryToolThatALessonShowsAndItsPackage) {
  std::set<std::string> shown;
  for (const std::string& lesson : LessonNames()) {
    const json run = LessonJson(lesson, {});
    for (const json& each : run["evidence"]) {
      const std::string source = each["source"];
      if (!source.starts_with("$ ")) continue;
      shown.insert(source.substr(2, source.find(' ', 2) - 2));
    }
  }
  const auto hide = [] { setenv("PATH", "/nonexistent", 1); };
  std::set<std::string> known;
  const json doctor = RunJson(hide);
  for (const json& tool : doctor["tools"]) {
    EXPECT_EQ(tool["found"], false);
    known.insert(tool["name"]);
  }
  EXPECT_EQ(known, shown);
  EXPECT_THAT(Run({}, hide).output,
              HasSubstr("\n     missing  ps: in Debian's package procps\n"));
  EXPECT_THAT(Run().output, HasSubstr("\n     found    ps\n"));
}

TEST_P(DoctorTest, DoesNotTryWhatCannotBegin) {
  const json doctor = RunJson(ForbidAndGiveUp, 77);
  EXPECT_EQ(doctor["privilege"], "none");
  EXPECT_THAT(With(doctor, "refused"), ElementsAre(kRoot));
  EXPECT_THAT(With(doctor, "works"), ElementsAre(kProc));
  const json refused = Find(doctor["operations"], kRoot);
  for (const json& each : doctor["operations"]) {
    EXPECT_TRUE(each["result"] != "not tried" || each["needs"] == kRoot);
  }
  for (const json& each : doctor["lessons"]) {
    EXPECT_EQ(each["exit_status"], 77);
    EXPECT_EQ(each.at("cause"), refused["cause"]) << each;
    EXPECT_EQ(each.at("remedy"), refused["remedy"]) << each;
  }
  EXPECT_THAT(
      OnOneLine(Run({}, ForbidAndGiveUp, 77).output),
      AllOf(HasSubstr("skipped not tried without root in a user namespace: a "
                      "new mount namespace, a new uts namespace, "),
            HasSubstr(fmt::format(" 0 of {} lessons run here. ",
                                  LessonNames().size()))));

  const json mounts = RunJson(Forbid(CLONE_NEWNS), 77);
  for (const auto& [operation, needs] :
       std::vector<std::pair<std::string, std::string>>{
           {"mounts made private", NewNamespace(CLONE_NEWNS)},
           {"a tmpfs mounted", "mounts made private"},
           {"pivot_root(2)", "a tmpfs mounted"}}) {
    EXPECT_EQ(Find(mounts["operations"], operation)["needs"], needs);
  }
  EXPECT_EQ(Find(mounts["operations"], "setns(2) with a link")["result"],
            "works");
}

// One by one, after everything that each of them needs.
TEST_P(DoctorTest, NamesAFilterThatRefusesOneCall) {
  folder_.FakeAll("exit 77\n");
  for (const auto& [call, error, operation] :
       std::vector<std::tuple<int, int, const char*>>{
           {SYS_clone3, ENOSYS, "clone3(2)"},
           {SYS_pivot_root, EPERM, "pivot_root(2)"},
           {SYS_umount2, EPERM, "pivot_root(2)"},
           {SYS_mount, EPERM, "mounts made private"},
           {SYS_pidfd_open, ENOSYS, "setns(2) with a pidfd"}}) {
    const Refusal refusal = {call, error};
    const json doctor = RunJson([&] { FilterCalls({refusal}); }, 77);
    EXPECT_THAT(With(doctor, "refused"), ElementsAre(operation));
    EXPECT_THAT(Find(doctor["operations"], operation).value("cause", ""),
                HasSubstr("seccomp"));
    EXPECT_THAT(With(doctor, "failed"), IsEmpty());
  }
}

TEST_P(DoctorTest, NamesAMaskedProc) {
  const json doctor = RunJson(MaskProc);
  EXPECT_THAT(With(doctor, "refused"), ElementsAre("a new proc mounted"));
  const json refused = Find(doctor["operations"], "a new proc mounted");
  EXPECT_THAT(refused.value("cause", ""), HasSubstr("/proc is masked"));
  const std::string reason = fmt::format("{}. {}", refused.value("error", "?"),
                                         refused.value("cause", "?"));
  EXPECT_EQ(Find(doctor["lessons"], "mount")["skipped"][0]["reason"], reason);
  EXPECT_THAT(Skipped(LessonJson("mount", MaskProc)),
              ElementsAre(EndsWith(reason)));
  ExpectSaidOnce(Run({}, MaskProc).output, "/proc is masked");
}

TEST_P(DoctorTest, FailsWhereALessonDoes) {
  folder_.FakeAll("exit 77\n");
  folder_.Fake("pid", "echo wrong; echo worse >&2; kill -SEGV $$\n");
  folder_.Remove("mount");
  const json doctor = RunJson({}, 1);
  EXPECT_EQ(Find(doctor["lessons"], "pid")["exit_status"], 139);
  EXPECT_EQ(Find(doctor["lessons"], "mount")["exit_status"], 1);
  ExpectExit(Try({}), 1,
             AllOf(HasSubstr("\n     FAILS    pid       failed with 139\n"),
                   HasSubstr("\n     FAILS    mount     failed with 1: execv"),
                   Not(HasSubstr("wrong"))),
             "");  // Nothing of a lesson's is shown.
}

TEST_P(DoctorTest, HasTheCommandLineOfALesson) {
  folder_.FakeAll("exit 77\n");
  EXPECT_THAT(Run({"--color=always"}, {}, 77).output,
              AllOf(HasSubstr("\x1b[32mworks"), HasSubstr("\x1b[1;31mref")));
  EXPECT_THAT(Run({}, {}, 77).output, Not(HasSubstr("\x1b")));
  ExpectExit(Try({"uts"}), 2, "",
             HasSubstr("bazel run //lessons:doctor -- --help"));
  ExpectFits80Columns(Run({"--help"}).output);
  for (const char* form : {"--color=never", "--json"}) {
    EXPECT_THAT(Run({form}, FillStdout, 1).errors,
                HasSubstr("No space left on device"));
  }
}

}  // namespace
}  // namespace steps
