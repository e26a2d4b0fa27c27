// Time namespace: clocks of one's own.                   time_namespaces(7)
//
// A process makes a time namespace, puts its clocks ahead, and then has a
// child there. The lesson claims:
//
//   1. Without CLONE_NEWTIME, a child has its parent's clocks.
//   2. unshare(CLONE_NEWTIME) moves the next child, and not its caller.
//   3. Inside, CLOCK_MONOTONIC, CLOCK_BOOTTIME and /proc/uptime are ahead.
//   4. CLOCK_REALTIME, which gives the date, is the same on both sides.
//   5. The clocks of the caller, and those outside, are not ahead.
//   6. Once a child is inside, the offsets are fixed: EACCES.
//
// Needed: CAP_SYS_ADMIN and CAP_SYS_TIME. An ordinary user gets them in a
// user namespace.
//
//   bazel run //lessons:time                the lesson
//   bazel run //lessons:time -- --shell     and a shell inside
//   bazel run //lessons:time -- --help      all options

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/program.h"

namespace steps {
namespace {

constexpr const char* kOffsets = "/proc/self/timens_offsets";
constexpr std::int64_t kDay = 86400;  // In seconds.
constexpr std::int64_t kAhead = 100 * kDay;

// The clocks that a time namespace has of its own, as probes.
constexpr std::array kClocks = {"monotonic", "boottime", "uptime"};

std::time_t Now(clockid_t clock) {
  timespec now = {};
  Check(clock_gettime(clock, &now), "clock_gettime({})", clock);
  return now.tv_sec;
}

// As `date -u` writes it.
std::string Date(std::time_t time) {
  return fmt::format("{:%F %T}", fmt::gmtime(time));
}

// The evidence: what the clocks say, in whole seconds.
Evidence Ask() {
  const std::string uptime = ReadFile("/proc/uptime");
  return {
      {"monotonic", fmt::format("{} s", Now(CLOCK_MONOTONIC)),
       "clock_gettime(CLOCK_MONOTONIC)"},
      {"boottime", fmt::format("{} s", Now(CLOCK_BOOTTIME)),
       "clock_gettime(CLOCK_BOOTTIME)"},
      {"uptime", uptime.substr(0, uptime.find('.')) + " s", "/proc/uptime"},
      {"realtime", Date(Now(CLOCK_REALTIME)),
       "clock_gettime(CLOCK_REALTIME)"},
      FromLink("namespace", "/proc/self/ns/time")};
}

// The same in days: what is left of it while the clocks go on.
Evidence InDays(const Evidence& evidence) {
  std::vector<Finding> findings = evidence.findings();
  for (Finding& finding : findings) {
    std::string& value = finding.value;
    value = value.ends_with(" s")
                ? fmt::format("{} days", std::stoll(value) / kDay)
                : value.substr(0, value.find(' '));
  }
  return Evidence(std::move(findings));
}

// Whether each clock says at least `seconds` more here than in `other`.
bool IsAhead(const Evidence& here, const Evidence& other,
             std::int64_t seconds) {
  return std::ranges::all_of(kClocks, [&](const char* clock) {
    return std::stoll(here.Value(clock)) >=
           std::stoll(other.Value(clock)) + seconds;
  });
}

// The lines for timens_offsets that put both clocks ahead of the caller's.
// A new time namespace begins with the offsets of its maker's, and all
// count from the clocks of the first one.
std::vector<std::string> OffsetsAhead() {
  std::vector<std::string> lines;
  std::istringstream offsets(ReadFile(kOffsets));
  std::string clock;
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  while (offsets >> clock >> seconds >> nanoseconds) {
    lines.push_back(
        fmt::format("{} {} {}", clock, seconds + kAhead, nanoseconds));
  }
  return lines;
}

// What a child does: it tells what its clocks say, and stays there.
void Look(Line& line, const std::string& name) {
  Side(name, line).Show(Ask());
  line.Checkpoint();
}

// The act. This process puts clocks ahead that are not its own, and then
// has `child` there. CLONE_PARENT makes that one a child of the lesson
// itself.
void Caller(Line& line, Child& child) {
  Side caller("caller", line);
  const int result = unshare(CLONE_NEWTIME);
  caller.Check(result, "unshare(CLONE_NEWTIME)");
  caller.Show({FromLink("namespace", "/proc/self/ns/time"),
               FromLink("next child", "/proc/self/ns/time_for_children")});

  const std::vector<std::string> ahead = OffsetsAhead();
  const std::string text = fmt::format("{}", fmt::join(ahead, "\n"));
  const std::string words = fmt::format("{}", fmt::join(ahead, "\\n"));
  const Descriptor early(open(kOffsets, O_WRONLY | O_CLOEXEC));
  caller.Check(early.get(), "open(\"{}\", O_WRONLY)", kOffsets);
  ssize_t written = write(early.get(), text.data(), text.size());
  caller.Check(written, "write({}, \"{}\", {})", early.get(), words,
               text.size());

  const int flags = CLONE_PARENT | SIGCHLD;
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  caller.Check(child.Started(pid), "clone(CLONE_PARENT | SIGCHLD)");
  caller.Show({{"child PID", fmt::to_string(pid), "clone(2)"}});
  line.Checkpoint();

  const Descriptor late(open(kOffsets, O_WRONLY | O_CLOEXEC));
  caller.Check(late.get(), "open(\"{}\", O_WRONLY)", kOffsets);
  written = write(late.get(), text.data(), text.size());
  const int refusal = caller.Try(written, "write({}, \"{}\", {})",
                                 late.get(), words, text.size());
  caller.Show({{"errno", ErrnoName(refusal), "write(2)"},
               FromFile("offsets", kOffsets)});

  caller.Show(Ask());
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the clocks of this machine");
  const Evidence before = outside.Show(Ask());

  lesson.Begin(
      "Control: without CLONE_NEWTIME a child has the same clocks");
  Child control([](Line& line) { Look(line, "child"); });
  const pid_t pid =
      clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(pid), "clone(SIGCHLD)");
  const Evidence shared = outside.Hear(control);
  control.Finish();
  const Evidence between = outside.Show(Ask());

  const std::time_t today = Now(CLOCK_REALTIME);
  const auto day = [](const std::string& date) {
    return date.substr(0, date.find(' '));
  };
  lesson.Predict(
      "Next, a child gets clocks that are 100 days ahead. Which date is it "
      "to that child?",
      {day(Date(today)), day(Date(today + kAhead))});

  lesson.Begin("Inside: a child in a time namespace that is ahead");
  Child child([](Line& line) { Look(line, "inside"); });
  Child caller([&](Line& line) { Caller(line, child); });
  caller.Fork();
  const Evidence moved = outside.Hear(caller);
  child.Started(std::stoi(outside.Hear(caller).Value("child PID")));
  const Evidence inside = outside.Hear(child);
  lesson.Answer(day(inside.Value("realtime")),
                "No namespace has a CLOCK_REALTIME of its own.");

  lesson.Begin("Too late: with a child inside, the offsets are fixed");
  caller.Release();
  const Evidence refused = outside.Hear(caller);
  const Evidence stayed = outside.Hear(caller);

  lesson.Begin("Outside again, with the child still ahead");
  const Evidence after = outside.Show(Ask());
  lesson.Compare(InDays(before), InDays(inside), InDays(after));

  const std::string& home = before.Value("namespace");
  const std::string& date = inside.Value("realtime");
  lesson.Claim("Without CLONE_NEWTIME, a child has its parent's clocks.",
               shared.Value("namespace") == home &&
                   IsAhead(shared, before, 0) &&
                   IsAhead(between, shared, 0));
  lesson.Claim(
      "unshare(CLONE_NEWTIME) moves the next child, and not its caller.",
      moved.Value("namespace") == home &&
          stayed.Value("namespace") == home &&
          moved.Value("next child") != home &&
          moved.Value("next child") == inside.Value("namespace"));
  lesson.Claim(
      "Inside, CLOCK_MONOTONIC, CLOCK_BOOTTIME and /proc/uptime are ahead.",
      IsAhead(inside, between, kAhead) && IsAhead(after, inside, -kAhead));
  // As text, dates of this form sort by time.
  lesson.Claim(
      "CLOCK_REALTIME, which gives the date, is the same on both sides.",
      between.Value("realtime") <= date && date <= after.Value("realtime"));
  lesson.Claim(
      "The clocks of the caller, and those outside, are not ahead.",
      IsAhead(stayed, between, 0) && IsAhead(after, stayed, 0) &&
          IsAhead(inside, after, 1));
  lesson.Claim("Once a child is inside, the offsets are fixed: EACCES.",
               refused.Value("errno") == "EACCES");
  caller.Finish();
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "time",
                           .title = "Time namespace: clocks of one's own",
                           .man_page = "time_namespaces(7)"},
                          steps::Teach);
}
