// Sabotage: the kernel lies to a lesson, and the claim that rests on what it
// said FAILS, by its name. A claim that no lie can make fail proves nothing.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/kernel/process.h"
#include "tests/support/host_state.h"
#include "tests/support/lessons.h"
#include "tests/support/program.h"
#include "tests/support/sabotage.h"

namespace steps {
namespace {

using nlohmann::json;

struct Case {
  const char* lesson;
  const char* lie;    // As ParseLie() takes it.
  const char* claim;  // The one that FAILS.
};

constexpr Case kCases[] = {
    {"uts", "sethostname",
     "Without CLONE_NEWUTS, a child's new name is its parent's, too."},
    {"uts", "clone:2-CLONE_NEWUTS",
     "With CLONE_NEWUTS, a child is in a new UTS namespace."},
    {"uts", "sethostname:2",
     "Inside, the hostname and the NIS domain are the new ones."},
    {"uts", "setdomainname:2",
     "Inside, the hostname and the NIS domain are the new ones."},
    {"uts", "sethostname:3",
     "Root in a user namespace may rename only a UTS namespace it owns."},
    {"uts", "sethostname:4",
     "Root in a user namespace may rename only a UTS namespace it owns."},
    {"pid", "getpid:7=77", "Without CLONE_NEWPID, a child has one PID."},
    {"pid", "clone:1-CLONE_NEWPID",
     "Inside, the child is PID 1, and its parent's PID is 0."},
    {"pid", "getppid:2=77",
     "Inside, the child is PID 1, and its parent's PID is 0."},
    {"pid", "readlink:4=1",
     "Inside, /proc still has the PIDs of outside, and so has ps."},
    {"pid", "clone:2-CLONE_NEWPID",
     "Two levels down, a process has three PIDs."},
    {"pid", "clone:3-CLONE_NEWPID",
     "Two levels down, a process has three PIDs."},
    {"pid", "kill=-3", "An outer level sees in."},
    {"pid", "kill:2", "An inner level does not see out."},
    {"pid", "getpid:10=77", "From inside, not even SIGKILL ends PID 1."},
    {"pid", "getppid:3=77", "The new parent of an orphan is PID 1."},
    {"pid", "kill:6",
     "Killed, the orphan stays a zombie until PID 1 reaps it."},
    {"pid", "kill:8",
     "When PID 1 ends, so does every process in its namespace."},
    {"net", "bind:4",
     "Without CLONE_NEWNET, a child shares its parent's ports and names."},
    {"net", "clone:2-CLONE_NEWNET",
     "With CLONE_NEWNET, a child is in a new network namespace."},
    {"net", "connect:2", "Inside, no interface is up, not even lo."},
    {"net", "connect:3",
     "Once lo is up, inside reaches itself, not the outside."},
    {"net", "bind:10",
     "The same TCP port is bound inside and outside at once."},
    {"net", "sendto:9=-13", "A socket with an abstract name is out of reach."},
    {"net", "sendto:10=-13", "A socket with a path is not."},
    {"net",
     "write:1@socket:", "Messages cross a veth pair, in both directions."},
    {"net", "unshare", "A socket stays in the namespace in which it was made."},
    {"net", "readlink:10=1", "This machine has neither end of the pair."},
    {"cgroup", "readlink:2=1",
     "Without CLONE_NEWCGROUP, a child reads the paths that its parent reads."},
    {"cgroup", "unshare",
     "With CLONE_NEWCGROUP, it is in a new cgroup namespace."},
    {"cgroup", "write:1@cgroup.procs",
     "Inside, the path of a process above begins with \"/..\"."},
    {"cgroup", "readlink:5=1", "Outside, all paths are the same as before."},
    {"cgroup", "write:1@pids.max",
     "A limit that was set outside holds inside (EAGAIN)."},
};

// Claims that no lie of this kind can reach, and why.
struct Beyond {
  const char* lesson;
  const char* claim;
  const char* reason;
};

constexpr Beyond kBeyond[] = {
    {"uts", "The namespace starts with a copy of its parent's names.",
     "the copy is made by clone(2) itself, which also makes the namespace"},
    {"uts", "Outside, they are the old ones.",
     "what would rename the outside is noticed one claim before"},
    {"pid", "Outside, the same process has an ordinary PID.",
     "clone(2) returns it, and without the flag the claim before fails"},
    {"cgroup", "Inside, the cgroup in which it was is the root: \"/\".",
     "unshare(2) itself makes it the root, and without it the claim before "
     "fails"},
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = fmt::format("{}_{}", info.param.lesson, info.param.lie);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name + fmt::format("_{}", info.index);
}

// What the stand-in for the host looks like.
std::string Look() {
  std::string text;
  for (const auto& [what, how] : LookAtHost()) {
    // /tmp is the machine's own, where others write meanwhile.
    if (!what.starts_with("/tmp/")) text += what + ": " + how + "\n";
  }
  return text;
}

class Lies : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Told, Lies, testing::ValuesIn(kCases), CaseName);

TEST_P(Lies, MakeTheClaimFail) {
  if (const std::string why = WhyNoLies(); !why.empty()) GTEST_SKIP() << why;
  const Case& it = GetParam();
  const LieResult result =
      RunWithLie({.program = fmt::format("lessons/{}", it.lesson),
                  .arguments = {"--json"}},
                 ParseLie(it.lie), {.look = Look});
  EXPECT_TRUE(result.told);
  EXPECT_EQ(result.hung, "");
  EXPECT_EQ(DescribeStatus(result.status), "exit status 1") << result.errors;
  EXPECT_EQ(result.before, result.after) << "the stand-in was changed";
  const json run = json::parse(result.output);
  std::string failed = "no claim; it says: " + result.errors;
  for (const json& claim : run["claims"]) {
    if (claim["holds"] == false) failed = claim["text"];
  }
  EXPECT_EQ(failed, it.claim);
}

TEST(LiesTable, HasEveryClaimOfEveryLesson) {
  for (const std::string& lesson : LessonNames()) {
    const json run = json::parse(
        RunCommand({.program = "lessons/" + lesson, .arguments = {"--json"}})
            .output);
    std::set<std::string> claims;
    for (const json& claim : run["claims"]) claims.insert(claim["text"]);
    std::set<std::string> listed;
    for (const Case& it : kCases) {
      if (it.lesson == lesson) listed.insert(it.claim);
    }
    for (const Beyond& it : kBeyond) {
      if (it.lesson != lesson) continue;
      EXPECT_TRUE(listed.insert(it.claim).second) << it.claim;
    }
    EXPECT_EQ(claims, listed) << lesson;
  }
}

}  // namespace
}  // namespace steps
