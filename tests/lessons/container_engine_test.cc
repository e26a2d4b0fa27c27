// The judge of the lesson container is an engine: what a process sees in ours,
// and under podman.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/podman.h"
#include "tests/support/program.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::IsEmpty;

// A line for each fact, "name value": the same words in both.
constexpr const char* kProbe = R"(
echo hostname $(uname -n)
echo own_pid $$
echo init $(cat /proc/1/comm) $(grep PPid /proc/1/status | tr -cd 0-9)
for kind in cgroup ipc mnt net pid time user uts; do
  echo $kind $(readlink /proc/self/ns/$kind)
done
grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d :
for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq; do
  test -w $path && echo may_write $path
done
head -c1 /proc/kcore 2>/dev/null | grep -q . && echo may_read /proc/kcore
for path in /dev/*; do echo device $path; done
for path in / /usr /proc /dev /dev/pts /dev/shm; do
  grep " $path " /proc/mounts | tail -1 | while read x point type rest; do
    echo mount $point $type
  done
done
test -e /mnt/dev && echo left /mnt
echo may_mount $(mount -t tmpfs none /mnt 2>/dev/null && echo yes || echo no)
echo may_rename $(hostname renamed 2>/dev/null && echo yes || echo no)
)";

using Facts = std::multimap<std::string, std::string>;

Facts Parse(const std::string& text) {
  Facts facts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = line.find_first_of(" \t");
    if (blank == std::string::npos) continue;
    facts.emplace(line.substr(0, blank), line.substr(blank + 1));
  }
  return facts;
}

std::set<std::string> All(const Facts& facts, const std::string& name) {
  std::set<std::string> values;
  const auto [begin, end] = facts.equal_range(name);
  for (auto fact = begin; fact != end; ++fact) values.insert(fact->second);
  return values;
}

std::string One(const Facts& facts, const std::string& name) {
  const std::set<std::string> values = All(facts, name);
  return values.size() == 1 ? *values.begin() : "";
}

std::uint64_t Set(const Facts& facts, const std::string& name) {
  return std::stoull(One(facts, name), nullptr, 16);
}

// What `probe` prints in a container of podman's, in a cgroup below `parent`
// where that is given. Skips the test where podman cannot run here.
void AskTheirs(const std::string& probe, std::vector<std::string> options,
               const std::string& parent, Facts& theirs) {
  options.emplace_back("--hostname=container_001");
  options.emplace_back("--security-opt=no-new-privileges");
  Process child = StartForPodman();
  const std::string shown = child.Run(
      [parent = &parent, probe = &probe, options = &options] {
        const Result result =
            Podman(*parent).Run(*options, {"sh", "-c", *probe});
        return DescribeStatus(result.status) + "\n" + result.output +
               result.errors;
      },
      Process::kForever);
  if (!shown.starts_with("exit status 0\n")) {
    GTEST_SKIP() << "podman cannot run: " << shown;
  }
  theirs = Parse(shown);
}

// The same in ours.
void AskOurs(const std::string& probe, Facts& ours) {
  const Result result = RunCommand(
      {.program = "lessons/container", .arguments = {"sh", "-c", probe}});
  ASSERT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  ours = Parse(result.output);
}

class ContainerBesidePodman : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "only root can be root";
    for (const char* tool : {"podman", "crun", "runc"}) {
      if (IsMissing(RunTool({tool, "--version"}))) {
        GTEST_SKIP() << tool << " is not installed";
      }
    }
  }

  Facts ours_;
  Facts theirs_;
};

// What is made for podman at the root of each hierarchy of cgroups, and removed
// with all that it leaves there.
std::list<Cgroup> MakeCgroups() {
  std::list<Cgroup> cgroups;
  for (const auto& [controllers, cgroup] :
       CgroupsIn(ReadFile("/proc/self/cgroup"))) {
    const std::string first = controllers.substr(0, controllers.find(','));
    const std::string below = cgroup == "/" ? "" : cgroup;
    std::string home = "/sys/fs/cgroup/unified" + below;
    if (const auto place = FindCgroupPlace(first)) home = place->home;
    const std::string root = home.substr(0, home.size() - below.size());
    cgroups.emplace_back(CgroupPlace{controllers, root, home});
  }
  return cgroups;
}

TEST_F(ContainerBesidePodman, IsLimitedAsMuch) {
  if (!fs::exists("/sys/fs/cgroup/pids")) {
    GTEST_SKIP() << "podman's limits are tried with version 1 of cgroups alone";
  }
  // A process that gets as many children as it can; and one with 400 MiB.
  const std::string probe = R"(
    head -c 400M /dev/zero | tail >/dev/null
    echo memory $?
    (i=0; while [ $((i += 1)) -le 200 ]; do sleep 1000 & done) 2>/dev/null
    set -- /proc/[0-9]*
    echo processes $#)";
  std::string parent;
  {
    const std::list<Cgroup> cgroups = MakeCgroups();
    parent = "/" + fs::path(cgroups.front().path()).filename().string();
    AskTheirs(probe, {"--pids-limit=100", "--memory=256m"}, parent, theirs_);
  }
  EXPECT_FALSE(fs::exists("/sys/fs/cgroup/pids" + parent)) << "left behind";
  if (IsSkipped()) return;
  AskOurs(probe, ours_);
  // The shell that was refused a hundredth has ended.
  EXPECT_EQ(One(ours_, "processes"), "99");
  EXPECT_EQ(One(ours_, "processes"), One(theirs_, "processes"));
  if (ReadField("/proc/meminfo", "SwapTotal") != "0 kB") return;
  EXPECT_EQ(One(ours_, "memory"), "137");
  EXPECT_EQ(One(ours_, "memory"), One(theirs_, "memory"));
}

TEST_F(ContainerBesidePodman, IsIsolatedAsMuch) {
  AskTheirs(kProbe, {}, "", theirs_);
  if (IsSkipped()) return;
  AskOurs(kProbe, ours_);

  EXPECT_EQ(One(ours_, "hostname"), "container_001");
  EXPECT_EQ(One(ours_, "hostname"), One(theirs_, "hostname"));
  // Nothing of the host is above PID 1. Theirs is the command itself.
  EXPECT_EQ(One(ours_, "init"), "container 0");
  EXPECT_EQ(One(theirs_, "init"), "sh 0");
  EXPECT_EQ(One(ours_, "own_pid"), "2");
  EXPECT_EQ(One(theirs_, "own_pid"), "1");
  // Each kind that podman isolates, we do as well.
  for (const Kind& kind : Kinds()) {
    const std::string name(kind.proc_name);
    const std::string link = "/proc/self/ns/" + name;
    if (!fs::exists(link)) continue;
    const std::string host = fs::read_symlink(link);
    ASSERT_NE(One(theirs_, name), "") << name;
    if (One(theirs_, name) != host) {
      EXPECT_NE(One(ours_, name), host) << name;
    }
  }
  // We leave what podman leaves, and the three that Docker adds to it.
  constexpr std::uint64_t kDockersOwn =
      1U << 13 | 1U << 27 | 1U << 29;  // NET_RAW, MKNOD and AUDIT_WRITE.
  EXPECT_EQ(Set(ours_, "CapBnd"), Set(theirs_, "CapBnd") | kDockersOwn);
  EXPECT_EQ(Set(ours_, "CapEff"), Set(theirs_, "CapEff") | kDockersOwn);
  EXPECT_EQ(One(ours_, "NoNewPrivs"), "1");
  EXPECT_EQ(One(ours_, "NoNewPrivs"), One(theirs_, "NoNewPrivs"));
  EXPECT_EQ(One(ours_, "Seccomp"), "2");
  EXPECT_EQ(One(ours_, "Seccomp"), One(theirs_, "Seccomp"));
  for (const char* refusal : {"may_mount", "may_rename"}) {
    EXPECT_EQ(One(ours_, refusal), "no") << refusal;
    EXPECT_EQ(One(ours_, refusal), One(theirs_, refusal)) << refusal;
  }
  for (const char* fault : {"may_write", "may_read", "left"}) {
    EXPECT_THAT(All(ours_, fault), IsEmpty());
    EXPECT_EQ(All(ours_, fault), All(theirs_, fault));
  }
  // Their devices are ours, but for what podman needs a terminal for.
  std::set<std::string> devices = All(theirs_, "device");
  devices.erase("/dev/console");
  devices.erase("/dev/core");
  EXPECT_EQ(All(ours_, "device"), devices);
  for (const char* mounted :
       {"/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/shm tmpfs"}) {
    EXPECT_THAT(All(theirs_, "mount"), Contains(mounted));
    EXPECT_THAT(All(ours_, "mount"), Contains(mounted));
  }
  EXPECT_THAT(All(ours_, "mount"), Contains("/usr overlay"));
}

}  // namespace
}  // namespace steps
