// Time namespaces: private clocks.                       time_namespaces(7)
//
//   bazel run //lessons:time                the lesson
//   bazel run //lessons:time -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN and CAP_SYS_TIME; an ordinary user gets them in a
// user namespace.

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "common/kernel/descriptor.h"
#include "common/program/program.h"

namespace steps {
namespace {

constexpr const char* kOffsets = "/proc/self/timens_offsets";
constexpr long kDay = 86'400;  // In seconds.
constexpr long kDays = 100;

std::time_t Now(clockid_t clock) {
  timespec now = {};
  MUST(clock_gettime, clock, &now);
  return now.tv_sec;
}

std::string Seconds(std::time_t time) { return std::to_string(time) + " s"; }

const Probe kMonotonic{"monotonic", "CLOCK_MONOTONIC",
                       [] { return Seconds(Now(CLOCK_MONOTONIC)); }};
const Probe kBoottime{"boottime", "CLOCK_BOOTTIME",
                      [] { return Seconds(Now(CLOCK_BOOTTIME)); }};
const Probe kUptime{"uptime", "/proc/uptime", [] {
                      return Seconds(std::stol(ReadText("/proc/uptime")));
                    }};
const Probe kDate{
    "date (UTC)", "CLOCK_REALTIME",
    [] { return fmt::format("{:%F %T}", fmt::gmtime(Now(CLOCK_REALTIME))); }};
const Probe kNamespace{"time namespace", "/proc/self/ns/time",
                       [] { return ReadLink("/proc/self/ns/time"); }};
const Probe kNext{"next child", "…/ns/time_for_children",
                  [] { return ReadLink("/proc/self/ns/time_for_children"); }};

Evidence AskAll(Process& process) {
  return process.Ask(kMonotonic, kBoottime, kUptime, kDate, kNamespace);
}

// Whether the three clocks of `here` are `days` ahead of those of `there`,
// which were read a moment before or after.
bool AreAhead(const Evidence& here, const Evidence& there, long days) {
  const auto ahead = [&](const auto& clock) {
    const long seconds = std::stol(here[clock]) - std::stol(there[clock]);
    return std::labs(seconds - days * kDay) < kDay;
  };
  return ahead(kMonotonic) && ahead(kBoottime) && ahead(kUptime);
}

// Seconds go by while the lesson runs; days do not.
Evidence InDays(const Evidence& evidence) {
  Evidence days;
  for (Finding it : evidence.findings()) {
    it.value = it.value.ends_with(" s")
                   ? fmt::format("{} days", std::stol(it.value) / kDay)
                   : it.value.substr(0, it.value.find(' '));
    days.Add(it);
  }
  return days;
}

// Puts both clocks of the next child's namespace ahead of where they are.
int PutAhead() {
  std::string ahead;
  std::istringstream offsets(ReadText(kOffsets));
  std::string clock;
  for (long s = 0, ns = 0; offsets >> clock >> s >> ns;) {
    ahead += fmt::format("{} {} {}\n", clock, s + kDays * kDay, ns);
  }
  const Descriptor file(CALL(open, kOffsets, O_WRONLY));
  return TRY(write, file.get(), ahead.c_str(), ahead.size());
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWTIME, a child has the same clocks");
  const Evidence before = AskAll(outside);
  Process child = outside.Clone("child", 0);
  const Evidence same = AskAll(child);
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

  lesson.Predict(
      "The next child's CLOCK_MONOTONIC will be 100 days ahead. And its "
      "date, "
      "CLOCK_REALTIME?",
      {"unchanged", "100 days ahead, too", "1970-01-01", "EPERM"});

  lesson.Step(
      "Its clocks are put ahead before that child exists",
      "An offset is in seconds and nanoseconds, added to the clock of "
      "the machine.");
  if (const int error = caller.Run(PutAhead)) {
    throw CallError(error, fmt::format("write(\"{}\")", kOffsets));
  }
  Process inside = caller.Clone("inside", 0);
  const Evidence ahead = AskAll(inside);
  const Evidence after = AskAll(outside);
  // As text, dates of this form sort by time.
  const bool same_date =
      before[kDate] <= ahead[kDate] && ahead[kDate] <= after[kDate];
  lesson.Answer(same_date ? "unchanged" : "100 days ahead, too",
                "No namespace has a CLOCK_REALTIME of its own.");
  lesson.Claim(
      "Inside, CLOCK_MONOTONIC, CLOCK_BOOTTIME and /proc/uptime are ahead.",
      ahead[kNamespace] == moved[kNext] && AreAhead(ahead, after, kDays));
  lesson.Claim("CLOCK_REALTIME, the date, is the same inside and outside.",
               same_date);

  lesson.Step("With a child inside, the offsets are fixed");
  const int refused = caller.Run(PutAhead);
  lesson.Claim("Once a process is inside, the offsets cannot be changed.",
               refused == EACCES);

  lesson.Step(
      "setns(2) moves its caller at once, and back",
      "`visitor` starts in a time namespace that it may return to; its "
      "clocks are those of outside.");
  Process visitor = outside.Clone("visitor", CLONE_NEWTIME);
  const int home =
      visitor.Run([] { return CALL(open, "/proc/self/ns/time", O_RDONLY); });
  const int there = visitor.Run([pid = inside.pid()] {
    const std::string link = fmt::format("/proc/{}/ns/time", pid);
    return CALL(open, link.c_str(), O_RDONLY);
  });
  visitor.Run([there] { CALL(setns, there, CLONE_NEWTIME); });
  const Evidence joined = visitor.Ask(kMonotonic, kNamespace);
  lesson.Claim("setns(2) moves its caller at once.",
               joined[kNamespace] == ahead[kNamespace]);
  visitor.Run([home] { CALL(setns, home, CLONE_NEWTIME); });
  const Evidence back = visitor.Ask(kMonotonic, kNamespace);
  lesson.Claim("A process that goes back sees CLOCK_MONOTONIC go back.",
               std::stol(back[kMonotonic]) < std::stol(joined[kMonotonic]));

  lesson.Compare(InDays(before), InDays(ahead), InDays(after));
  lesson.Remember(
      "A time namespace adds an offset to the clocks that count from boot. "
      "The "
      "date is the machine's.");
  // Not `inside`: that ends with its parent, `caller`.
  visitor.Run([there] { MUST(setns, there, CLONE_NEWTIME); });
  lesson.Keep(std::move(visitor));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"time",
                           "Time namespaces: private clocks",
                           "time_namespaces(7)",
                           {CAP_SYS_ADMIN, CAP_SYS_TIME}},
                          steps::Teach, argc, argv);
}
