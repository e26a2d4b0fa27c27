// Each system call of a lesson fails once, and SIGKILL strikes at any moment.
//
//     bazel run //tests:soak -- KILLS EVERY [LESSON…]
//
// Each lesson runs as root and as nobody, in a stand-in for this machine, with
// a cgroup in which both may make others. The N-th call of a lesson, its
// children and its tools fails with EPERM, ENOMEM or EIO, for each N that
// EVERY divides. Of each run is asked
//
//   hang     whether all of its processes ended within a minute;
//   residue  whether anything was left: what LookAtHost() looks at;
//   end      whether its status is 0, 1 or 77; 0 only where it has shown every
//            step and no claim fails, else with a reason; and whether the steps
//            it has shown are the first of an undisturbed run.

#include <fmt/ranges.h>
#include <seccomp.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <list>

#include "common/kernel/cgroups.h"
#include "tests/support/host_state.h"
#include "tests/support/lessons.h"
#include "tests/support/sabotage.h"

namespace steps {
namespace {

constexpr uid_t kNobody = 65534;
constexpr std::array kErrors = {EPERM, ENOMEM, EIO};
// A lesson that fails names the errno of a call, or a process.
constexpr const char* kReason =
    R"(\(E[A-Z0-9]+\)|filesystem error|ended early|has ended|was killed)"
    R"(|no answer|answered 0|in no )";
// Where one of these fails at its start, the loader ends it in its own way.
constexpr std::array<std::string_view, 4> kStartup = {"arch_prctl", "futex",
                                                      "mmap", "mprotect"};

// The cgroups in which the lessons make theirs.
std::list<Cgroup> cgroups;

enum Column { kCalls, kKills, kHangs, kResidues, kWrongEnds };
constexpr std::array kColumns = {"calls", "kills", "hangs", "residues",
                                 "wrong ends"};
using Row = std::array<int, kColumns.size()>;

template <typename Columns>
void Print(const std::string& name, const Columns& columns) {
  fmt::print("{:<18}{:>12}\n", name, fmt::join(columns, ""));
  std::fflush(stdout);
}

void EnterCgroups() {
  for (const char* controller : {"pids", "memory"}) {
    const auto place = FindCgroupPlace(controller);
    if (!place) continue;
    const std::string& path = cgroups.emplace_back(*place).path();
    for (const std::string& file : {path, path + "/cgroup.procs"}) {
      MUST(chown, file.c_str(), kNobody, kNobody);
    }
    WriteAll(Open(path + "/cgroup.procs", O_WRONLY).get(), "0");
  }
}

// Other IPC objects, mounts and interfaces, and no file of anybody else's.
void EnterStandIn() {
  MUST(unshare, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
  EnterContainer();
  for (const char* directory : {"/tmp", "/var/tmp", "/dev/shm"}) {
    MountTmpfs(directory);
  }
}

// The stand-in: other cgroups are somebody else's.
std::string Look() {
  return LookAtHost([](const std::string& line) {
    return !line.starts_with("cgroup ") ||
           std::ranges::any_of(cgroups, [&](const Cgroup& cgroup) {
             return line.find(cgroup.path() + "/") != std::string::npos;
           });
  });
}

// The titles of the steps that it has shown.
Words Steps(const std::string& output) {
  return Matches("\n" + output, "\n([0-9]+  [^\n]+)");
}

// Why this is no right end for a lesson, or nothing.
std::string WrongEnd(const Result& result, const Result& undisturbed) {
  static const std::regex kAll(R"(\n([0-9]+) of \1 claims hold)");
  const Words all = Steps(undisturbed.output);
  const Words shown = Steps(result.output);
  const bool fails = result.output.find("\n     FAILS ") != std::string::npos;
  if (std::ranges::mismatch(shown, all).in1 != shown.end()) {
    return "shows other steps";
  }
  if (!WIFEXITED(result.status)) return DescribeStatus(result.status);
  switch (WEXITSTATUS(result.status)) {
    case 0:
      return shown == all && !fails && std::regex_search(result.output, kAll)
                 ? ""
                 : "success without evidence";
    case 1:
      return fails || std::regex_search(result.errors, std::regex(kReason))
                 ? ""
                 : "fails without a reason";
    case 77:
      return result.errors.find("\n  cause ") != std::string::npos
                 ? ""
                 : "cannot run without a cause";
    case 127:  // The loader's.
      return result.output.empty() ? "" : "exit status 127";
    default:
      return DescribeStatus(result.status);
  }
}

class Soak {
 public:
  Soak(const std::string& lesson, bool as_nobody)
      : name_(fmt::format("{} {}", lesson, as_nobody ? "nobody" : "root")),
        command_({.program = "lessons/" + lesson, .as_nobody = as_nobody}),
        undisturbed_(RunCommand(command_)) {
    const auto begin = std::chrono::steady_clock::now();
    RunCommand(command_);
    Survivors();
    duration_ = std::chrono::steady_clock::now() - begin;
    if (undisturbed_.status == 0) return;
    ++row_[kWrongEnds];
    Tell("undisturbed", undisturbed_, "fails");
  }

  // Calls fail, one in each run. After the last, there are none.
  void FailCalls(int every) {
    for (int call = every, none = 0; none < 3; call += every) {
      const int error = kErrors[static_cast<std::size_t>(call / every) % 3];
      const LieResult result =
          RunWithLie(command_, fmt::format("any:{}=-{}", call, error), Look);
      none = result.told ? 0 : none + 1;
      if (!result.told) continue;
      ++row_[kCalls];
      const std::unique_ptr<char, void (*)(void*)> name(
          seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, result.number),
          std::free);
      const bool startup =
          std::ranges::find(kStartup, name.get()) != kStartup.end() &&
          result.output.empty();
      const std::string what =
          fmt::format("call {} ({}, {})", call, name.get(), ErrnoName(error));
      Judge(what, result, startup);
    }
  }

  // SIGKILL strikes the lesson or one of its children.
  void Kill(int times) {
    for (std::string before = Look(); times > 0; --times) {
      Program lesson(command_);
      striker_.Wait(duration_);
      const pid_t victim = striker_.Strike();
      if (victim > 0) ++row_[kKills];
      const std::string left = fmt::format("{}", fmt::join(Survivors(), ""));
      const LieResult result = {lesson.Await(), false, 0, left, before, Look()};
      Judge("SIGKILL", result,
            victim == lesson.pid() && result.status == SIGKILL);
      before = result.after;
    }
  }

  const std::string& name() const { return name_; }
  const Row& row() const { return row_; }

 private:
  void Tell(const std::string& what, const Result& result,
            const std::string& fault) const {
    fmt::print(stderr, "{}: {}: {}: {}\n{}", name_, what, fault,
               DescribeStatus(result.status), result.errors);
  }

  // `ended`: not in its own way.
  void Judge(const std::string& what, const LieResult& result, bool ended) {
    const std::string wrong = ended ? "" : WrongEnd(result, undisturbed_);
    if (!result.hung.empty()) {
      ++row_[kHangs];
      Tell(what, result, "hangs: " + result.hung);
    } else if (!wrong.empty()) {
      ++row_[kWrongEnds];
      Tell(what, result, wrong);
    }
    if (result.before == result.after) return;
    ++row_[kResidues];
    Tell(what, result, "residue:\n" + Difference(result.before, result.after));
    // Or the next run would: it is not to be blamed for what is gone.
    for (const Cgroup& cgroup : cgroups) {
      for (const auto& entry : fs::directory_iterator(cgroup.path())) {
        if (entry.is_directory()) rmdir(entry.path().c_str());
      }
    }
  }

  std::string name_;
  Command command_;
  Result undisturbed_;
  std::chrono::nanoseconds duration_;
  Row row_ = {};
  Striker striker_;
};

// Whether all went well.
bool SoakAll(int kills, int every, const std::set<std::string>& lessons) {
  Print("lesson", kColumns);
  Row all = {};
  const int runs = static_cast<int>(2 * lessons.size());
  for (const std::string& lesson : lessons) {
    for (const bool as_nobody : {false, true}) {
      Soak soak(lesson, as_nobody);
      soak.Kill((kills + runs - 1) / runs);
      soak.FailCalls(every);
      Print(soak.name(), soak.row());
      for (std::size_t i = 0; i < all.size(); ++i) all[i] += soak.row()[i];
    }
  }
  Print("all", all);
  return all[kHangs] + all[kResidues] + all[kWrongEnds] == 0;
}

int Main(int argc, char** argv) {
  const int kills = argc > 1 ? std::atoi(argv[1]) : 0;
  const int every = argc > 2 ? std::atoi(argv[2]) : 0;
  if (kills < 1 || every < 1) {
    fmt::print(stderr, "usage: {} KILLS EVERY [LESSON…]\n", argv[0]);
    return 2;
  }
  if (const std::string why = WhyNoLies(); !why.empty()) {
    fmt::print(stderr, "{}\n", why);
    return 77;
  }
  std::set<std::string> lessons(argv + 3, argv + argc);
  if (lessons.empty()) lessons = LessonNames();
  EnterCgroups();
  Become({.function = [&] {
    EnterStandIn();
    return SoakAll(kills, every, lessons) ? 0 : 1;
  }});
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  try {
    return steps::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
