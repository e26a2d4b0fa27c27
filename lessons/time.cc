// Time namespaces: private clocks.                       time_namespaces(7)
//
//   bazel run //lessons:time                the lesson
//   bazel run //lessons:time -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN and CAP_SYS_TIME; an ordinary user gets them in a
// user namespace.

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <sstream>

#include "common/program/program.h"

namespace steps {

constexpr const char* kOffsets = "/proc/self/timens_offsets";
constexpr long kDay = 86'400;  // In seconds.

// Seconds go by while the lesson runs; days do not.
static long Days(clockid_t clock) {
  timespec now = {};
  MUST(clock_gettime, clock, &now);
  return now.tv_sec / kDay;
}

const Probe kMonotonic{"monotonic days", "CLOCK_MONOTONIC",
                       [] { return Days(CLOCK_MONOTONIC); }};
const Probe kBoottime{"boottime days", "CLOCK_BOOTTIME",
                      [] { return Days(CLOCK_BOOTTIME); }};
const Probe kUptime{"uptime in days", "/proc/uptime", [] {
                      return std::stol(ReadText("/proc/uptime")) / kDay;
                    }};
const Probe kDate{
    "date (UTC)", "CLOCK_REALTIME",
    [] { return fmt::format("{:%F}", fmt::gmtime(std::time(nullptr))); }};
const auto kNamespace = LinkProbe("time namespace", "/proc/self/ns/time");
const auto kNext = LinkProbe("next child", "/proc/self/ns/time_for_children");

static Evidence AskAll(auto&& process) {
  return process.Ask(kMonotonic, kBoottime, kUptime, kDate, kNamespace);
}

// Whether the three clocks were `days` ahead of where they had been
// `before`, or a day more, which may have begun in between.
static bool AreAhead(const Evidence& now, const Evidence& before, long days) {
  const auto is_ahead = [&](const auto& clock) {
    const long ahead = std::stol(now[clock]) - std::stol(before[clock]);
    return ahead == days || ahead == days + 1;
  };
  return is_ahead(kMonotonic) && is_ahead(kBoottime) && is_ahead(kUptime);
}

// Adds 100 days to the clocks of the next child's namespace.
static int PutAhead() {
  std::istringstream offsets(ReadText(kOffsets));
  std::string clock;
  std::string ahead;
  for (long s = 0, ns = 0; offsets >> clock >> s >> ns;) {
    ahead += fmt::format("{} {} {}\n", clock, s + 100 * kDay, ns);
  }
  const int file = CALL(open, kOffsets, O_WRONLY);
  return TRY(write, file, ahead.c_str(), ahead.size());
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWTIME, a child has the same clocks");
  const Evidence before = AskAll(outside);
  const Evidence same = AskAll(outside.Clone("child", 0));
  lesson.Claim(
      "Without CLONE_NEWTIME, a child has its parent's clocks.",
      same[kNamespace] == before[kNamespace] && AreAhead(same, before, 0));

  lesson.Step("unshare(CLONE_NEWTIME): a namespace for the next child");
  Process caller = outside.Clone("caller", 0);
  caller.Run([] { CALL(unshare, CLONE_NEWTIME); });
  const Evidence moved = caller.Ask(kNamespace, kNext);
  lesson.Claim("unshare(CLONE_NEWTIME) moves the next child, not the caller.",
               moved[kNamespace] == before[kNamespace] &&
                   moved[kNext] != before[kNamespace]);

  lesson.Predict("CLOCK_MONOTONIC will be 100 days ahead. And the date?",
                 {"unchanged", "100 days ahead, too", "1970-01-01", "EPERM"});

  lesson.Step("Offsets in seconds put its clocks ahead, before it exists");
  if (const int error = caller.Run(PutAhead)) {
    throw CallError(error, fmt::format("write(\"{}\")", kOffsets));
  }
  Process inside = caller.Clone("inside", 0);
  const Evidence ahead = AskAll(inside);
  const Evidence after = AskAll(Process::Quiet());
  // As text, dates of this form sort by time.
  const bool same_date =
      before[kDate] <= ahead[kDate] && ahead[kDate] <= after[kDate];
  lesson.Answer(same_date ? "unchanged" : "100 days ahead, too",
                "No namespace has its own CLOCK_REALTIME.");
  lesson.Claim("Inside, the three clocks are 100 days ahead.",
               AreAhead(ahead, before, 100) && AreAhead(after, before, 0));
  lesson.Claim("CLOCK_REALTIME, the date, is the machine's.", same_date);
  lesson.Claim("Once a process is inside, the offsets cannot be changed.",
               caller.Run(PutAhead) == EACCES);

  lesson.Step("setns(2) moves its caller at once",
              "`visitor` starts inside. `other` has no offsets.");
  Process other = outside.Clone("other", CLONE_NEWTIME);
  Process visitor = caller.Clone("visitor", 0);
  visitor.Run([pid = other.pid()] {
    const std::string link = ProcPath(pid, "ns/time");
    CALL(setns, CALL(open, link.c_str(), O_RDONLY), CLONE_NEWTIME);
  });
  lesson.Claim(
      "By setns(2), a process can see CLOCK_MONOTONIC go back.",
      std::stol(visitor.Ask(kMonotonic)) < std::stol(ahead[kMonotonic]));

  lesson.Compare(before, ahead, after);
  lesson.Remember("A time namespace has clocks since boot, not the date.");
  inside.Run(OutliveParent);  // `caller` ends with this function.
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"time",
                           "Time namespaces: private clocks",
                           "time_namespaces(7)",
                           {CAP_SYS_ADMIN, CAP_SYS_TIME}},
                          steps::Teach, argc, argv);
}
