#include "common/kernel/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

namespace fs = std::filesystem;

// A machine with version 1 alone.
constexpr const char* kVersion1Mounts =
    "25 20 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "27 25 0:24 / /sys/fs/cgroup/pids rw shared:10 - cgroup cgroup rw,pids\n";
constexpr const char* kVersion1Cgroups =
    "5:pids:/user.slice/x\n4:cpu,cpuacct:/\n1:name=systemd:/user.slice/x\n";

std::optional<CgroupPlace> Find(const std::string& controller,
                                const std::string& cgroups,
                                const std::string& mountinfo) {
  return FindCgroupPlace(controller, CgroupsIn(cgroups), MountsIn(mountinfo));
}

TEST(CgroupsIn, GivesEachByItsControllers) {
  EXPECT_THAT(CgroupsIn("4:cpu,cpuacct:/a\n1:name=systemd:/x\n"
                        "0::/user.slice/a:b c\n"),
              testing::ElementsAre(testing::Pair("", "/user.slice/a:b c"),
                                   testing::Pair("cpu,cpuacct", "/a"),
                                   testing::Pair("name=systemd", "/x")));
}

TEST(CgroupsOf, AreWhatTheKernelSays) {
  EXPECT_EQ(CgroupsOf(getpid()), CgroupsIn(ReadFile("/proc/self/cgroup")));
  EXPECT_THROW(CgroupsOf(-1), CallError);
}

TEST(FindCgroupPlace, IsItsOwnCgroupInVersion1) {
  const auto pids = Find("pids", kVersion1Cgroups, kVersion1Mounts);
  ASSERT_TRUE(pids);
  EXPECT_EQ(pids->controllers, "pids");
  EXPECT_EQ(pids->directory, "/sys/fs/cgroup/pids/user.slice/x");
  EXPECT_EQ(pids->home, pids->directory);

  const auto cpu = Find("cpu", kVersion1Cgroups, kVersion1Mounts);
  ASSERT_TRUE(cpu);
  EXPECT_EQ(cpu->controllers, "cpu,cpuacct");
  EXPECT_EQ(cpu->directory, "/sys/fs/cgroup/cpu,cpuacct");
}

TEST(FindCgroupPlace, IsNothingWithoutTheControllerOrItsMount) {
  EXPECT_FALSE(Find("memory", kVersion1Cgroups, kVersion1Mounts));
  EXPECT_FALSE(Find("pids", kVersion1Cgroups, "25 20 0:22 / / rw - tmpfs t r"));
  EXPECT_FALSE(Find("pids", "", kVersion1Mounts));
  // A part of a name is not the name.
  EXPECT_FALSE(Find("pid", kVersion1Cgroups, kVersion1Mounts));
}

// What docker does with version 1: the mount begins at the container's cgroup.
TEST(FindCgroupPlace, CountsFromTheRootOfTheMount) {
  const std::string mounts =
      "9 8 0:24 /docker/x /cgroup/pids ro - cgroup cgroup rw,pids\n";
  EXPECT_EQ(Find("pids", "5:pids:/docker/x\n", mounts)->directory,
            "/cgroup/pids");
  EXPECT_EQ(Find("pids", "5:pids:/docker/x/y\n", mounts)->directory,
            "/cgroup/pids/y");
  EXPECT_FALSE(Find("pids", "5:pids:/docker/xy\n", mounts));
  EXPECT_FALSE(Find("pids", "5:pids:/\n", mounts));
  // Seen from a cgroup namespace that the process is not in.
  EXPECT_FALSE(Find("pids", "5:pids:/../x\n", kVersion1Mounts));
}

// The tree of version 2, with the files that are read.
class Version2 : public testing::Test {
 protected:
  Version2() {
    Make("", "cpu memory pids");
    Make("user.slice", "memory pids");
    Make("user.slice/user-1.slice", "memory pids");
    Make("user.slice/user-1.slice/session-2.scope", "");
  }
  ~Version2() override { fs::remove_all(top_); }

  void Make(const std::string& cgroup, const std::string& children_have) const {
    fs::create_directories(top_ + "/" + cgroup);
    WriteAll(Open(top_ + "/" + cgroup + "/cgroup.subtree_control",
                  O_WRONLY | O_CREAT | O_TRUNC, 0600)
                 .get(),
             children_have + "\n");
  }

  std::string Mount() const {
    return fmt::format("30 20 0:26 / {} rw shared:4 - cgroup2 cgroup2 rw\n",
                       top_);
  }

  const std::string top_ = testing::TempDir() + "version_2";
  const std::string session_ = "0::/user.slice/user-1.slice/session-2.scope\n";
};

TEST_F(Version2, PlaceIsTheNearestWhoseChildrenHaveTheController) {
  const auto pids = Find("pids", session_, Mount());
  ASSERT_TRUE(pids);
  EXPECT_EQ(pids->controllers, "");
  EXPECT_EQ(pids->directory, top_ + "/user.slice/user-1.slice");
  EXPECT_EQ(pids->home, top_ + "/user.slice/user-1.slice/session-2.scope");

  const auto cpu = Find("cpu", session_, Mount());
  ASSERT_TRUE(cpu);
  EXPECT_EQ(cpu->directory, top_);

  // That is its own where a manager has delegated it so.
  Make("user.slice/user-1.slice/session-2.scope", "pids");
  EXPECT_EQ(Find("pids", session_, Mount())->directory, pids->home);
}

// The place for a cgroup on this machine, where one may be made.
std::optional<CgroupPlace> Place() {
  auto place = FindCgroupPlace("pids");
  if (place && access(place->directory.c_str(), W_OK) == 0) return place;
  return std::nullopt;
}

TEST(Cgroup, IsRemovedWithTheProcessesInItMovedHome) {
  const auto place = Place();
  if (!place) GTEST_SKIP() << "no cgroup may be made here";
  Process self = Process::Quiet();
  Process member = self.Clone("member", 0);
  Cgroup cgroup(*place, {"a", "a/b"});
  WriteAll(Open(cgroup.path() + "/a/b/cgroup.procs", O_WRONLY).get(),
           std::to_string(member.pid()));
  EXPECT_TRUE(cgroup.Remove());
  EXPECT_FALSE(fs::exists(cgroup.path()));
  EXPECT_EQ(CgroupsOf(member.pid()), CgroupsOf(getpid()));
}

// Kills what made a cgroup, and its guardian with it or not.
std::string Kill(const CgroupPlace& place, bool guardian) {
  int ends[2];
  MUST(pipe, &ends[0]);
  const pid_t maker = fork();
  if (maker == 0) {
    const Cgroup cgroup(place, {"a", "a/b"});
    WriteAll(ends[1], cgroup.path());
    close(ends[1]);
    if (guardian) kill(ChildrenOf(getpid()).at(0), SIGKILL);
    raise(SIGKILL);
  }
  close(ends[1]);
  std::string path = ReadAll(ends[0]);  // To the end of the maker.
  close(ends[0]);
  waitpid(maker, nullptr, 0);
  return path;
}

TEST(Cgroup, IsRemovedThoughItsMakerIsKilled) {
  const auto place = Place();
  if (!place) GTEST_SKIP() << "no cgroup may be made here";
  const std::string path = Kill(*place, false);
  for (int i = 0; i < 500 && fs::exists(path); ++i) usleep(10'000);
  EXPECT_FALSE(fs::exists(path));
}

TEST(Cgroup, IsRemovedByTheNextWhereItsGuardianIsKilledToo) {
  const auto place = Place();
  if (!place) GTEST_SKIP() << "no cgroup may be made here";
  const std::string path = Kill(*place, true);
  ASSERT_TRUE(fs::exists(path));
  const std::string other =
      place->directory + "/steps-1" + path.substr(path.rfind('-'));
  mkdir(other.c_str(), 0755);
  const Cgroup next(*place, {});
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(other)) << "its process lives";
  rmdir(other.c_str());
  EXPECT_TRUE(fs::exists(next.path()));
}

}  // namespace
}  // namespace steps
