// Cgroup namespaces: a private root of the tree.       cgroup_namespaces(7)
//
//   bazel run //lessons:cgroup                the lesson
//   bazel run //lessons:cgroup -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace. To
// make cgroups takes root, or a cgroup that is delegated to the user.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/kernel/cgroups.h"
#include "common/program/program.h"

namespace steps {

// Set before any process is cloned, so that each has a copy.
std::optional<Cgroup> group;  // The lesson's, where it may make one.
std::string controllers;      // Of the hierarchy that is looked at.

const auto kNamespace = LinkProbe("cgroup ns", "/proc/self/ns/cgroup");

// Where a process is. The lesson's cgroup is "…".
static auto PathOf(const char* label, pid_t pid) {
  const auto read = [pid] {
    const std::string path = CgroupsOf(pid).at(controllers);
    const std::size_t below = path.find('/', path.rfind(kCgroupPrefix));
    return below == std::string::npos ? path : "…" + path.substr(below);
  };
  return Probe{label, ProcPath(pid, "cgroup"), read};
}

// Files command a cgroup.
static void WriteTo(const char* file, const std::string& text) {
  const Descriptor directory = Open(group->path(), O_PATH);
  const Descriptor command(CALL(openat, directory.get(), file, O_WRONLY));
  CALL(write, command.get(), text.c_str(), text.size());
}

// A child that ends at once.
static pid_t fork() {
  const pid_t pid = ::fork();
  if (pid == 0) _exit(EXIT_SUCCESS);
  if (pid > 0) waitpid(pid, nullptr, 0);
  return pid;
}

// The hierarchy in which this process is below the root, or version 2.
static std::string FindHierarchy() {
  for (const auto& [hierarchy, cgroup] : CgroupsOf(getpid())) {
    if (cgroup != "/") return hierarchy;
  }
  return "";
}

// Makes the lesson's cgroup, where it may, and says whether it did.
static Outcome MakeGroup(Lesson& lesson) {
  controllers = FindHierarchy();
  const auto place = FindCgroupPlace("pids");
  if (!place) return {std::nullopt, "No cgroup here has children with pids."};
  return lesson.Attempt([&] {
    group.emplace(*place);
    std::filesystem::create_directories(group->path() + "/a/b");
    controllers = place->controllers;
    return true;
  });
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step(
      "Control: without CLONE_NEWCGROUP, a child reads the same paths",
      "A cgroup is a directory. `…` stands for one that the lesson makes.");
  Outcome limit = MakeGroup(lesson);
  Process above = outside.Clone("upper", 0);
  Process inside = outside.Clone("inside", 0);
  if (group) {
    WriteTo("a/cgroup.procs", std::to_string(above.pid()));
    WriteTo("a/b/cgroup.procs", std::to_string(inside.pid()));
  }
  const auto upper = PathOf("path of upper", above.pid());
  const auto lower = PathOf("path of inside", inside.pid());
  const Evidence before = outside.Ask(upper, lower, kNamespace);
  lesson.Claim("Without CLONE_NEWCGROUP, a child reads its parent's paths.",
               inside.Ask(upper, lower, kNamespace) == before);

  lesson.Predict(
      "`inside` makes a cgroup namespace. What is its own path then?",
      {"/", "the same as before", "/..", "(none)"});

  lesson.Step("With CLONE_NEWCGROUP, its own cgroup is the root");
  inside.Run([] { CALL(unshare, CLONE_NEWCGROUP); });
  const Evidence made = inside.Ask(upper, lower, kNamespace);
  lesson.Answer(made[lower], "Paths begin at the namespace's root.");
  lesson.Claim("With CLONE_NEWCGROUP, it is in a new cgroup namespace.",
               made[kNamespace] != before[kNamespace]);
  lesson.Claim("Inside, the cgroup in which it was is the root: \"/\".",
               before[lower] == "/"
                   ? Outcome{std::nullopt, "It was in the root before."}
                   : Outcome{made[lower] == "/"});
  lesson.Claim("Inside, the path of a process above begins with \"/..\".",
               group ? Outcome{made[upper] == "/.."} : limit);
  const Evidence after = outside.Ask(upper, lower, kNamespace);
  lesson.Claim("Outside, all paths are the same as before.", after == before);

  lesson.Step("A limit that was set outside holds inside",
              "pids.max is how many tasks may be there. There are two.");
  if (group) {
    limit = lesson.Attempt([&] {
      WriteTo("pids.max", "2");
      const bool refused = inside.Run([] { return TRY(fork) == EAGAIN; });
      WriteTo("pids.max", "3");
      return refused && inside.Run([] { return TRY(fork) == 0; });
    });
  }
  lesson.Claim("A limit that was set outside holds inside (EAGAIN).", limit);

  lesson.Compare(before, made, after);
  lesson.Remember("A cgroup namespace hides a path. The cgroup sets limits.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  const int status = steps::RunLesson(
      {"cgroup", "Cgroup namespaces: a private root", "cgroup_namespaces(7)"},
      steps::Teach, argc, argv);
  const bool removed = !steps::group || steps::group->Remove();
  return removed ? status : EXIT_FAILURE;
}
