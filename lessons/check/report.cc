// What a program came to, as text and as JSON.

#include "lessons/check/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/lesson/advice.h"
#include "common/show/show.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

// A line of evidence.
struct Row {
  std::string kind;  // "uts", or empty: no namespace has it.
  bool is_new;
  std::string what;
  std::string inside;
  std::string host;
};

std::string ListOf(const std::vector<std::string>& all) {
  if (all.empty()) return "none";
  return all.size() > 2
             ? fmt::format("{}, and {} more", all[0], all.size() - 1)
             : fmt::format("{}", fmt::join(all, ", "));
}

std::string Changed(const std::string& before, const std::string& after) {
  return before == after ? after : fmt::format("{}, was {}", after, before);
}

std::string RootOf(const View& view) {
  if (view.chrooted) return "another: chroot(2)";
  return view.other_root ? "another: pivot_root(2)" : "the host's";
}

std::string PropagationOfRoot(const std::vector<Mount>& mounts) {
  const Mount* root = MountAt(mounts, "/");
  return root == nullptr ? "no mount" : Propagation(*root);
}

std::vector<Row> RowsOf(const XRay& xray) {
  if (!xray.inside) return {};
  const Inside& inside = *xray.Most();
  const View& before = xray.before;
  const View& after = xray.after;
  std::vector<Row> rows;
  const auto add = [&](int kind, const std::string& what,
                       const std::string& in, const std::string& out) {
    const bool is_new = inside.Has(kind);
    const std::string host = !out.empty() ? out
                             : is_new     ? "another"
                                          : "the same";
    rows.push_back({std::string(KindOf(kind).name), is_new, what, in, host});
  };
  const auto seen = [&](const std::string View::*member) {
    return inside.view ? (*inside.view).*member : "(it cannot be joined)";
  };
  add(CLONE_NEWUTS, "hostname", seen(&View::hostname),
      Changed(before.hostname, after.hostname));
  add(CLONE_NEWIPC, "objects", seen(&View::ipc),
      Changed(before.ipc, after.ipc));
  add(CLONE_NEWPID, "PID", fmt::to_string(inside.own_pid),
      fmt::to_string(inside.host_pid));
  if (inside.view) {
    add(CLONE_NEWPID, "/proc",
        inside.view->proc_fits ? "has its PID" : "has another PID for it",
        "has its PID");
  }
  add(CLONE_NEWNS, "mounted anew",
      ListOf(XRay::New(inside.mounts, before.mounts)),
      ListOf(XRay::New(after.mounts, before.mounts)));
  add(CLONE_NEWNS, "propagation of /", PropagationOfRoot(inside.mounts),
      Changed(PropagationOfRoot(before.mounts),
              PropagationOfRoot(after.mounts)));
  add(CLONE_NEWNET, "interfaces", seen(&View::interfaces),
      Changed(before.interfaces, after.interfaces));
  const auto map = [](const std::string& text) {
    return text.empty() ? "none" : text;
  };
  add(CLONE_NEWUSER, "uid map", map(inside.uid_map), "");
  if (inside.Has(CLONE_NEWUSER)) {
    add(CLONE_NEWUSER, "gid map", map(inside.gid_map), "");
  }
  add(CLONE_NEWUSER, "capabilities", inside.capabilities, "");
  if (inside.namespaces.contains(CLONE_NEWCGROUP)) {
    add(CLONE_NEWCGROUP, "cgroup", inside.cgroup, "");
  }
  if (inside.namespaces.contains(CLONE_NEWTIME)) {
    add(CLONE_NEWTIME, "clocks", inside.offsets, "");
  }
  rows.push_back({"", false, "root directory",
                  inside.view ? RootOf(*inside.view) : "?", "its own"});
  rows.push_back({"", false, "no_new_privs", inside.no_new_privs, "0"});
  rows.push_back({"", false, "seccomp", inside.seccomp, "0"});
  return rows;
}

std::string MomentOf(const Assessment& report) {
  const Inside* inside = report.xray.Most();
  const Observation& seen = report.xray.observation;
  if (inside == nullptr) return "";
  return fmt::format("PID {} ({}) {}.", inside->host_pid, inside->name,
                     seen.moment == Moment::kTooLong ? "when the time was up"
                     : seen.tasks.at(inside->pid).reads ? "waits for input"
                                                        : "waits");
}

constexpr std::size_t kLines = 5;

std::vector<std::string> LinesOf(const std::string& output) {
  std::istringstream lines(output);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) {
    std::ranges::replace(line, '\t', ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) all.push_back(line);
  }
  return all;
}

std::vector<std::string> FirstLines(const std::string& output) {
  std::vector<std::string> lines = LinesOf(output.substr(0, 2000));
  lines.resize(std::min(lines.size(), kLines));
  return lines;
}

std::vector<std::string> LastLines(const std::string& output) {
  std::vector<std::string> lines = LinesOf(output.substr(
      output.size() - std::min<std::size_t>(output.size(), 2000)));
  if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
  return lines;
}

void ShowEvidence(const Assessment& report, const Show& show) {
  Table table = {{"namespace", "", "evidence", "inside", "host"}, {}};
  std::string kind;
  for (const Row& row : RowsOf(report.xray)) {
    const bool again = row.kind.empty() || row.kind == kind;
    kind = row.kind;
    table.rows.push_back({again ? "" : row.kind,
                          again        ? ""
                          : row.is_new ? "new"
                                       : "shared",
                          row.what, row.inside, row.host});
  }
  show(Step{1, "What it isolates in its throwaway host", MomentOf(report)});
  if (!table.rows.empty()) show(table);
  const Moment moment = report.xray.observation.moment;
  if (moment == Moment::kAtRest && report.xray.inside &&
      report.xray.Most()->isolated != 0) {
    return;
  }
  // Of a compiler's errors, the first is the one to read.
  for (const std::string& line :
       report.xray.compile_error.empty()
           ? LastLines(report.xray.observation.output)
           : FirstLines(report.xray.compile_error)) {
    show(Item{"wrote", std::nullopt, line});
  }
}

void ShowMistakes(const std::vector<Mistake>& mistakes, const Show& show) {
  if (mistakes.empty()) return;
  show(Step{2, "Mistakes", ""});
  for (const Mistake& mistake : mistakes) {
    show(Item{"mistake", false, mistake.text});
    show(Item{"mend", std::nullopt, mistake.mend});
    if (mistake.lesson.empty()) continue;
    show(Item{"manual", std::nullopt, mistake.man});
    show(Item{"lesson", std::nullopt,
              "bazel run //lessons:" + mistake.lesson});
  }
}

}  // namespace

bool Assessment::Done() const {
  return exercise != nullptr ? why.empty() : mistakes.empty();
}

void ShowText(const Assessment& report, bool color) {
  utsname names = {};
  MUST(uname, &names);
  const Show show = To(STDOUT_FILENO, MakeTextRenderer(color));
  show(Opening{"check", "check: what your program isolates", "namespaces(7)",
               names.release, geteuid(),
               Machine::Look().Is(kPrivileged) ? "root" : "user namespace"});
  ShowEvidence(report, show);
  ShowMistakes(report.mistakes, show);
  std::string end;
  if (report.exercise != nullptr) {
    show(Step{report.mistakes.empty() ? 2 : 3,
              fmt::format("Exercise {}: {}", report.exercise->name,
                          report.exercise->title),
              ""});
    show(report.Done() ? Item{"done", true, "The kernel agrees."}
                       : Item{"not yet", false, report.why});
  } else {
    WriteAll(STDOUT_FILENO,
             report.mistakes.empty()
                 ? "No mistake was found.\n"
                 : fmt::format("\n{} mistake{}.\n", report.mistakes.size(),
                               report.mistakes.size() == 1 ? "" : "s"));
  }
}

ordered_json Document(const Assessment& report) {
  static const std::map<Moment, std::string> kMoments = {
      {Moment::kAtRest, "at rest"},
      {Moment::kEnded, "ended"},
      {Moment::kTooLong, "too long"},
      {Moment::kTooMany, "too many processes"},
      {Moment::kTooMuchOutput, "too much output"}};
  ordered_json document = {{"program", report.program}};
  if (report.exercise != nullptr) {
    document["exercise"] = report.exercise->name;
  }
  document["done"] = report.Done();
  if (!report.why.empty()) document["why"] = report.why;
  const Observation& seen = report.xray.observation;
  document["moment"] = report.xray.compile_error.empty()
                           ? kMoments.at(seen.moment)
                           : "not compiled";
  if (seen.status) document["ended"] = DescribeStatus(*seen.status);
  document["output"] = LastLines(seen.output);
  document["evidence"] = ordered_json::array();
  for (const Row& row : RowsOf(report.xray)) {
    ordered_json line = {
        {"what", row.what}, {"inside", row.inside}, {"host", row.host}};
    if (!row.kind.empty()) {
      line["namespace"] = row.kind;
      line["new"] = row.is_new;
    }
    document["evidence"].push_back(line);
  }
  document["mistakes"] = ordered_json::array();
  for (const Mistake& mistake : report.mistakes) {
    document["mistakes"].push_back({{"id", mistake.id},
                                    {"text", mistake.text},
                                    {"mend", mistake.mend},
                                    {"manual", mistake.man},
                                    {"lesson", mistake.lesson}});
  }
  return document;
}

}  // namespace steps
