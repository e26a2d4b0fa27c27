// What each exercise asks for.

#include "lessons/check/exercises.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>

#include "common/program/command_line.h"

namespace steps {
namespace {

using Need = Exercise::Need;

// Most is a process that lives: Judge() has seen to that.
Need IsNew(int kind, const std::string& otherwise) {
  return {[kind](const XRay& xray) { return xray.Most()->Has(kind); },
          otherwise};
}

// A need that the probe saw inside.
Need Sees(const std::function<bool(const View&)>& met,
          const std::string& otherwise) {
  return {[met](const XRay& xray) {
            return xray.Most()->view && met(*xray.Most()->view);
          },
          otherwise};
}

Need IsRenamed() {
  return {[](const XRay& xray) {
            return xray.Most()->view &&
                   xray.Most()->view->hostname != xray.before.hostname;
          },
          "The new UTS namespace still has the host's name: sethostname(2) "
          "was not called in it."};
}

Need HasPid1() {
  return {[](const XRay& xray) {
            return std::ranges::any_of(
                xray.processes, [](const Inside& inside) {
                  return inside.Has(CLONE_NEWPID) && inside.own_pid == 1;
                });
          },
          "None of your processes is PID 1 in a new PID namespace."};
}

// An interface that is up, but for lo.
bool HasLink(const View& view) {
  std::string all = view.interfaces + ",";
  const std::size_t lo = all.find("lo up,");
  if (lo != std::string::npos) all.erase(lo, 6);
  return all.find(" up,") != std::string::npos;
}

std::vector<Exercise> MakeExercises() {
  return {
      {"uts",
       "Rename yourself, and not the host",
       "uts",
       {"host-renamed"},
       {IsNew(CLONE_NEWUTS, "No process is in a new UTS namespace."),
        IsRenamed()}},
      {"setns",
       "Join a UTS namespace that exists",
       "setns",
       {"host-renamed"},
       {{[](const XRay& xray) {
           return std::ranges::any_of(
               xray.processes, [&xray](const Inside& inside) {
                 return xray.target &&
                        xray.observation.tasks.at(inside.pid).reads &&
                        inside.namespaces.at(CLONE_NEWUTS) == *xray.target;
               });
         },
         "The process that reads is not in the namespace that was to be "
         "joined. A new namespace with the same name is another one, and a "
         "child that joins does not take its parent along."}},
       false,
       true},
      {"ipc",
       "A queue that only you can see",
       "ipc",
       {"host-ipc"},
       {IsNew(CLONE_NEWIPC, "No process is in a new IPC namespace."),
        Sees([](const View& view) { return view.ipc == "1 queue"; },
             "There is no queue inside: msgget(2) was not called in the new "
             "namespace.")}},
      {"pid",
       "Be PID 1",
       "pid",
       {"no-fork"},
       {IsNew(CLONE_NEWPID, "No process is in a new PID namespace."),
        HasPid1()}},
      {"proc",
       "A /proc that fits",
       "mount",
       {"host-mounted", "host-unmounted", "host-propagation", "old-proc"},
       {IsNew(CLONE_NEWPID, "No process is in a new PID namespace."),
        IsNew(CLONE_NEWNS, "No process is in a new mount namespace.")}},
      {"mount",
       "Receive the host's mounts, and keep your own",
       "mount",
       {"host-mounted", "host-propagation"},
       {IsNew(CLONE_NEWNS, "No process is in a new mount namespace."),
        {[](const XRay& xray) {
           const Mount* mount = MountAt(xray.Most()->mounts, "/mnt");
           return mount != nullptr && mount->type == "tmpfs";
         },
         "Inside, no tmpfs is mounted on /mnt."},
        {[](const XRay& xray) {
           return std::ranges::none_of(
               xray.after.mounts, [&xray](const Mount& mount) {
                 const Mount* own = MountAt(xray.Most()->mounts, mount.point);
                 return own == nullptr || Propagation(*own) != "slave";
               });
         },
         "What the host mounts later does not arrive inside: not all of the "
         "mounts are slaves. MS_PRIVATE cuts both ways, MS_SLAVE one; "
         "without MS_REC, only one mount is changed."}}},
      {"unshare",
       "Move yourself; for a PID, send a child",
       "unshare",
       {"no-fork"},
       {{[](const XRay& xray) {
           return std::ranges::any_of(
               xray.processes, [](const Inside& inside) {
                 return inside.Has(CLONE_NEWUTS) && !inside.Has(CLONE_NEWPID);
               });
         },
         "The program itself is not in a new UTS namespace: unshare(2) moves "
         "its caller, clone(2) only the child."},
        HasPid1()}},
      {"init", "An init that reaps", "pid", {"zombies"}, {HasPid1()}},
      {"user",
       "Root without root",
       "user",
       {"unmapped"},
       {IsNew(CLONE_NEWUSER, "No process is in a new user namespace."),
        {[](const XRay& xray) {
           return xray.Most()->uid_map == "0 1000 1" &&
                  xray.Most()->gid_map == "0 1000 1";
         },
         "The user inside is not root: the maps do not begin with 0."},
        {[](const XRay& xray) {
           return !xray.Most()->capabilities.starts_with("0 ");
         },
         "The user inside has no capabilities: the maps were written after "
         "execve(2), which takes them from a user who is not 0."}},
       true},
      {"net",
       "lo, and a link to the host",
       "net",
       {"lo-down"},
       {IsNew(CLONE_NEWNET, "No process is in a new network namespace."),
        Sees(HasLink,
             "Inside, no end of a veth pair is up: move one there (ip link "
             "set NAME netns PID), and bring up both."),
        {[](const XRay& xray) { return HasLink(xray.after); },
         "On the host, no end of a veth pair is up."}}},
      {"pivot_root",
       "Another root, and no way back",
       "chroot",
       {"chroot", "old-root", "host-mounted", "host-unmounted",
        "host-propagation"},
       {IsNew(CLONE_NEWNS, "No process is in a new mount namespace."),
        Sees([](const View& view) { return view.other_root; },
             "The root directory is still the host's.")}},
      {"container",
       "A container of your own",
       "container",
       {"host-renamed", "host-mounted", "host-unmounted", "host-propagation",
        "host-ipc", "no-fork", "old-proc", "zombies", "lo-down", "chroot",
        "old-root"},
       {IsNew(CLONE_NEWUTS, "The container has no UTS namespace of its own."),
        IsNew(CLONE_NEWIPC, "The container has no IPC namespace of its own."),
        IsNew(CLONE_NEWPID, "The container has no PID namespace of its own."),
        IsNew(CLONE_NEWNS,
              "The container has no mount namespace of its own."),
        IsNew(CLONE_NEWNET,
              "The container has no network namespace of its own."),
        IsRenamed(), HasPid1(),
        Sees([](const View& view) { return view.other_root; },
             "The root directory is still the host's.")}}};
}

}  // namespace

const std::vector<Exercise>& Exercises() {
  static const std::vector<Exercise> exercises = MakeExercises();
  return exercises;
}

const Exercise& ExerciseOf(const std::string& name) {
  const auto found = std::ranges::find(Exercises(), name, &Exercise::name);
  if (found != Exercises().end()) return *found;
  std::vector<std::string> names;
  for (const Exercise& each : Exercises()) names.push_back(each.name);
  throw UsageError(fmt::format("there is no exercise {}, but: {}", name,
                               fmt::join(names, ", ")));
}

std::string Judge(const Exercise& exercise, const XRay& xray,
                  const std::vector<Mistake>& mistakes) {
  std::vector<std::string> wrong = {"compile", "stopped", "ended",
                                    "parent-gone"};
  wrong.insert(wrong.begin(), exercise.wrong.begin(), exercise.wrong.end());
  for (const Mistake& mistake : mistakes) {
    if (std::ranges::find(wrong, mistake.id) != wrong.end()) {
      return mistake.text;
    }
  }
  if (!xray.inside) return "No process of the program could be looked at.";
  for (const Need& need : exercise.needs) {
    if (!need.met(xray)) return need.otherwise;
  }
  return "";
}

}  // namespace steps
