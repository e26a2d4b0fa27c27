#include "lessons/doctor/diagnosis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/kernel/descriptor.h"
#include "common/program/command_line.h"
#include "common/show/show.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

// The claims that the lesson had to skip.
ordered_json Skipped(const Visit& visit) {
  ordered_json skipped = ordered_json::array();
  if (!visit.HasDocument()) return skipped;
  for (const ordered_json& claim :
       visit.document.value("claims", ordered_json::array())) {
    if (claim["holds"].is_null()) skipped.push_back(claim);
  }
  return skipped;
}

// The causes, in the order in which they turn up.
class Causes {
 public:
  // What a cause is called: "cause 1".
  std::string Name(const Advice& advice) {
    auto found = std::ranges::find(all_, advice.cause, &Advice::cause);
    if (found == all_.end()) found = all_.insert(found, advice);
    return fmt::format("cause {}", found - all_.begin() + 1);
  }

  // The same for why a claim was skipped, which ends with the cause.
  std::string NameIn(const std::string& reason) {
    const auto known = std::ranges::find_if(all_, [&](const Advice& advice) {
      return reason.ends_with(advice.cause);
    });
    return Name(known == all_.end() ? Advice{reason, ""} : *known);
  }

  const std::vector<Advice>& all() const { return all_; }

 private:
  std::vector<Advice> all_;
};

void ShowTrials(const Diagnosis& diagnosis, const Show& show,
                Causes& causes) {
  show(Step{
      1, "Operations that lessons need, each tried here",
      diagnosis.in_container
          ? "This is a container: what started it decides what it may do."
          : ""});
  std::map<std::string, std::vector<std::string>> not_tried;
  for (const Trial& trial : diagnosis.trials) {
    if (trial.result == "works") {
      show(Item{"works", true, trial.operation});
    } else if (trial.result == "refused") {
      const std::string what =
          trial.call.empty()
              ? trial.error
              : fmt::format("{} {}", trial.call, trial.errno_name);
      show(Item{"refused", false,
                fmt::format("{}: {}, {}", trial.operation, what,
                            causes.Name(*trial.advice))});
    } else if (trial.result == "failed") {
      show(Item{"FAILS", false,
                fmt::format("{}: {}", trial.operation, trial.error)});
    } else {
      not_tried[trial.needs].push_back(trial.operation);
    }
  }
  for (const auto& [needs, operations] : not_tried) {
    show(Item{"skipped", std::nullopt,
              fmt::format("not tried without {}: {}", needs,
                          fmt::join(operations, ", "))});
  }
}

void ShowTools(const Diagnosis& diagnosis, const Show& show) {
  show(Step{2, "Tools that lessons show; they can do without", ""});
  for (const ToolOnPath& tool : diagnosis.tools) {
    show(tool.found ? Item{"found", true, tool.name}
                    : Item{"missing", std::nullopt,
                           fmt::format("{}: in Debian's package {}",
                                       tool.name, tool.package)});
  }
}

// How a lesson went.
Item ItemOf(const LessonVisit& each, Causes& causes) {
  const Visit& visit = each.visit;
  std::string text = fmt::format("{:<9} {}", each.lesson, Summary(visit));
  if (visit.exit_status == kCannotRun) {
    const std::string cause =
        causes.Name({visit.Text("cause"), visit.Text("remedy")});
    return {"refused", false, text + ": " + cause};
  }
  if (visit.exit_status != EXIT_SUCCESS) {
    const std::string error =
        visit.error ? visit.error->what() : visit.Text("error");
    return {"FAILS", false, error.empty() ? text : text + ": " + error};
  }
  std::set<std::string> names;
  for (const ordered_json& claim : Skipped(visit)) {
    names.insert(causes.NameIn(claim["reason"]));
  }
  if (!names.empty()) text += fmt::format(": {}", fmt::join(names, ", "));
  return {"runs", true, text};
}

void ShowCauses(const Causes& causes, const Show& show) {
  if (causes.all().empty()) return;
  show(Step{4, "What stands in the way, and the least that helps", ""});
  int number = 0;
  for (const Advice& advice : causes.all()) {
    show(Item{fmt::format("cause {}", ++number), std::nullopt, advice.cause});
    if (!advice.remedy.empty()) {
      show(Item{"remedy", std::nullopt, advice.remedy});
    }
  }
}

ordered_json Document(const Trial& trial) {
  ordered_json document = {{"operation", trial.operation},
                           {"result", trial.result}};
  const auto add = [&](const char* member, const std::string& value) {
    if (!value.empty()) document[member] = value;
  };
  add("needs", trial.needs);
  add("error", trial.error);
  add("call", trial.call);
  add("errno", trial.errno_name);
  if (trial.advice) {
    add("cause", trial.advice->cause);
    add("remedy", trial.advice->remedy);
  }
  return document;
}

ordered_json Document(const LessonVisit& each) {
  const Visit& visit = each.visit;
  ordered_json document = {{"lesson", each.lesson},
                           {"exit_status", visit.exit_status},
                           {"summary", Summary(visit)}};
  document["skipped"] = ordered_json::array();
  for (const ordered_json& claim : Skipped(visit)) {
    document["skipped"].push_back(
        {{"claim", claim["text"]}, {"reason", claim["reason"]}});
  }
  for (const char* member : {"error", "cause", "remedy"}) {
    const std::string told = visit.Text(member);
    if (!told.empty()) document[member] = told;
  }
  if (visit.error) document["error"] = visit.error->what();
  return document;
}

}  // namespace

int ExitStatus(const Diagnosis& diagnosis) {
  int status = EXIT_SUCCESS;
  for (const LessonVisit& each : diagnosis.lessons) {
    const int one = each.visit.exit_status;
    if (one == kCannotRun) {
      status = kCannotRun;
    } else if (one != EXIT_SUCCESS) {
      return kFailed;
    }
  }
  return status;
}

void ShowText(const Diagnosis& diagnosis, bool color) {
  const Show show = To(STDOUT_FILENO, MakeTextRenderer(color));
  Causes causes;
  show(diagnosis.opening);
  ShowTrials(diagnosis, show, causes);
  ShowTools(diagnosis, show);
  show(Step{3, "Lessons, each run here: which of its claims hold", ""});
  int run = 0;
  for (const LessonVisit& each : diagnosis.lessons) {
    show(ItemOf(each, causes));
    if (each.visit.exit_status == EXIT_SUCCESS) ++run;
  }
  ShowCauses(causes, show);
  WriteAll(STDOUT_FILENO, fmt::format("\n{} of {} lessons run here.\n", run,
                                      diagnosis.lessons.size()));
}

void ShowJson(const Diagnosis& diagnosis) {
  ordered_json document = {{"kernel", diagnosis.opening.kernel},
                           {"uid", diagnosis.opening.uid},
                           {"privilege", diagnosis.opening.privilege},
                           {"container", diagnosis.in_container}};
  for (const char* list : {"operations", "tools", "lessons"}) {
    document[list] = ordered_json::array();
  }
  for (const Trial& trial : diagnosis.trials) {
    document["operations"].push_back(Document(trial));
  }
  for (const ToolOnPath& tool : diagnosis.tools) {
    document["tools"].push_back({{"name", tool.name},
                                 {"package", tool.package},
                                 {"found", tool.found}});
  }
  for (const LessonVisit& each : diagnosis.lessons) {
    document["lessons"].push_back(Document(each));
  }
  document["exit_status"] = ExitStatus(diagnosis);
  WriteAll(
      STDOUT_FILENO,
      document.dump(2, ' ', false, ordered_json::error_handler_t::replace) +
          "\n");
}

}  // namespace steps
