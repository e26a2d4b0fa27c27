// What //lessons:setns does with paths of the reader's, such as those which
// another lesson's --shell prints:
//
//   bazel run //lessons:setns -- /proc/4242/ns/uts [COMMAND…]
//   bazel run //lessons:setns -- /proc/4242/ns/mnt /proc/4242/ns/pid ps -e
//   bazel run //lessons:setns -- NAME                 /run/netns/NAME

#include "lessons/setns_join.h"

#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"
#include "common/lesson/advice.h"
#include "common/program/shell.h"
#include "lessons/setns_target.h"

namespace steps {
namespace {

using Say = std::function<void(const std::string&)>;

// setns(2) requires CAP_SYS_ADMIN in the user namespace that owns the
// target, and for all kinds but user also in the caller's own. A user who
// made the owner has the first, and gets the second by joining the owner.
void JoinOwner(const Target& target, const Say& say) {
  if (HasCapabilities({CAP_SYS_ADMIN})) return;
  const Descriptor owner(ioctl(target.fd.get(), NS_GET_USERNS));
  if (owner.get() == -1 || IsIn(CLONE_NEWUSER, owner)) return;
  say("Another user namespace owns it: that one is joined first.");
  CALL(setns, owner.get(), CLONE_NEWUSER);
}

// Joins all of them, in this order.
void Join(const std::vector<Target>& targets, const Say& say) {
  for (const Target& target : targets) {
    if (target.kind != CLONE_NEWUSER) JoinOwner(target, say);
    const int flag = target.kind;
    try {
      CALL(setns, target.fd.get(), flag);
    } catch (const CallError& error) {
      if (error.error() != EINVAL || flag != CLONE_NEWPID) throw;
      throw ExplainedError(
          error.what(),
          {"That PID namespace is not below the one you are in.",
           "join it from a PID namespace above it"});
    }
  }
}

// Tries it in a child, because no call leads back.
bool CanJoin(const std::vector<Target>& targets) {
  const pid_t child = MUST(fork);
  if (child == 0) {
    ObserveCalls([](const Call&) {});
    try {
      Join(targets, [](const std::string&) {});
      _exit(EXIT_SUCCESS);
    } catch (const std::exception&) {
      _exit(EXIT_FAILURE);
    }
  }
  int status = 0;
  MUST(waitpid, child, &status, 0);
  return status == 0;
}

// An ordinary user gets the privilege for the others in a user namespace,
// where root might lose it. A new root directory may have another /proc.
void Sort(std::vector<Target>& targets, bool user_first) {
  std::ranges::stable_sort(targets, {}, [user_first](const Target& target) {
    if (target.kind == CLONE_NEWUSER) return user_first ? 0 : 3;
    return target.kind == CLONE_NEWNS ? 2 : 1;
  });
}

// A mount namespace may have the /proc of a PID namespace in which this
// process has no number.
bool IsStrangeToProc() {
  return access("/proc/1", F_OK) == 0 && access("/proc/self", F_OK) == -1;
}

// What is still mounted here is of the namespace that was left.
void SayWhatIsOld(Lesson& lesson, int joined) {
  if ((joined & CLONE_NEWNS) != 0) {
    if ((joined & CLONE_NEWPID) == 0 && IsStrangeToProc()) {
      lesson.Note(
          "There, /proc is that of another PID namespace: for ps, join that "
          "one, too.");
    }
    return;
  }
  if ((joined & CLONE_NEWPID) != 0) {
    lesson.Note(
        "/proc is still that of the PID namespace you come from: for ps, "
        "join the mount namespace, too.");
  }
  if ((joined & CLONE_NEWNET) != 0) {
    lesson.Note(
        "/sys is still that of the network namespace you come from: "
        "/sys/class/net shows its interfaces.");
  }
}

int JoinAndRun(Lesson& lesson, const std::vector<std::string>& words) {
  std::vector<std::string> paths = {PathOf(words.front())};
  auto word = words.begin();
  while (++word != words.end() && IsNamespace(*word)) paths.push_back(*word);
  if (word != words.end() && *word == "--") ++word;
  std::vector<Target> targets = OpenTargets(lesson, paths);
  const bool user_first = !HasCapabilities({CAP_SYS_ADMIN});
  Sort(targets, user_first);
  if (!CanJoin(targets)) {
    Sort(targets, !user_first);
    if (!CanJoin(targets)) Sort(targets, user_first);
  }
  Join(targets, [&](const std::string& text) { lesson.Note(text); });

  int joined = 0;
  for (const Target& target : targets) joined |= target.kind;
  SayWhatIsOld(lesson, joined);
  const std::string prompt =
      fmt::format("[joined {}] \\u@\\h:\\w\\$ ", KindNames(joined));
  const std::vector<std::string> command(word, words.end());
  if ((joined & CLONE_NEWPID) == 0) return BecomeCommand(command, prompt);
  lesson.Note("A PID namespace takes in children only: the command is one.");
  try {
    return AwaitCommand(command, prompt);
  } catch (const CallError& error) {
    if (error.error() != ENOMEM || error.call().text != "fork()") throw;
    throw ExplainedError(
        error.what(),
        {"PID 1 of that PID namespace has ended: nothing starts in there any "
         "more.",
         "join a PID namespace that still has its PID 1"});
  }
}

}  // namespace

Task JoinTask() {
  return {.words = "PATH… [--] [COMMAND…]",
          .help = "join that namespace",
          .example = "/proc/4242/ns/uts",
          .runs_command = true,
          .run = JoinAndRun};
}

}  // namespace steps
