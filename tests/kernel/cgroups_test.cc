#include "common/kernel/cgroups.h"

#include <sys/stat.h>

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

// A machine below a directory: its /proc, and the tree of version 2.
class MadeUp : public TemporaryDirectory {
 public:
  MadeUp() {
    Make("", "cpu memory pids");
    Make("user.slice", "memory pids");
    Make("user.slice/user-1.slice", "memory pids");
    Make("user.slice/user-1.slice/session-2.scope", "");
  }

  void Make(const std::string& cgroup, const std::string& children_have) const {
    Put("version_2/" + cgroup + "/cgroup.subtree_control",
        children_have + "\n");
  }

  // Where a process in these cgroups, with these mounts, may make one.
  std::optional<CgroupPlace> Find(const std::string& controller,
                                  const std::string& cgroups,
                                  const std::string& mounts) const {
    Put("proc/self/cgroup", cgroups + "\n");
    Put("proc/self/mountinfo", mounts + "\n");
    return FindCgroupPlace(controller, path());
  }

  const std::string top = path() + "/version_2";
};

TEST(CgroupsIn, GivesEachByItsControllers) {
  EXPECT_THAT(
      CgroupsIn("4:cpu,cpuacct:/a\n1:name=systemd:/x\n"
                "0::/user.slice/a:b c\n"),
      ElementsAre(Pair("", "/user.slice/a:b c"), Pair("cpu,cpuacct", "/a"),
                  Pair("name=systemd", "/x")));
  EXPECT_EQ(CgroupsOf(getpid()), CgroupsIn(ReadFile("/proc/self/cgroup")));
  EXPECT_THROW(CgroupsOf(-1), CallError);
}

// A controller, cgroups, mounts; where a process there may make one, and where
// it is itself.
using Where = std::array<std::string, 5>;

TEST(FindCgroupPlace, IsTheNearestWhoseChildrenHaveTheController) {
  const MadeUp tree;
  const std::string version_2 = fmt::format(
      "30 20 0:26 / {} rw shared:4 - cgroup2 cgroup2 rw\n", tree.top);
  const std::string session = "/user.slice/user-1.slice/session-2.scope";
  const std::string pids = "/sys/fs/cgroup/pids/user.slice/x";
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct";
  // What docker does with version 1: the mount begins at its cgroup.
  const std::string docker =
      "9 8 0:24 /docker/x /cgroup/pids ro - cgroup cgroup rw,pids\n";
  for (const auto& [controller, cgroups, mounts, directory, home] :
       std::vector<Where>{
           {"pids", kVersion1Cgroups, kVersion1Mounts, pids, pids},
           {"cpu", kVersion1Cgroups, kVersion1Mounts, cpu, cpu},
           {"memory", kVersion1Cgroups, kVersion1Mounts, "", ""},
           {"pids", kVersion1Cgroups, "25 20 0:22 / / rw - tmpfs t r", "", ""},
           {"pids", "", kVersion1Mounts, "", ""},
           // A part of a name is not the name.
           {"pid", kVersion1Cgroups, kVersion1Mounts, "", ""},
           {"pids", "5:pids:/docker/x\n", docker, "/cgroup/pids",
            "/cgroup/pids"},
           {"pids", "5:pids:/docker/x/y\n", docker, "/cgroup/pids/y",
            "/cgroup/pids/y"},
           {"pids", "5:pids:/docker/xy\n", docker, "", ""},
           {"pids", "5:pids:/\n", docker, "", ""},
           // Seen from a cgroup namespace that the process is not in.
           {"pids", "5:pids:/../x\n", kVersion1Mounts, "", ""},
           {"pids", "0::" + session, version_2,
            tree.top + "/user.slice/user-1.slice", tree.top + session},
           {"cpu", "0::" + session, version_2, tree.top, tree.top + session}}) {
    SCOPED_TRACE(controller + " of " + cgroups);
    const auto place = tree.Find(controller, cgroups, mounts);
    EXPECT_EQ(place ? place->directory : "", directory);
    EXPECT_EQ(place ? place->home : "", home);
  }
  // That is its own where a manager has delegated it so.
  tree.Make(session, "pids");
  EXPECT_THAT(
      tree.Find("pids", "0::" + session, version_2),
      Optional(AllOf(Field(&CgroupPlace::controllers, ""),
                     Field(&CgroupPlace::directory, tree.top + session))));
  EXPECT_THAT(tree.Find("cpu", kVersion1Cgroups, kVersion1Mounts),
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
  const std::string path = RunCommand({.function = [this] {
                             const Cgroup cgroup(place_);
                             fs::create_directories(cgroup.path() + "/a/b");
                             WriteAll(STDOUT_FILENO, cgroup.path());
                             kill(ChildrenOf(getpid()).at(0), SIGKILL);
                             return raise(SIGKILL);
                           }}).output;
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
