// Cgroup namespaces: a private root of the tree.       cgroup_namespaces(7)
//
//   bazel run //lessons:cgroup                the lesson
//   bazel run //lessons:cgroup -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace. To
// make cgroups takes root, or a cgroup that is delegated to the user.

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/kernel/cgroups.h"
#include "common/program/program.h"

namespace steps {
namespace {

// Set before any process is cloned, so that each has a copy.
std::optional<Cgroup> group;  // The lesson's, where it may make one.
std::string group_path;       // As /proc/PID/cgroup has it.
std::string controllers;      // Of the hierarchy that is looked at.
std::string directory;        // Of the group.

auto PathOf(const char* label, pid_t pid) {
  return Probe{label, fmt::format("/proc/{}/cgroup", pid), [pid] {
                 const std::string path = CgroupOf(pid, controllers);
                 return group_path.empty() || !path.starts_with(group_path)
                            ? path
                            : "…" + path.substr(group_path.size());
               }};
}
const Probe kNamespace{"cgroup ns", "/proc/self/ns/cgroup",
                       [] { return ReadLink("/proc/self/ns/cgroup"); }};

// Files command a cgroup. A write of 0 to cgroup.procs moves the writer.
void WriteTo(const char* file, const char* text) {
  MUST(chdir, directory.c_str());
  const int fd = CALL(open, file, O_WRONLY | O_CLOEXEC);
  CALL(write, fd, text, std::strlen(text));
  MUST(close, fd);
  MUST(chdir, "/");
}

// A child, or a thread, that ends at once.
pid_t fork() {
  const pid_t pid = ::fork();
  if (pid == 0) _exit(EXIT_SUCCESS);
  if (pid > 0) waitpid(pid, nullptr, 0);
  return pid;
}

int pthread_create() {
  pthread_t thread = {};
  const auto run = [](void*) -> void* { return nullptr; };
  errno = ::pthread_create(&thread, nullptr, run, nullptr);
  return errno == 0 ? pthread_join(thread, nullptr) : -1;
}

// The hierarchy in which this process is below the root, if there is one.
void LookWhereItIs() {
  for (const Membership& membership : MembershipsOf(getpid())) {
    controllers = membership.controllers;
    if (membership.cgroup != "/") break;
  }
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step(
      "Control: without CLONE_NEWCGROUP, a child reads the same paths",
      "A cgroup is a directory in a tree. /proc/PID/cgroup has the path "
      "of a process there.");
  Outcome limit = {std::nullopt, "No cgroup here has children with pids."};
  if (const auto place = FindCgroupPlace("pids")) {
    limit = lesson.Attempt([&] {
      group.emplace(*place, std::vector<std::string>{"a", "a/b"});
      return true;
    });
    controllers = place->controllers;
    group_path = (place->cgroup == "/" ? "" : place->cgroup);
  }
  if (group) {
    lesson.Note("`…` is the lesson's cgroup, which ends with it.");
    directory = group->path();
    group_path += directory.substr(directory.rfind('/'));
  } else {
    group_path.clear();
    LookWhereItIs();
    lesson.Note("No cgroup can be made here: both stay where they are.");
  }
  Process above = outside.Clone("upper", 0);
  Process inside = outside.Clone("inside", 0);
  if (group) {
    above.Run([] { WriteTo("a/cgroup.procs", "0"); });
    inside.Run([] { WriteTo("a/b/cgroup.procs", "0"); });
  }
  const auto upper = PathOf("path of upper", above.pid());
  const auto lower = PathOf("path of inside", inside.pid());
  const Evidence before = outside.Ask(upper, lower, kNamespace);
  lesson.Claim(
      "Without CLONE_NEWCGROUP, a child reads the paths that its parent "
      "reads.",
      inside.Ask(upper, lower, kNamespace) == before);

  if (group) {
    lesson.Predict(
        "`inside` makes a cgroup namespace, whose root is then …/a/b. "
        "Which "
        "path does it read for `upper`, which is in …/a?",
        {"/..", "…/a", "/", "(none)"});
  } else {
    lesson.Predict(
        "`inside` makes a cgroup namespace, and stays in its cgroup. Which "
        "path does it read for itself?",
        {"/", "/..", "/inside", "(none)"});
  }

  lesson.Step("With CLONE_NEWCGROUP, its own cgroup is the root");
  inside.Run([] { CALL(unshare, CLONE_NEWCGROUP); });
  const Evidence made = inside.Ask(upper, lower, kNamespace);
  lesson.Claim("With CLONE_NEWCGROUP, it is in a new cgroup namespace.",
               made[kNamespace] != before[kNamespace]);
  lesson.Claim("Inside, the cgroup in which it was is the root: \"/\".",
               before[lower] == "/"
                   ? Outcome{std::nullopt, "It was in the root before."}
                   : Outcome{made[lower] == "/"});
  lesson.Claim("Inside, the path of a process above begins with \"/..\".",
               group ? Outcome{made[upper] == "/.."} : limit);
  lesson.Answer(made[group ? upper : lower],
                "Paths begin at the root of the reader's cgroup namespace; "
                "what is above it is not hidden, only its name is.");
  const Evidence after = outside.Ask(upper, lower, kNamespace);
  lesson.Claim("Outside, all paths are the same as before.", after == before);

  lesson.Step(
      "A limit that was set outside holds inside",
      "pids.max counts tasks, threads too. Outside sets it to the two "
      "that there are.");
  if (group) {
    limit = lesson.Attempt([&] {
      outside.Run([] { WriteTo("pids.max", "2"); });
      const bool refused = inside.Run([] {
        return TRY(fork) == EAGAIN && TRY(pthread_create) == EAGAIN;
      });
      outside.Run([] { WriteTo("pids.max", "3"); });
      return refused && inside.Run([] { return TRY(fork) == 0; });
    });
  }
  lesson.Claim("A limit that was set outside holds inside (EAGAIN).", limit);

  lesson.Compare(before, made, after);
  lesson.Remember(
      "A cgroup namespace hides the path of a cgroup. What limits a "
      "process "
      "is its cgroup.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  const int status = steps::RunLesson(
      {"cgroup", "Cgroup namespaces: a private root", "cgroup_namespaces(7)"},
      steps::Teach, argc, argv);
  const bool removed = !steps::group || steps::group->Remove();
  return removed ? status : EXIT_FAILURE;
}
