// The judge of the lesson container is an engine: what a process sees in ours,
// and under podman.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <list>
#include <sstream>

#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/podman.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// A line for each fact, "name value": the same words in both. What is private
// is not the namespace of this process.
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
grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d :
for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq; do
  test -w $path && echo may_write $path
done
head -c1 /proc/kcore 2>/dev/null | grep -q . && echo may_read /proc/kcore
for path in /dev/*; do echo device $path; done
for path in /usr /proc /dev /dev/pts /dev/shm; do
  grep " $path " /proc/mounts | tail -1 | while read x point type rest; do
    echo mount $point $type
  done
done
test -e /mnt/dev && echo left /mnt
mount -t tmpfs none /mnt 2>/dev/null && echo may_mount
hostname renamed 2>/dev/null && echo may_rename
true)";
}

using Facts = std::set<std::string>;

Facts Parse(const std::string& text) {
  Facts facts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) facts.insert(line);
  return facts;
}

// Those of `facts` that the others have not.
Facts Without(const Facts& facts, const Facts& others) {
  Facts rest;
  std::ranges::set_difference(facts, others, std::inserter(rest, rest.end()));
  return rest;
}

std::uint64_t CapabilitiesIn(const Facts& facts, const std::string& name) {
  const std::string& line = *facts.lower_bound(name + "\t");
  return std::stoull(line.substr(name.size()), nullptr, 16);
}

// What `probe` prints in a container of podman's, in a cgroup below `parent`
// where that is given. Skips the test where podman cannot run here.
void AskTheirs(const std::string& probe, Words options,
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
  theirs = Parse(shown.substr(shown.find('\n') + 1));
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
    if (const auto why = WhyNoPodman(); !why.empty()) GTEST_SKIP() << why;
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
  EXPECT_THAT(ours_, Contains("processes 99"));
  EXPECT_THAT(theirs_, Contains("processes 99"));
  if (ReadField("/proc/meminfo", "SwapTotal") != "0 kB") return;
  EXPECT_THAT(ours_, Contains("memory 137"));
  EXPECT_THAT(theirs_, Contains("memory 137"));
}

// Where ours differs, it isolates more; but it leaves the three capabilities
// that Docker adds to those that podman leaves.
TEST_F(ContainerBesidePodman, IsIsolatedAsMuch) {
  const std::string probe = IsolationProbe();
  AskTheirs(probe, {}, "", theirs_);
  if (IsSkipped()) return;
  AskOurs(probe, ours_);
  constexpr std::uint64_t kDockersOwn =
      1U << 13 | 1U << 27 | 1U << 29;  // NET_RAW, MKNOD and AUDIT_WRITE.
  for (const char* set : {"CapBnd", "CapEff"}) {
    EXPECT_EQ(CapabilitiesIn(ours_, set),
              CapabilitiesIn(theirs_, set) | kDockersOwn);
  }
  EXPECT_THAT(ours_, Contains("hostname container_001"));
  Facts only_ours = Without(ours_, theirs_);
  std::erase_if(only_ours, [](const std::string& fact) {
    return fact.starts_with("private ");
  });
  EXPECT_THAT(only_ours,
              testing::UnorderedElementsAre(
                  StartsWith("CapBnd"), StartsWith("CapEff"),
                  "init container 0", "mount /usr overlay", "own_pid 2"));
  // Theirs has the command itself for its PID 1.
  EXPECT_THAT(
      Without(theirs_, ours_),
      testing::UnorderedElementsAre(StartsWith("CapBnd"), StartsWith("CapEff"),
                                    "device /dev/core", "init sh 0",
                                    StartsWith("mount /usr "), "own_pid 1"));
}

}  // namespace
}  // namespace steps
