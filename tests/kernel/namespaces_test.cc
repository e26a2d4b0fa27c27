#include "common/kernel/namespaces.h"

#include "tests/support/test.h"

namespace steps {
namespace {

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

}  // namespace
}  // namespace steps
