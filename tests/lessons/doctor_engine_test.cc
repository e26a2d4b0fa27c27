// What the doctor says in a container of Podman's is true, and what it advises
// helps.

#include <fmt/format.h>

#include <chrono>
#include <map>

#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/podman.h"

namespace steps {
namespace {

using testing::Pair;

// Runs the doctor, a lesson, and the doctor with the remedies, and gives their
// documents in an array, or says why not.
std::string RunInPodman(const LessonFolder& folder) {
  const Podman podman;
  std::string documents;
  const Words remedies = {"--security-opt=seccomp=unconfined",
                          "--security-opt=unmask=ALL"};
  for (const auto& [program, remedy] :
       std::vector<std::pair<std::string, Words>>{
           {"doctor", {}}, {"uts", {}}, {"doctor", remedies}}) {
    Words options = remedy;
    options.push_back("--volume=" + folder.path() + ":/lessons:ro");
    const Result result =
        podman.Run(options, {"/lessons/" + program, "--json"});
    // When podman itself fails, it says so with a status of its own.
    if (ExitStatus(result.status) >= 125) return result.errors;
    documents += (documents.empty() ? "[" : ",") + result.output;
  }
  return documents + "]";
}

// The operations that did not work, but for the cgroup that no user may make,
// and the cause of each.
std::map<std::string, std::string> Refused(const json& doctor) {
  std::map<std::string, std::string> causes;
  for (const json& each : doctor["operations"]) {
    if (each["result"] == "refused" && each["operation"] != "a cgroup made") {
      causes[each["operation"]] = each["cause"];
    }
    EXPECT_NE(each["result"], "failed") << each;
  }
  return causes;
}

TEST(DoctorInPodman, NamesItsFilterAndItsMaskAndTheRemediesHelp) {
  if (const std::string why = WhyNoPodman(); !why.empty()) GTEST_SKIP() << why;
  const LessonFolder folder;
  Process machine = StartForPodman();
  const std::string output = machine.Run(
      [&folder] { return RunInPodman(folder); }, std::chrono::minutes(1));
  const json documents = json::parse(output, nullptr, false);
  if (documents.is_discarded()) GTEST_SKIP() << output;
  const std::map<std::string, std::string> refused = Refused(documents[0]);
  EXPECT_THAT(
      refused,
      ElementsAre(Pair("a new proc mounted", HasSubstr("/proc is masked")),
                  Pair("sethostname(2) inside", HasSubstr("seccomp"))));
  EXPECT_EQ(documents[1]["exit_status"], 77);
  EXPECT_EQ(documents[1]["cause"], refused.at("sethostname(2) inside"));
  for (const json& each : documents[0]["lessons"]) {
    if (each["lesson"] != "uts") continue;
    for (const char* member : {"exit_status", "cause", "remedy"}) {
      EXPECT_EQ(each[member], documents[1][member]);
    }
  }
  EXPECT_THAT(Refused(documents[2]), IsEmpty());
  EXPECT_EQ(documents[2]["exit_status"], 0);
}

}  // namespace
}  // namespace steps
