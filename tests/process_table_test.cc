#include "common/process_table.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/namespaces.h"
#include "common/user_namespace.h"
#include "tests/process.h"

namespace steps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A child that stays, in a user namespace where it needs one, and in the new
// namespaces `flags`.
class Member {
 public:
  explicit Member(int flags = 0)
      : child_([](Line& line) { line.Checkpoint(); }) {
    if (flags != 0) flags |= CLONE_NEWUSER;
    Check(child_.Started(
              clone(Child::Main, child_.stack_top(), flags | SIGCHLD, &child_)),
          "clone({:#x})", flags);
  }

  pid_t pid() const { return child_.pid(); }
  std::string word() const { return std::to_string(pid()); }
  std::string header() const { return "PID " + word(); }
  std::string Inode(int flag) const {
    return std::to_string(NamespaceOf(pid(), KindOf(flag)).inode);
  }

 private:
  Child child_;
};

std::string Self() { return std::to_string(getpid()); }

// The row of this kind.
std::vector<std::string> Row(const Table& table, const std::string& kind) {
  for (const auto& row : table.rows) {
    if (row[0] == kind) return row;
  }
  throw std::out_of_range(kind);
}

std::vector<std::string> Column(const Table& table, std::size_t column) {
  std::vector<std::string> cells;
  for (const auto& row : table.rows) cells.push_back(row[column]);
  return cells;
}

TEST(CompareProcesses, HasARowForEachKindOfThisKernel) {
  const auto tables = CompareProcesses(LookAt({Self()}));
  ASSERT_THAT(tables, SizeIs(1));
  EXPECT_THAT(tables[0].header, ElementsAre("", "PID " + Self()));
  std::vector<std::string> kinds;
  std::vector<std::string> inodes;
  const auto here = NamespacesOf(getpid());
  for (const Kind& kind : Kinds()) {
    if (!here.contains(kind.flag)) continue;
    kinds.emplace_back(kind.name);
    inodes.push_back(std::to_string(here.at(kind.flag).inode));
  }
  EXPECT_EQ(Column(tables[0], 0), kinds);
  EXPECT_EQ(Column(tables[0], 1), inodes);
}

TEST(CompareProcesses, SaysAllWhereTwoShare) {
  const Member child;
  const auto tables = CompareProcesses(LookAt({Self(), child.word()}));
  ASSERT_THAT(tables, SizeIs(1));
  EXPECT_THAT(tables[0].header,
              ElementsAre("", "PID " + Self(), child.header(), "shared by"));
  for (const std::string& words : Column(tables[0], 3)) EXPECT_EQ(words, "all");
}

TEST(CompareProcesses, SaysNoneWhereTwoDiffer) {
  const Member child(CLONE_NEWUTS);
  const Table table = CompareProcesses(LookAt({Self(), child.word()})).at(0);
  EXPECT_THAT(
      Row(table, "uts"),
      ElementsAre(
          "uts",
          std::to_string(NamespaceOf(getpid(), KindOf(CLONE_NEWUTS)).inode),
          child.Inode(CLONE_NEWUTS), "none"));
  EXPECT_EQ(Row(table, "user").back(), "none");
  EXPECT_EQ(Row(table, "ipc").back(), "all");
}

TEST(CompareProcesses, SaysWhichTwoOfThreeShare) {
  const Member plain;
  const Member uts(CLONE_NEWUTS);
  const Member ipc(CLONE_NEWIPC);
  const Table table =
      CompareProcesses(LookAt({uts.word(), plain.word(), ipc.word()})).at(0);
  EXPECT_EQ(Row(table, "uts").back(), plain.word() + " and " + ipc.word());
  EXPECT_EQ(Row(table, "ipc").back(), uts.word() + " and " + plain.word());
  EXPECT_EQ(Row(table, "user").back(), "none");
  EXPECT_EQ(Row(table, "net").back(), "all");
}

TEST(CompareProcesses, BeginsEachTableWithTheFirst) {
  const Member first;
  const Member second;
  const Member third(CLONE_NEWUTS);
  const Member fourth;
  const auto tables = CompareProcesses(LookAt(
      {first.word(), second.word(), Self(), third.word(), fourth.word()}));
  ASSERT_THAT(tables, SizeIs(2));
  EXPECT_THAT(tables[0].header, ElementsAre("", first.header(), second.header(),
                                            "PID " + Self(), "shared by"));
  EXPECT_THAT(tables[1].header, ElementsAre("", first.header(), third.header(),
                                            fourth.header(), "shared by"));
  EXPECT_EQ(Row(tables[0], "uts").back(), "all");
  EXPECT_EQ(Row(tables[1], "uts").back(),
            first.word() + " and " + fourth.word());
  EXPECT_THAT(CompareProcesses(LookAt(
                  {first.word(), second.word(), Self(), fourth.word()}))[1]
                  .header,
              ElementsAre("", first.header(), fourth.header(), "shared by"));
}

TEST(CompareProcesses, LooksIntoAnotherPidNamespace) {
  const Member child(CLONE_NEWPID);
  const Table table = CompareProcesses(LookAt({Self(), child.word()})).at(0);
  EXPECT_EQ(Row(table, "pid").at(2), child.Inode(CLONE_NEWPID));
  EXPECT_EQ(Row(table, "pid").back(), "none");
}

// A child that has ended and that nobody has waited for.
class Zombie {
 public:
  Zombie() : child_([](Line&) {}) {
    child_.Fork();
    siginfo_t info = {};
    Check(waitid(P_PID, child_.pid(), &info, WEXITED | WNOWAIT), "waitid()");
  }

  std::string word() const { return std::to_string(child_.pid()); }

 private:
  Child child_;
};

TEST(CompareProcesses, KnowsWhatAZombieHasLeft) {
  const Zombie one;
  const Zombie other;
  const Table table =
      CompareProcesses(LookAt({Self(), one.word(), other.word()})).at(0);
  EXPECT_EQ(Row(table, "uts").at(2), "(left)");
  EXPECT_EQ(Row(table, "uts").back(), "none") << "what is left is not shared";
  EXPECT_EQ(Row(table, "pid").back(), "all");
  EXPECT_EQ(Row(table, "user").back(), "all");
}

TEST(DrawProcesses, GivesEachProcessItsCommandAndNamespaces) {
  const Member child(CLONE_NEWUTS);
  const Drawing drawing = DrawProcesses(LookAt({child.word(), Self()}));
  ASSERT_THAT(drawing.processes, SizeIs(2));
  EXPECT_EQ(drawing.processes[0].name, child.header());
  EXPECT_EQ(drawing.processes[0].namespaces, NamespacesOf(child.pid()));
  EXPECT_EQ(drawing.processes[1].namespaces, NamespacesOf(getpid()));
  const auto& facts = drawing.processes[1].facts;
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].name, "command");
  EXPECT_EQ(facts[0].value + "\n", ReadFile("/proc/self/comm"));
}

TEST(DrawProcesses, SaysWhatAZombieHasLeft) {
  const Zombie zombie;
  const Drawing drawing = DrawProcesses(LookAt({zombie.word()}));
  const auto& facts = drawing.processes[0].facts;
  ASSERT_THAT(facts, SizeIs(2));
  EXPECT_EQ(facts[1].name, "has left");
  EXPECT_EQ(facts[1].value.substr(0, 14), "mount uts ipc ");
  EXPECT_EQ(facts[1].value.find("pid"), std::string::npos);
}

TEST(LookAt, SaysThatAProcessIsGone) {
  Child child([](Line&) {});
  child.Fork();
  const std::string gone = std::to_string(child.pid());
  child.Finish();
  try {
    LookAt({Self(), gone});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "there is no process " + gone);
  }
}

TEST(LookAt, RefusesAWordThatIsNoPid) {
  for (const char* word : {"", "abc", "12x", " 1", "+1", "-1", "0", "1.0",
                           "2147483648", "99999999999999999999"}) {
    try {
      LookAt({Self(), word});
      ADD_FAILURE() << word;
    } catch (const UsageError& error) {
      EXPECT_EQ(
          std::string(error.what()),
          fmt::format("not a PID, a number from 1 to 2147483647: {}", word));
    }
  }
  EXPECT_THROW(LookAt({"2147483647", "abc"}), UsageError)
      << "before it looks at any";
}

// The caller's parent is outside of the caller's user namespace.
TEST(LookAt, NamesTheCallThatWasRefused) {
  InChild([parent = getpid()] {
    EnterUserNamespaceAsRoot();
    try {
      LookAt({std::to_string(parent)});
      FAIL();
    } catch (const CallError& error) {
      EXPECT_EQ(error.error(), EACCES);
      EXPECT_THAT(error.call(),
                  HasSubstr(fmt::format("stat(\"/proc/{}/ns/", parent)));
    }
  });
}

}  // namespace
}  // namespace steps
