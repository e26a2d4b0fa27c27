// What //lessons:setns does with a path of the reader's, such as that which
// another lesson's --shell prints:
//
//   bazel run //lessons:setns -- /proc/4242/ns/uts [COMMAND…]
//   bazel run //lessons:setns -- /proc/4242/ns/{mnt,pid} [COMMAND…]

#include "lessons/setns_join.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/call_error.h"
#include "common/command_line.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/namespaces.h"
#include "common/shell.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

// The namespace at `path`, open.
Descriptor OpenNamespace(Side& reader, const std::string& path) {
  Descriptor target(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int error =
      reader.Try(target.get(), "open(\"{}\", O_RDONLY)", path);
  if (error == ENOENT) {
    throw std::runtime_error(fmt::format(
        "there is no \"{}\": {}", path,
        path.starts_with("/proc/")
            ? "a process's links end with it"
            : "a namespace has a path such as /proc/4242/ns/uts"));
  }
  if (error != 0) throw CallError(error, fmt::format("open(\"{}\")", path));
  return target;
}

// The flag of its kind.
int TypeOf(Side& reader, const Descriptor& target,
           const std::string& path) {
  const int type = ioctl(target.get(), NS_GET_NSTYPE);
  if (reader.Try(type, "ioctl({}, NS_GET_NSTYPE)", target.get()) != 0) {
    throw UsageError(fmt::format("{} is no namespace", path));
  }
  return type;
}

// setns(2) asks for CAP_SYS_ADMIN twice: in the user namespace that owns
// the target, and in the caller's own. An ordinary user has the first,
// where it is the user who made the owner, and gets the second by joining
// the owner.
void JoinOwner(Lesson& lesson, const Descriptor& target) {
  Side& reader = lesson.outside();
  const Descriptor owner(ioctl(target.get(), NS_GET_USERNS));
  const int error =
      reader.Try(owner.get(), "ioctl({}, NS_GET_USERNS)", target.get());
  if (error != 0 || HasSysAdmin()) return;
  const std::string link = fmt::format("/proc/self/fd/{}", owner.get());
  if (FromLink("", link).value ==
      FromLink("", "/proc/self/ns/user").value) {
    return;
  }
  lesson.Note("Another user namespace owns it: that one is joined first.");
  const int result = setns(owner.get(), CLONE_NEWUSER);
  reader.Check(result, "setns({}, {})", owner.get(),
               CloneFlags(CLONE_NEWUSER));
}

// Whether this names a further namespace, and not the command.
bool IsLink(const std::string& word) {
  return word.starts_with("/proc/") &&
         word.find("/ns/") != std::string::npos;
}

// A mount namespace may have the /proc of a PID namespace in which this
// process has no number.
bool IsStrangeToProc() {
  return access("/proc/1", F_OK) == 0 && access("/proc/self", F_OK) == -1;
}

// Joins one namespace, the flag of whose kind is `type`.
void Join(Side& reader, const std::string& path, const Descriptor& target,
          int type) {
  const int result = setns(target.get(), 0);
  const int error = reader.Try(result, "setns({}, 0)", target.get());
  if (error == EINVAL && type == CLONE_NEWUSER) {
    throw UsageError(fmt::format("you are in {} already", path));
  }
  if (error != 0) {
    throw CallError(error, fmt::format("setns({}, 0)", target.get()));
  }
}

int JoinAndRun(Lesson& lesson, const std::vector<std::string>& words) {
  Side& reader = lesson.outside();
  // All are opened before one is joined: then /proc may be another.
  std::vector<Descriptor> targets;
  std::vector<int> types;
  int joined = 0;
  auto word = words.begin();
  do {
    targets.push_back(OpenNamespace(reader, *word));
    types.push_back(TypeOf(reader, targets.back(), *word));
    joined |= types.back();
    // To join a user namespace takes no privilege but in that one.
    if (types.back() != CLONE_NEWUSER) JoinOwner(lesson, targets.back());
  } while (++word != words.end() && IsLink(*word));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    Join(reader, words[i], targets[i], types[i]);
  }

  const bool in_child = (joined & CLONE_NEWPID) != 0;
  if ((joined & CLONE_NEWNS) != 0 && !in_child && IsStrangeToProc()) {
    lesson.Note(
        "There, /proc is that of another PID namespace: for ps, join that "
        "one, too.");
  }
  const std::string prompt =
      fmt::format("[joined {}] \\u@\\h:\\w\\$ ", KindNames(joined));
  const std::vector<std::string> command(word, words.end());
  if (!in_child) return BecomeCommand(command, prompt);
  lesson.Note(
      "A PID namespace takes in children only: the command is one.");
  return AwaitCommand(command, prompt);
}

}  // namespace

Task JoinTask() {
  return {.words = "PATH… [COMMAND…]",
          .help = "join that namespace",
          .example = "/proc/4242/ns/uts",
          .runs_command = true,
          .run = JoinAndRun};
}

}  // namespace steps
