// The judge of the lesson container is an engine: what a process sees in ours,
// and under podman.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "common/child.h"
#include "common/namespaces.h"
#include "common/tool.h"
#include "tests/podman.h"
#include "tests/process.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::IsEmpty;

// A line for each fact, "name value": the same words in both.
constexpr const char* kProbe = R"(
echo hostname $(uname -n)
for kind in cgroup ipc mnt net pid time user uts; do
  echo $kind $(readlink /proc/self/ns/$kind)
done
grep -E '^(CapBnd|CapEff|NoNewPrivs):' /proc/self/status | tr -d :
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

TEST(ContainerBesidePodman, IsIsolatedAsMuch) {
  if (!IsRoot()) GTEST_SKIP() << "only root can be root";
  for (const char* tool : {"podman", "crun"}) {
    if (!RunTool({tool, "--version"})) {
      GTEST_SKIP() << tool << " is not installed";
    }
  }
  Child child([](Line& line) {
    PrepareForPodman();
    const Result result = RunInPodman(
        {"--security-opt=no-new-privileges", "--hostname=container_001"},
        {"sh", "-c", kProbe});
    line.Send(DescribeStatus(result.status));
    line.Send(result.output + result.errors);
  });
  StartForPodman(child);
  const std::string status = child.Receive().value();
  const std::string podman = child.Receive().value();
  child.Finish();
  if (status != "exit status 0")
    GTEST_SKIP() << "podman cannot run: " << podman;
  const Facts theirs = Parse(podman);
  const Result result = RunCommand(
      {.program = "lessons/container", .arguments = {"sh", "-c", kProbe}});
  ASSERT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;
  const Facts ours = Parse(result.output);

  EXPECT_EQ(One(ours, "hostname"), "container_001");
  EXPECT_EQ(One(ours, "hostname"), One(theirs, "hostname"));
  // Each kind that podman isolates, we do as well.
  for (const Kind& kind : Kinds()) {
    const std::string name(kind.proc_name);
    const std::string link = "/proc/self/ns/" + name;
    if (!fs::exists(link)) continue;
    const std::string host = fs::read_symlink(link);
    ASSERT_NE(One(theirs, name), "") << podman;
    if (One(theirs, name) != host) {
      EXPECT_NE(One(ours, name), host) << name;
    }
  }
  // We leave what podman leaves, and the three that Docker adds to it.
  constexpr std::uint64_t kDockersOwn =
      1U << 13 | 1U << 27 | 1U << 29;  // NET_RAW, MKNOD and AUDIT_WRITE.
  EXPECT_EQ(Set(ours, "CapBnd"), Set(theirs, "CapBnd") | kDockersOwn);
  EXPECT_EQ(Set(ours, "CapEff"), Set(theirs, "CapEff") | kDockersOwn);
  EXPECT_EQ(One(ours, "NoNewPrivs"), "1");
  EXPECT_EQ(One(ours, "NoNewPrivs"), One(theirs, "NoNewPrivs"));
  for (const char* refusal : {"may_mount", "may_rename"}) {
    EXPECT_EQ(One(ours, refusal), "no") << refusal;
    EXPECT_EQ(One(ours, refusal), One(theirs, refusal)) << refusal;
  }
  for (const char* fault : {"may_write", "may_read", "left"}) {
    EXPECT_THAT(All(ours, fault), IsEmpty());
    EXPECT_EQ(All(ours, fault), All(theirs, fault));
  }
  // Their devices are ours, but for what podman needs a terminal or an IPC
  // mount for.
  std::set<std::string> devices = All(theirs, "device");
  devices.erase("/dev/console");
  devices.erase("/dev/core");
  devices.erase("/dev/mqueue");
  EXPECT_EQ(All(ours, "device"), devices);
  for (const char* mounted :
       {"/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/shm tmpfs"}) {
    EXPECT_THAT(All(theirs, "mount"), Contains(mounted));
    EXPECT_THAT(All(ours, "mount"), Contains(mounted));
  }
  EXPECT_THAT(All(ours, "mount"), Contains("/usr overlay"));
}

}  // namespace
}  // namespace steps
