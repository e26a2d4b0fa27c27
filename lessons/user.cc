// User namespaces: root inside, not outside.             user_namespaces(7)
//
//   bazel run //lessons:user                the lesson
//   bazel run //lessons:user -- --shell     and a shell inside
//
// Needs no capability: root becomes an ordinary user first.

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/program/program.h"
#include "lessons/user_ordinary.h"

namespace steps {

const Probe kUid{"uid", "geteuid(2)", geteuid};
const Probe kGid{"gid", "getegid(2)", getegid};
const auto kCaps = FieldProbe("capabilities", "/proc/self/status", "CapEff");
const auto kNamespace = LinkProbe("user namespace", "/proc/self/ns/user");
const auto kOverflow = FileProbe("overflow", "/proc/sys/kernel/overflowuid");
const auto kSetgroups = FileProbe("setgroups", "/proc/self/setgroups");
const Probe kHostname{"hostname", "uname(2)",
                      [] { return std::string(Uname().nodename); }};
// grep(1) reads its own status: what execve(2) has left.
const Probe kAfterExec{
    "after execve", "$ grep CapEff /proc/self/status", [] {
      const auto line = RunTool({"grep", "CapEff", "/proc/self/status"});
      return line.substr(line.find('\t') + 1);
    }};

static Evidence AskWho(Process& process) {
  return process.Ask(kUid, kGid, kCaps, kNamespace);
}

// The owner of a file that the process `pid` has open.
static auto OwnerOf(pid_t pid, int fd) {
  const auto read = [pid, fd] {
    struct stat file = {};
    MUST(stat, ProcPath(pid, "fd/" + std::to_string(fd)).c_str(), &file);
    return file.st_uid;
  };
  return Probe{"file's uid", ProcPath(pid, "fd/" + std::to_string(fd)), read};
}

// Writes a map in which `id` outside is 0 inside. Gives the errno.
static int Map(const std::string& name, unsigned id) {
  const std::string map = "0 " + std::to_string(id) + " 1";
  const int file = CALL(open, ("/proc/self/" + name).c_str(), O_WRONLY);
  return TRY(write, file, map.c_str(), map.size());
}

static void Must(int error, const char* what) {
  if (error != 0) throw CallError(error, what);
}

static std::string LinkOf(int fd) {
  return ReadLink("/proc/self/fd/" + std::to_string(fd));
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWUSER, a child cannot become root",
              "The child tries to write a uid map in which it is root.");
  BecomeOrdinary(lesson.machine());
  const Evidence before = AskWho(outside);
  const auto map_uid = [uid = geteuid()] { return Map("uid_map", uid); };
  const auto map_gid = [gid = getegid()] { return Map("gid_map", gid); };
  Process child = outside.Clone("child", 0);
  lesson.Claim("Without CLONE_NEWUSER, a child may not write its uid map.",
               child.Run(map_uid) == EPERM);

  lesson.Predict("What is the uid in a new user namespace without a map?",
                 {kOverflow.read(), "0", "100000, from /etc/subuid", "-1"});

  lesson.Step("With CLONE_NEWUSER, it has all capabilities, and no uid",
              "CapEff has one bit for each capability.");
  Process inside = outside.Clone("inside", CLONE_NEWUSER);
  const Evidence fresh = AskWho(inside);
  lesson.Answer(fresh[kUid], "It stands for any uid that is not mapped.");
  const int last = std::stoi(ReadText("/proc/sys/kernel/cap_last_cap"));
  lesson.Claim("In a new user namespace, a child has all capabilities.",
               std::stoull(fresh[kCaps], nullptr, 16) == (2ULL << last) - 1 &&
                   fresh[kNamespace] != before[kNamespace]);
  lesson.Claim("Without a map, its uid is the overflow uid.",
               fresh[kUid] == outside.Ask(kOverflow));
  const std::string left = inside.Ask(kAfterExec);
  lesson.Claim("execve(2) drops the capabilities of a process without a map.",
               IsMissing(left)
                   ? Outcome{std::nullopt, "grep is not installed."}
                   : Outcome{left == "0000000000000000"});

  lesson.Step("A map makes it root; setgroups(2) is denied first",
              "A map: the first ID inside, the first outside, how many.");
  Outcome order = {std::nullopt, "An outer user namespace denied it before."};
  if (inside.Ask(kSetgroups) == "allow") {
    order = {inside.Run(map_gid) == EPERM};
    inside.Run([] {
      CALL(write, CALL(open, "/proc/self/setgroups", O_WRONLY), "deny", 4);
    });
  }
  Must(inside.Run(map_gid), "write(\"/proc/self/gid_map\")");
  Must(inside.Run(map_uid), "write(\"/proc/self/uid_map\")");
  lesson.Claim("A user must deny setgroups before writing a gid map.", order);
  lesson.Claim("A map is written once: the second write is refused.",
               inside.Run(map_uid) == EPERM);
  const Evidence root = AskWho(inside);
  lesson.Claim("With both maps, its uid and gid are 0.",
               root[kUid] == "0" && root[kGid] == "0");

  lesson.Step("Outside, the process and its file are an ordinary user's");
  const int fd = inside.Run([] { return CALL(memfd_create, "file", 0); });
  const auto process = StatusOf(inside.pid(), "Uid");
  const auto file = OwnerOf(inside.pid(), fd);
  const Evidence there = outside.Ask(process, file);
  lesson.Claim("Root inside, and its files, are an ordinary user's outside.",
               inside.Ask(file) == "0" && there[file] == before[kUid] &&
                   there[process].starts_with(before[kUid] + " "));

  lesson.Step("Its capabilities count only in its own user namespace");
  const int refused = inside.Run([] {
    const std::string name = kHostname.read();  // Which it has already.
    return TRY(sethostname, name.c_str(), name.size());
  });
  inside.Run([] { CALL(unshare, CLONE_NEWUTS); });
  inside.MustDiffer(outside, CLONE_NEWUTS);
  inside.Run([] { CALL(sethostname, "container_001", 13); });
  lesson.Claim("Root inside may rename only a UTS namespace that it made.",
               refused == EPERM && inside.Ask(kHostname) == "container_001");
  const Evidence after = AskWho(outside);
  lesson.Claim("Outside, nothing has changed.", after == before);

  lesson.Step("ioctl_ns(2) tells the parent and the owner of a namespace");
  const std::string links = ProcPath(inside.pid(), "ns/");
  const int user = CALL(open, (links + "user").c_str(), O_RDONLY);
  const int uts = CALL(open, (links + "uts").c_str(), O_RDONLY);
  const Probe parent{"parent", "NS_GET_PARENT", [user] {
                       return LinkOf(CALL(ioctl, user, NS_GET_PARENT));
                     }};
  const Probe owner{"owner's uid", "NS_GET_OWNER_UID", [user] {
                      uid_t uid = 0;
                      CALL(ioctl, user, NS_GET_OWNER_UID, &uid);
                      return uid;
                    }};
  const Probe above{"UTS owner", "NS_GET_USERNS", [uts] {
                      return LinkOf(CALL(ioctl, uts, NS_GET_USERNS));
                    }};
  const Evidence tree = outside.Ask(parent, owner, above);
  lesson.Claim(
      "The new namespace's parent is the one outside, its owner the user.",
      tree[parent] == before[kNamespace] && tree[owner] == before[kUid]);
  lesson.Claim("The new user namespace owns the UTS namespace made in it.",
               tree[above] == root[kNamespace]);

  lesson.Compare(before, root, after);
  lesson.Remember("Root in a user namespace is an ordinary user outside.");
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"user",
                           "User namespaces: root inside, not outside",
                           "user_namespaces(7)",
                           {}},
                          steps::Teach, argc, argv);
}
