#include "common/kernel/namespaces.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

TEST(Kinds, AreAllThatThisKernelHas) {
  for (const auto& link :
       std::filesystem::directory_iterator("/proc/self/ns")) {
    const std::string name = link.path().filename();
    if (name.ends_with("_for_children")) continue;
    int found = 0;
    for (const Kind& kind : Kinds()) found += kind.proc_name == name ? 1 : 0;
    EXPECT_EQ(found, 1) << name;
  }
}

TEST(KindOf, FindsAKindByItsFlag) {
  EXPECT_EQ(KindOf(CLONE_NEWNS).name, "mount");
  EXPECT_EQ(KindOf(CLONE_NEWTIME).flag_name, "CLONE_NEWTIME");
  EXPECT_THROW(KindOf(CLONE_VM), std::out_of_range);
}

TEST(NamespaceOf, IsTheSameForAChildThatSharesIt) {
  Process child = Process::Quiet().Clone("child", 0);
  EXPECT_EQ(NamespacesOf(child.pid()), NamespacesOf(getpid()));
  EXPECT_EQ(Difference(NamespacesOf(child.pid()), NamespacesOf(getpid())), 0);
}

TEST(NamespaceOf, DiffersForAChildThatHasItsOwn) {
  const int flags = CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWIPC;
  Process child = Process::Quiet().Clone("child", flags);
  const auto home = NamespacesOf(getpid());
  const auto there = NamespacesOf(child.pid());
  EXPECT_EQ(Difference(there, home), flags);
  EXPECT_EQ(KnownFlags() & flags, flags);
}

TEST(NamespaceOf, NamesTheLinkOfAProcessThatIsGone) {
  const pid_t gone = Process::Quiet().Clone("child", 0).pid();
  try {
    NamespaceOf(gone, KindOf(CLONE_NEWUTS));
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.error(), ENOENT);
    EXPECT_EQ(error.call().text,
              "stat(\"/proc/" + std::to_string(gone) + "/ns/uts\", &status)");
  }
  EXPECT_THROW(NamespacesOf(gone), CallError);
}

TEST(KindNames, AreInTheOrderOfTheKinds) {
  EXPECT_EQ(KindNames(CLONE_NEWTIME | CLONE_NEWNS | SIGCHLD), "mount time");
  EXPECT_EQ(KindNames(CLONE_NEWUTS), "uts");
  EXPECT_EQ(KindNames(SIGCHLD), "(none)");
}

TEST(CloneFlags, AreInTheWordsOfTheManPage) {
  EXPECT_EQ(CloneFlags(SIGCHLD), "SIGCHLD");
  EXPECT_EQ(CloneFlags(CLONE_NEWUTS | SIGCHLD), "CLONE_NEWUTS | SIGCHLD");
  EXPECT_EQ(CloneFlags(CLONE_NEWNS | CLONE_FS), "CLONE_NEWNS | CLONE_FS");
  EXPECT_EQ(CloneFlags(CLONE_FS | CLONE_SYSVSEM | SIGCHLD),
            "CLONE_FS | CLONE_SYSVSEM | SIGCHLD");
  EXPECT_EQ(CloneFlags(CLONE_NEWTIME), "CLONE_NEWTIME");
  EXPECT_EQ(CloneFlags(CLONE_VM | SIGCHLD), "SIGCHLD | 0x100");
  EXPECT_EQ(CloneFlags(0), "0x0");
}

}  // namespace
}  // namespace steps
