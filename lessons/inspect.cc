// inspect: which namespaces is a process in?                  namespaces(7)
//
//   bazel run //lessons:inspect                the lesson
//   bazel run //lessons:inspect -- --shell     and a shell inside
//   bazel run //lessons:inspect -- 1 4242      compare these processes
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/program/program.h"
#include "lessons/inspect_table.h"

namespace steps {

const auto kHostname = FileProbe("hostname", "/proc/sys/kernel/hostname");

// The kinds in which the process that is asked differs from `pid`.
static auto Differs(pid_t pid) {
  const auto read = [pid] { return KindNames(Difference(pid)); };
  return Probe{"differs in", fmt::format("from PID {}: stat(2)", pid), read};
}

// Where a link in /proc/self/ns leads, or why it leads nowhere.
static auto Link(const char* label, const char* name) {
  const auto read = [name] {
    std::error_code error;
    const std::string link = fmt::format("/proc/self/ns/{}", name);
    const std::string target = std::filesystem::read_symlink(link, error);
    return error ? ErrnoName(error.value()) : target;
  };
  return Probe{label, name, read};
}

// Whether each link has the inode number that stat(2) gives.
static bool HaveInodes(const Evidence& links) {
  return std::ranges::all_of(links.findings, [](const Finding& link) {
    struct stat status = {};
    MUST(stat, link.source.c_str(), &status);
    return link.value.ends_with(fmt::format(":[{}]", status.st_ino));
  });
}

// unshare(flag) leaves the caller where it is: only its next children move.
static void Foretell(Lesson& lesson, int flag, const char* own,
                     const char* next) {
  lesson.Claim(
      fmt::format("{} leads to where the next child will be.", next), [&] {
        Process caller = lesson.outside().Clone("caller", 0);
        caller.Run([flag] { CALL(unshare, flag); });
        const std::string stays = caller.Ask(Link("itself", own));
        caller.Ask(Link("next child", next));
        const Process first = caller.Clone("first", 0);
        const std::string foretold = caller.Ask(Link("next child", next));
        Process second = caller.Clone("second", 0);
        return foretold != stays &&
               second.Ask(Link("itself", own)) == foretold;
      });
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Before: a link for each kind of namespace",
              "Its text is the kind and an inode number.");
  const Evidence before = outside.Show(LinksOf(outside.pid()));
  lesson.Claim("In /proc/PID/ns, a process has a link for each kind.",
               HaveInodes(before));

  lesson.Predict(
      "How many namespaces does a forked child share with its parent?",
      {"all", "all but pid", "none", "only user"});

  lesson.Step("Control: a forked child shares them all",
              "Compared are the device and inode that stat(2) gives.");
  Process plain = outside.Clone("child", 0);
  const std::string differs = outside.Ask(Differs(plain.pid()));
  lesson.Answer(differs == "(none)" ? "all" : "all but " + differs,
                "It has another PID, in the same PID namespace.");
  lesson.Claim("A forked child shares all its namespaces with its parent.",
               differs == "(none)");

  lesson.Step("With CLONE_NEWUTS, a child differs in uts alone");
  Process inside = outside.Clone("inside", CLONE_NEWUTS);
  lesson.Claim(
      "With CLONE_NEWUTS, a child differs in uts, and in nothing else.",
      outside.Ask(Differs(inside.pid())) == "uts");

  lesson.Step("The same device and inode: the same namespace",
              "`inside` renames itself, then forks `member`.");
  const std::string name = Uname().nodename;
  inside.Run([] { CALL(sethostname, "container_001", 13); });
  Process member = inside.Clone("member", 0);
  const std::string none = member.Ask(Differs(inside.pid()));
  lesson.Claim("The same device and inode means the same namespace.",
               none == "(none)" && member.Ask(kHostname) == "container_001" &&
                   outside.Ask(kHostname) == name);

  lesson.Step("pid_for_children: where the next child will be",
              "It leads nowhere (ENOENT) until the first child is PID 1.");
  Foretell(lesson, CLONE_NEWPID, "pid", "pid_for_children");

  lesson.Step("time_for_children: the same for the time namespace",
              "It leads there at once: no PID 1 is needed.");
  Foretell(lesson, CLONE_NEWTIME, "time", "time_for_children");

  lesson.Compare(before, LinksOf(inside.pid()), LinksOf(outside.pid()));
  lesson.Remember(
      "Processes share a namespace if their links have the same inode.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      {"inspect", "inspect: which namespaces is a process in?",
       "namespaces(7)"},
      steps::Teach, argc, argv,
      steps::Task{"PID…", "compare these processes", "1 4242", false,
                  steps::CompareNamed});
}
