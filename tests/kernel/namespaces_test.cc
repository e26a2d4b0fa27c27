#include "common/kernel/namespaces.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/capability.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using testing::Contains;
using testing::Field;
using testing::MatchesRegex;
using testing::ThrowsMessage;

TEST(Kinds, AreAllThatThisKernelHas) {
  for (const auto& link :
       std::filesystem::directory_iterator("/proc/self/ns")) {
    const std::string name = link.path().filename();
    if (name.ends_with("_for_children")) continue;
    EXPECT_THAT(Kinds(), Contains(Field(&Kind::proc_name, name)).Times(1));
  }
  EXPECT_EQ(KindOf(CLONE_NEWNS).name, "mount");
  EXPECT_EQ(KindOf(CLONE_NEWTIME).flag_name, "CLONE_NEWTIME");
  EXPECT_THROW(KindOf(CLONE_VM), std::out_of_range);
}

TEST(NamespaceOf, DiffersForAChildThatHasItsOwn) {
  const auto home = NamespacesOf(getpid());
  for (const int flags : {0, CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWIPC}) {
    Process child = Process::Quiet().Clone("child", flags);
    const auto there = NamespacesOf(child.pid());
    EXPECT_EQ(Difference(there, home), flags);
    EXPECT_EQ(KnownFlags() & flags, flags);
  }
}

TEST(NamespaceOf, NamesTheLinkOfAProcessThatIsGone) {
  const pid_t gone = Process::Quiet().Clone("child", 0).pid();
  EXPECT_THAT([&] { NamespaceOf(gone, KindOf(CLONE_NEWUTS)); },
              ThrowsMessage<CallError>(fmt::format(
                  "stat(\"/proc/{}/ns/uts\", &status): No such file or "
                  "directory (ENOENT)",
                  gone)));
  EXPECT_THROW(NamespacesOf(gone), CallError);
}

TEST(KindNames, AreInTheOrderOfTheKinds) {
  EXPECT_EQ(KindNames(CLONE_NEWTIME | CLONE_NEWNS | SIGCHLD), "mount time");
  EXPECT_EQ(KindNames(SIGCHLD), "(none)");
}

TEST(CloneFlags, AreInTheWordsOfTheManPage) {
  for (const auto& [flags, words] : std::map<int, std::string>{
           {CLONE_NEWUTS | SIGCHLD, "CLONE_NEWUTS | SIGCHLD"},
           {CLONE_NEWNS | CLONE_FS, "CLONE_NEWNS | CLONE_FS"},
           {CLONE_FS | CLONE_SYSVSEM | SIGCHLD,
            "CLONE_FS | CLONE_SYSVSEM | SIGCHLD"},
           {CLONE_NEWTIME, "CLONE_NEWTIME"},
           {CLONE_VM | SIGCHLD, "SIGCHLD | 0x100"},
           {0, "0x0"}}) {
    EXPECT_EQ(CloneFlags(flags), words);
  }
}

TEST(EnterUserNamespaceAsRoot, MakesAnOrdinaryUserRoot) {
  InChildAsNobody([] {
    EXPECT_FALSE(HasCapabilities({CAP_SYS_ADMIN}));
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    EnterUserNamespaceAsRoot();
    EXPECT_EQ(geteuid(), 0U);
    EXPECT_EQ(getegid(), 0U);
    EXPECT_TRUE(HasCapabilities({CAP_SYS_ADMIN}));
    EXPECT_THAT(ReadFile("/proc/self/uid_map"),
                MatchesRegex(fmt::format(" *0 +{} +1\n", uid)));
    EXPECT_THAT(ReadFile("/proc/self/gid_map"),
                MatchesRegex(fmt::format(" *0 +{} +1\n", gid)));
    EXPECT_EQ(ReadFile("/proc/self/setgroups"), "deny\n");
  });
}

TEST(MapToRoot, MapsTheChildThatCallsItOnce) {
  InChild(
      [uid = geteuid(), gid = getegid()] {
        EXPECT_EQ(geteuid(), 65534U) << "no map yet: user_namespaces(7)";
        MapToRoot(uid, gid);
        EXPECT_EQ(geteuid(), 0U);
        EXPECT_THROW(MapToRoot(uid, gid), CallError);
        EXPECT_TRUE(HasCapabilities({CAP_SYS_ADMIN}));
        cap_t none = cap_init();
        Check(cap_set_proc(none), "cap_set_proc()");
        cap_free(none);
        EXPECT_FALSE(HasCapabilities({CAP_SYS_ADMIN}));
      },
      CLONE_NEWUSER);
}

TEST(MapToRoot, NamesTheMapThatIsRefused) {
  InChildAsNobody([] {
    const uid_t uid = geteuid() + 1;
    const gid_t gid = getegid();
    Check(unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
    EXPECT_THAT([&] { MapToRoot(uid, gid); },
                ThrowsMessage<CallError>(
                    fmt::format("write(\"/proc/self/uid_map\", \"0 {} 1\"): "
                                "Operation not permitted (EPERM)",
                                uid)));
  });
}

}  // namespace
}  // namespace steps
