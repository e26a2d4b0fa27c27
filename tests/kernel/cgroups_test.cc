#include "common/kernel/cgroups.h"

#include <array>

#include "tests/support/test.h"

namespace steps {
namespace {

// A machine with version 1 alone.
constexpr const char* kVersion1Mounts =
    "25 20 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "27 25 0:24 / /sys/fs/cgroup/pids rw shared:10 - cgroup cgroup rw,pids\n";
constexpr const char* kVersion1Cgroups =
    "5:pids:/user.slice/x\n4:cpu,cpuacct:/\n1:name=systemd:/user.slice/x\n";

TEST(CgroupsIn, GivesEachByItsControllers) {
  EXPECT_THAT(
      CgroupsIn("4:cpu,cpuacct:/a\n1:name=systemd:/x\n"
                "0::/user.slice/a:b c\n"),
      ElementsAre(Pair("", "/user.slice/a:b c"), Pair("cpu,cpuacct", "/a"),
                  Pair("name=systemd", "/x")));
}

// A controller, cgroups, mounts; where a process there may make one, and where
// it is itself.
using Where = std::array<std::string, 5>;

TEST(FindCgroupPlace, IsTheNearestWhoseChildrenHaveTheController) {
  // A machine below a directory: its /proc, and the tree of version 2.
  const TemporaryDirectory machine;
  const std::string top = machine.path() + "/version_2";
  for (const auto& [cgroup, children_have] :
       std::map<std::string, std::string>{{"", "cpu memory pids"},
                                          {"/slice", "memory pids"},
                                          {"/slice/user", "memory pids"},
                                          {"/slice/user/session", ""},
                                          {"/slice/delegated", "pids"}}) {
    machine.Put("version_2" + cgroup + "/cgroup.subtree_control",
                children_have + "\n");
  }
  const auto find = [&](const std::string& controller,
                        const std::string& cgroups, const std::string& mounts) {
    machine.Put("proc/self/cgroup", cgroups + "\n");
    machine.Put("proc/self/mountinfo", mounts + "\n");
    return FindCgroupPlace(controller, machine.path());
  };
  const std::string slice = top + "/slice";
  const std::string session = "0::/slice/user/session";
  const std::string version_2 =
      fmt::format("30 20 0:26 / {} rw shared:4 - cgroup2 cgroup2 rw\n", top);
  const std::string pids = "/sys/fs/cgroup/pids/user.slice/x";
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct";
  // What docker does with version 1: the mount begins at its cgroup.
  const std::string docker =
      "9 8 0:24 /docker/x /pids ro - cgroup cgroup rw,pids\n";
  for (const auto& [controller, cgroups, mounts, directory, home] :
       std::vector<Where>{
           {"pids", kVersion1Cgroups, kVersion1Mounts, pids, pids},
           {"cpu", kVersion1Cgroups, kVersion1Mounts, cpu, cpu},
           {"memory", kVersion1Cgroups, kVersion1Mounts, "", ""},
           {"pids", kVersion1Cgroups, "25 20 0:22 / / rw - tmpfs t r", "", ""},
           {"pids", "", kVersion1Mounts, "", ""},
           // A part of a name is not the name.
           {"pid", kVersion1Cgroups, kVersion1Mounts, "", ""},
           {"pids", "5:pids:/docker/x\n", docker, "/pids", "/pids"},
           {"pids", "5:pids:/docker/x/y\n", docker, "/pids/y", "/pids/y"},
           {"pids", "5:pids:/docker/xy\n", docker, "", ""},
           {"pids", "5:pids:/\n", docker, "", ""},
           // Seen from a cgroup namespace that the process is not in.
           {"pids", "5:pids:/../x\n", kVersion1Mounts, "", ""},
           {"pids", session, version_2, slice + "/user",
            slice + "/user/session"},
           {"cpu", session, version_2, top, slice + "/user/session"},
           // A process's own where a manager has delegated it so.
           {"pids", "0::/slice/delegated", version_2, slice + "/delegated",
            slice + "/delegated"}}) {
    SCOPED_TRACE(controller + " of " + cgroups);
    const auto place = find(controller, cgroups, mounts);
    EXPECT_EQ(place ? place->directory : "", directory);
    EXPECT_EQ(place ? place->home : "", home);
    EXPECT_TRUE(!place || CgroupsIn(cgroups).contains(place->controllers));
  }
  EXPECT_THAT(find("cpu", kVersion1Cgroups, kVersion1Mounts),
              Optional(Field(&CgroupPlace::controllers, "cpu,cpuacct")));
}

// Makes cgroups on this machine, where that may be done.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto place = FindCgroupPlace("pids");
    if (!place || access(place->directory.c_str(), W_OK) != 0) {
      GTEST_SKIP() << "no cgroup may be made here";
    }
    place_ = *place;
  }

  CgroupPlace place_;
};

TEST_F(CgroupTest, IsRemovedWithTheProcessesInItMovedHome) {
  Process self = Process::Quiet();
  Process member = self.Clone("member", 0);
  Cgroup cgroup(place_);
  fs::create_directories(cgroup.path() + "/a/b");
  WriteAll(Open(cgroup.path() + "/a/b/cgroup.procs", O_WRONLY).get(),
           std::to_string(member.pid()));
  EXPECT_TRUE(cgroup.Remove());
  EXPECT_FALSE(fs::exists(cgroup.path()));
  EXPECT_EQ(CgroupsOf(member.pid()), CgroupsOf(getpid()));
}

// That the guardian removes it, host_test shows.
TEST_F(CgroupTest, IsRemovedByTheNextWhereItsGuardianIsKilledToo) {
  const Command killed = {.function = [this] {
    const Cgroup cgroup(place_);
    fs::create_directories(cgroup.path() + "/a/b");
    WriteAll(STDOUT_FILENO, cgroup.path());
    kill(ChildrenOf(getpid()).at(0), SIGKILL);
    return raise(SIGKILL);
  }};
  const std::string path = RunCommand(killed).output;
  ASSERT_TRUE(fs::exists(path));
  const std::string other =
      place_.directory + "/steps-1" + path.substr(path.rfind('-'));
  mkdir(other.c_str(), 0755);
  const Cgroup next(place_);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(other)) << "its process lives";
  rmdir(other.c_str());
  EXPECT_TRUE(fs::exists(next.path()));
}

}  // namespace
}  // namespace steps
