#include "common/cgroups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/mounts.h"

namespace steps {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::EndsWith;

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
  return FindCgroupPlace(controller, MembershipsIn(cgroups),
                         MountsIn(mountinfo));
}

TEST(MembershipsIn, GivesControllersAndCgroup) {
  const auto memberships = MembershipsIn(
      "4:cpu,cpuacct:/a\n1:name=systemd:/x\n0::/user.slice/a:b c\n");
  ASSERT_EQ(memberships.size(), 3U);
  EXPECT_EQ(memberships[0].controllers, "cpu,cpuacct");
  EXPECT_EQ(memberships[0].cgroup, "/a");
  EXPECT_EQ(memberships[1].controllers, "name=systemd");
  EXPECT_EQ(memberships[2].controllers, "");
  EXPECT_EQ(memberships[2].cgroup, "/user.slice/a:b c");
}

TEST(CgroupOf, IsWhatTheKernelSays) {
  for (const Membership& membership :
       MembershipsIn(ReadFile("/proc/self/cgroup"))) {
    EXPECT_EQ(CgroupOf(getpid(), membership.controllers), membership.cgroup);
  }
  EXPECT_THROW(CgroupOf(getpid(), "nonsense"), std::out_of_range);
  EXPECT_THROW(CgroupOf(-1, ""), CallError);
}

TEST(FindCgroupPlace, IsItsOwnCgroupInVersion1) {
  const auto pids = Find("pids", kVersion1Cgroups, kVersion1Mounts);
  ASSERT_TRUE(pids);
  EXPECT_EQ(pids->controllers, "pids");
  EXPECT_EQ(pids->cgroup, "/user.slice/x");
  EXPECT_EQ(pids->folder, "/sys/fs/cgroup/pids/user.slice/x");
  EXPECT_EQ(pids->home, pids->folder);

  const auto cpu = Find("cpu", kVersion1Cgroups, kVersion1Mounts);
  ASSERT_TRUE(cpu);
  EXPECT_EQ(cpu->controllers, "cpu,cpuacct");
  EXPECT_EQ(cpu->folder, "/sys/fs/cgroup/cpu,cpuacct");
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
  EXPECT_EQ(Find("pids", "5:pids:/docker/x\n", mounts)->folder, "/cgroup/pids");
  EXPECT_EQ(Find("pids", "5:pids:/docker/x/y\n", mounts)->folder,
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
  EXPECT_EQ(pids->cgroup, "/user.slice/user-1.slice");
  EXPECT_EQ(pids->folder, top_ + "/user.slice/user-1.slice");
  EXPECT_EQ(pids->home, top_ + "/user.slice/user-1.slice/session-2.scope");

  const auto cpu = Find("cpu", session_, Mount());
  ASSERT_TRUE(cpu);
  EXPECT_EQ(cpu->cgroup, "/");
  EXPECT_EQ(cpu->folder, top_);

  // That is its own where a manager has delegated it so.
  Make("user.slice/user-1.slice/session-2.scope", "pids");
  EXPECT_EQ(Find("pids", session_, Mount())->folder, pids->home);
}

TEST_F(Version2, PlaceIsNothingWhereNoChildrenHaveTheController) {
  EXPECT_FALSE(Find("hugetlb", session_, Mount()));
  // As in a container that sees no further than its own cgroup.
  Make("", "");
  EXPECT_FALSE(Find("pids", "0::/\n", Mount()));
}

TEST_F(Version2, GivesWayToVersion1OnAHybridMachine) {
  const std::string mounts = kVersion1Mounts + Mount();
  const std::string cgroups = kVersion1Cgroups + session_;
  EXPECT_EQ(Find("pids", cgroups, mounts)->folder,
            "/sys/fs/cgroup/pids/user.slice/x");
  EXPECT_EQ(Find("pids", session_ + kVersion1Cgroups, mounts)->folder,
            "/sys/fs/cgroup/pids/user.slice/x")
      << "in whatever order the kernel lists them";
  EXPECT_EQ(Find("memory", cgroups, mounts)->folder,
            top_ + "/user.slice/user-1.slice");
}

// A real one, where this process may make it.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    place_ = FindCgroupPlace("pids");
    if (!place_ ||
        access((place_->home + "/cgroup.procs").c_str(), W_OK) != 0 ||
        access(place_->folder.c_str(), W_OK) != 0) {
      GTEST_SKIP() << "no cgroup may be made here";
    }
    Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl()");
  }

  std::string FolderOf(pid_t pid) const {
    return fmt::format("{}/steps-{}", place_->folder, pid);
  }

  static void Enter(const Cgroup& cgroup, const char* file) {
    const Descriptor procs(openat(cgroup.folder(), file, O_WRONLY | O_CLOEXEC));
    WriteAll(procs.get(), "0");
  }

  // A lesson that makes a cgroup and goes into it.
  Child Lesson() const {
    Child lesson([this](Line& line) {
      const Cgroup cgroup(*place_, {"a", "a/b"});
      Enter(cgroup, "a/b/cgroup.procs");
      line.Send(CgroupOf(getpid(), place_->controllers));
      line.Checkpoint();
    });
    lesson.Fork();
    return lesson;
  }

  std::optional<CgroupPlace> place_;
};

TEST_F(CgroupTest, IsRemovedWithAllThatIsInIt) {
  const std::string own = CgroupOf(getpid(), place_->controllers);
  const std::string folder = FolderOf(getpid());
  std::optional<Child> member;
  {
    const Cgroup cgroup(*place_, {"a", "a/b"});
    EXPECT_TRUE(fs::exists(folder + "/a/b"));
    fs::create_directory(folder + "/a/b/readers_own");
    member.emplace([&](Line& line) {
      Enter(cgroup, "a/b/readers_own/cgroup.procs");
      line.Send("");
      line.Checkpoint();
    });
    member->Fork();
    member->Receive();
    EXPECT_THAT(CgroupOf(member->pid(), place_->controllers),
                EndsWith(fmt::format("/steps-{}/a/b/readers_own", getpid())));
  }
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_EQ(CgroupOf(member->pid(), place_->controllers), own)
      << "the process lives on, at home";
  member->Finish();
}

TEST_F(CgroupTest, IsRemovedWhenItsLessonEndsInIt) {
  Child lesson = Lesson();
  EXPECT_THAT(lesson.Receive().value(),
              EndsWith(fmt::format("/steps-{}/a/b", lesson.pid())));
  EXPECT_TRUE(fs::exists(FolderOf(lesson.pid())));
  lesson.Finish();
  EXPECT_FALSE(fs::exists(FolderOf(lesson.pid())));
}

TEST_F(CgroupTest, IsRemovedWhenItsLessonIsKilled) {
  Child lesson = Lesson();
  lesson.Receive();
  EXPECT_TRUE(fs::exists(FolderOf(lesson.pid())));
  kill(lesson.pid(), SIGKILL);
  EXPECT_EQ(DescribeStatus(lesson.Wait()), "killed by SIGKILL");
  // The guardian is this process's child now, and ends when it is done.
  EXPECT_GT(waitpid(-1, nullptr, 0), 0);
  EXPECT_FALSE(fs::exists(FolderOf(lesson.pid())));
}

TEST_F(CgroupTest, IsRemovedByItsLessonWhenItsGuardianIsKilled) {
  Child lesson = Lesson();
  lesson.Receive();
  kill(ChildrenOf(lesson.pid()).at(0), SIGKILL);
  lesson.Finish();
  EXPECT_FALSE(fs::exists(FolderOf(lesson.pid())));
}

TEST_F(CgroupTest, IsNotLeftHalfMadeWhenItsGuardianIsKilled) {
  // So many that there is time to kill it before the last. Where the kill
  // comes too late, the lesson has a whole one to remove.
  std::vector<std::string> below(500);
  for (std::size_t i = 0; i < below.size(); ++i) {
    below[i] = fmt::format("c{}", i);
  }
  Child lesson([&](Line& line) {
    const Cgroup cgroup(*place_, below);
    line.Checkpoint();
  });
  lesson.Fork();
  const std::string folder = FolderOf(lesson.pid());
  while (!fs::exists(folder + "/c0")) continue;
  kill(ChildrenOf(lesson.pid()).at(0), SIGKILL);
  lesson.Release();
  EXPECT_THAT(DescribeStatus(lesson.Wait()),
              AnyOf("exit status 0", "exit status 1"));
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(CgroupTest, IsNotLeftHalfMade) {
  try {
    const Cgroup cgroup(*place_, {"a", "nonexistent/b"});
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_THAT(error.call(), EndsWith("/nonexistent/b\", 0755)"));
  }
  EXPECT_FALSE(fs::exists(FolderOf(getpid())));
}

}  // namespace
}  // namespace steps
