#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "common/kernel/call.h"
#include "common/kernel/cgroups.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

// As root it proves every claim; so it does for a user to whom a cgroup is
// delegated.
TEST(CgroupLesson, LimitsAUserInADelegatedCgroup) {
  const std::optional<CgroupPlace> place = FindCgroupPlace("pids");
  if (!IsRoot() || !place || access(place->directory.c_str(), W_OK) != 0) {
    GTEST_SKIP() << "no cgroup may be made here and delegated";
  }
  // Below the delegated one: in version 2 a process may not stand in the way.
  const Cgroup cgroup(*place);
  std::filesystem::create_directories(cgroup.path() + "/a/b");
  const auto write_to = [&](const std::string& file, const char* text) {
    WriteAll(Open(cgroup.path() + "/" + file, O_WRONLY).get(), text);
  };
  if (place->controllers.empty()) {
    write_to("cgroup.subtree_control", "+pids");
    write_to("a/cgroup.subtree_control", "+pids");
  }
  for (const char* file : {"a", "a/cgroup.procs", "a/b", "a/b/cgroup.procs"}) {
    MUST(chown, (cgroup.path() + "/" + file).c_str(), 65534, 65534);
  }
  InChild([&] {
    write_to("a/b/cgroup.procs", "0");
    const Command lesson = {.program = "lessons/cgroup", .as_nobody = true};
    EXPECT_THAT(RunCommand(lesson).output,
                AllOf(HasSubstr("\n6 of 6 claims hold.\n"),
                      HasSubstr(" fork() = -1 EAGAIN"), HasSubstr(" …/a/b ")));
    Command shell = lesson;
    shell.arguments = {"--shell"};
    Terminal terminal(shell);
    terminal.ReadTo("[inside cgroup] ");
    terminal.Type("exit\n");
    EXPECT_EQ(DescribeStatus(terminal.Await()), "exit status 0");
    EXPECT_THAT(Survivors(), IsEmpty());
  });
}

}  // namespace
}  // namespace steps
