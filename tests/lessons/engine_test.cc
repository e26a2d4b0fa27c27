// An engine is the judge: what a process sees in the lesson container and under
// podman; and whether what the doctor says there is true, and helps.

#include <iterator>

#include "tests/support/lessons.h"

namespace steps {
namespace {

// In this mount namespace podman may leave what it likes. /mnt/rootfs lacks the
// host's /usr.
void MakeRoomForPodman() {
  MakeMountsPrivate();
  MUST(mount, "none", "/proc", "proc", 0, nullptr);
  // With crun it refuses to begin where version 1 has the controllers.
  MUST(umount2, "/sys/fs/cgroup", MNT_DETACH);
  MUST(mount, "none", "/sys/fs/cgroup", "cgroup2", 0, nullptr);
  for (const char* point : {"/run", "/dev/shm", "/mnt"}) MountTmpfs(point);
  for (const char* directory :
       {"dev", "etc", "lessons", "mnt", "proc", "run", "sys", "tmp", "usr"}) {
    fs::create_directories(std::string("/mnt/rootfs/") + directory);
  }
  for (const auto& entry : fs::directory_iterator("/")) {
    if (!entry.is_symlink()) continue;  // Such as /bin, which leads to usr/bin.
    fs::copy_symlink(entry, "/mnt/rootfs" + entry.path().string());
  }
}

// `podman run` with these options and this command, and without a cgroup.
Command Podman(const Words& options, const Words& command) {
  Words words = {"--root=/mnt/root",      "--runroot=/mnt/run",
                 "--tmpdir=/mnt/tmp",     "--cgroup-manager=cgroupfs",
                 "--runtime=crun",        "--storage-driver=vfs",
                 "--events-backend=none", "run",
                 "--cgroups=disabled",    "--log-driver=none",
                 "--network=none",        "--ulimit=host",
                 "--volume=/usr:/usr:ro"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--rootfs", "/mnt/rootfs"});
  words.insert(words.end(), command.begin(), command.end());
  return {.program = FindProgram("podman"), .arguments = words};
}

using Facts = std::set<std::string>;

Facts FactsIn(const std::string& text) {
  const Words lines = LinesOf(text);
  return {lines.begin(), lines.end()};
}

class BesidePodman : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "only root can be root";
    for (const char* tool : {"podman", "crun"}) {
      if (FindProgram(tool).empty())
        GTEST_SKIP() << tool << " is not installed";
    }
  }

  // What each command prints under podman; skips the test where that cannot
  // run.
  void RunInPodman(const std::vector<std::pair<Words, Words>>& runs) {
    Process machine = Process::Quiet().Clone(
        "podman", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS);
    const std::string text = machine.Run(
        [all = &runs] {
          MakeRoomForPodman();
          json outputs = json::array();
          for (const auto& [options, command] : *all) {
            const Result result = RunCommand(Podman(options, command));
            // When podman itself fails, it has a status of its own.
            if (ExitStatus(result.status) >= 125) return result.errors;
            outputs.push_back(result.output);
          }
          return outputs.dump();
        },
        Process::kForever);
    const json outputs = json::parse(text, nullptr, false);
    if (outputs.is_discarded()) GTEST_SKIP() << "podman cannot run: " << text;
    outputs_ = outputs;
  }

  Words outputs_;
};

// A line for each fact. A private namespace is not that of this process. What
// ours must not do, container_test tries.
std::string IsolationProbe() {
  std::string probe;
  for (const auto& [flag, id] : NamespacesOf(getpid())) {
    const std::string link =
        fmt::format("/proc/self/ns/{}", KindOf(flag).proc_name);
    probe += fmt::format("test $(readlink {}) = {} || echo private {}\n", link,
                         ReadLink(link), KindOf(flag).name);
  }
  return probe + R"(
echo hostname $(uname -n)
echo own_pid $$
echo init $(cat /proc/1/comm) $(grep PPid /proc/1/status | tr -cd 0-9)
grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
for set in CapBnd CapEff; do
  mask=0x$(sed -n "s/^$set:\t//p" /proc/self/status)
  for n in $(seq 0 40); do test $(($mask >> $n & 1)) = 0 || echo $set $n; done
done
for path in /dev/*; do echo device $path; done
for path in /usr /proc /dev /dev/pts /dev/shm; do
  grep " $path " /proc/mounts | tail -1 | while read x point type rest; do
    echo mount $point $type
  done
done
)";
}

// Those of `facts` that the others have not.
Facts Without(const Facts& facts, const Facts& others) {
  Facts rest;
  std::ranges::set_difference(facts, others, std::inserter(rest, rest.end()));
  return rest;
}

// Ours isolates more, but leaves three more capabilities, as Docker does.
TEST_F(BesidePodman, AContainerIsIsolatedAsMuch) {
  const Words probe = {"sh", "-c", IsolationProbe()};
  RunInPodman(
      {{{"--hostname=container_001", "--security-opt=no-new-privileges"},
        probe}});
  if (IsSkipped()) return;
  const Facts theirs = FactsIn(outputs_[0]);
  const Result result =
      RunCommand({.program = "lessons/container", .arguments = probe});
  ExpectExit(result, 0);
  const Facts ours = FactsIn(result.output);
  EXPECT_THAT(ours, Contains("hostname container_001"));
  Facts only_ours = Without(ours, theirs);
  std::erase_if(only_ours, [](const std::string& fact) {
    return fact.starts_with("private ");
  });
  // NET_RAW, MKNOD and AUDIT_WRITE.
  EXPECT_THAT(only_ours,
              ElementsAre("CapBnd 13", "CapBnd 27", "CapBnd 29", "CapEff 13",
                          "CapEff 27", "CapEff 29", "init container 0",
                          "mount /usr overlay", "own_pid 2"));
  // Theirs has the command itself for its PID 1.
  EXPECT_THAT(Without(theirs, ours),
              ElementsAre("device /dev/core", "init sh 0",
                          StartsWith("mount /usr "), "own_pid 1"));
}

// The cause of each refusal, but for the cgroup that no user may make.
std::map<std::string, std::string> Refused(const json& doctor) {
  std::map<std::string, std::string> causes;
  for (const json& each : doctor["operations"]) {
    if (each["result"] == "refused" && each["operation"] != "a cgroup made") {
      causes[each["operation"]] = each["cause"];
    }
    EXPECT_NE(each["result"], "failed") << each;
  }
  return causes;
}

TEST_F(BesidePodman, TheDoctorNamesItsFilterAndItsMaskAndTheRemediesHelp) {
  const LessonFolder folder;
  const std::string volume = "--volume=" + folder.path() + ":/lessons:ro";
  const Words doctor = {"/lessons/doctor", "--json"};
  RunInPodman({{{volume}, doctor},
               {{volume}, {"/lessons/uts", "--json"}},
               {{volume, "--security-opt=seccomp=unconfined",
                 "--security-opt=unmask=ALL"},
                doctor}});
  if (IsSkipped()) return;
  const json diagnosis = json::parse(outputs_[0]);
  const json lesson = json::parse(outputs_[1]);
  const json helped = json::parse(outputs_[2]);
  const auto refused = Refused(diagnosis);
  EXPECT_THAT(
      refused,
      ElementsAre(Pair("a new proc mounted", HasSubstr("/proc is masked")),
                  Pair("sethostname(2) inside", HasSubstr("seccomp"))));
  EXPECT_EQ(lesson["exit_status"], 77);
  EXPECT_EQ(lesson["cause"], refused.at("sethostname(2) inside"));
  for (const json& each : diagnosis["lessons"]) {
    if (each["lesson"] != "uts") continue;
    for (const char* member : {"exit_status", "cause", "remedy"}) {
      EXPECT_EQ(each[member], lesson[member]);
    }
  }
  EXPECT_THAT(Refused(helped), IsEmpty());
  EXPECT_EQ(helped["exit_status"], 0);
}

}  // namespace
}  // namespace steps
