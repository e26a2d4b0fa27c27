// User namespaces: root inside, not outside.             user_namespaces(7)
//
//   bazel run //lessons:user                the lesson
//   bazel run //lessons:user -- --shell     and a shell inside
//
// Needs no capability: root becomes an ordinary user first.

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <climits>

#include "common/kernel/descriptor.h"
#include "common/kernel/user_namespace.h"
#include "common/program/program.h"

namespace steps {
namespace {

// Of all capabilities that the kernel knows, those in `mask`: CapEff of
// /proc/PID/status, in hexadecimal.
std::string Share(const std::string& mask) {
  const int set = std::popcount(std::stoull(mask, nullptr, 16));
  const int last = std::stoi(ReadText("/proc/sys/kernel/cap_last_cap"));
  return set == 0 ? "none" : set > last ? "all" : "some";
}

const Probe kUid{
    "uid", "geteuid(2), " + ToolSource("id"), [] {
      return Agreed({std::to_string(geteuid()), RunTool({"id", "-u"})});
    }};
const Probe kGid{"gid", "getegid(2)",
                 [] { return std::to_string(getegid()); }};
const Probe kCapabilities{
    "capabilities", "CapEff in /proc/self/status",
    [] { return Share(ReadField("/proc/self/status", "CapEff")); }};
const Probe kNamespace{"user namespace", "/proc/self/ns/user",
                       [] { return ReadLink("/proc/self/ns/user"); }};
const Probe kOverflow{"overflow uid", "/proc/sys/kernel/overflowuid", [] {
                        return ReadText("/proc/sys/kernel/overflowuid");
                      }};
const Probe kSetgroups{"setgroups", "/proc/self/setgroups",
                       [] { return ReadText("/proc/self/setgroups"); }};
// grep(1) reads its own status: what execve(2) has left.
const Probe kAfterExec{
    "after execve", "$ grep CapEff /proc/self/status", [] {
      const std::string line =
          RunTool({"grep", "CapEff", "/proc/self/status"});
      return IsMissing(line) ? line : Share(line.substr(line.find(':') + 1));
    }};

const Probe kHostname{"hostname", "gethostname(2)", [] {
                        std::array<char, HOST_NAME_MAX + 1> name = {};
                        MUST(gethostname, name.data(), name.size());
                        return std::string(name.data());
                      }};

Evidence AskWho(Process& process) {
  return process.Ask(kUid, kGid, kCapabilities, kNamespace);
}

// The owner of a file that the process `pid` has open.
auto OwnerOf(pid_t pid, int fd) {
  return Probe{"file's uid", fmt::format("/proc/{}/fd/{}", pid, fd),
               [pid, fd] {
                 struct stat file = {};
                 const auto path = fmt::format("/proc/{}/fd/{}", pid, fd);
                 MUST(stat, path.c_str(), &file);
                 return std::to_string(file.st_uid);
               }};
}

// The namespace that a descriptor of this process refers to.
auto LinkOf(const char* label, int fd) {
  return Probe{label, fmt::format("/proc/self/fd/{}", fd), [fd] {
                 return ReadLink(fmt::format("/proc/self/fd/{}", fd));
               }};
}

// Root becomes an ordinary user, whom the machine need not know. In a user
// namespace that has no such user, it stays what it is.
void BecomeOrdinary() {
  const unsigned id = 1000;
  if (TRY(setresgid, id, id, id) != 0) return;
  int on_end = 0;
  MUST(prctl, PR_GET_PDEATHSIG, &on_end);
  CALL(setgroups, 0, nullptr);
  CALL(setresuid, id, id, id);
  // A change of uid clears the one, and makes /proc/self root's by the
  // other.
  MUST(prctl, PR_SET_PDEATHSIG, on_end);
  MUST(prctl, PR_SET_DUMPABLE, 1);
}

// The kernel takes a map in one write(2). Gives its errno.
int Write(const char* name, const std::string& text) {
  const std::string path = fmt::format("/proc/self/{}", name);
  const Descriptor file(CALL(open, path.c_str(), O_WRONLY));
  return TRY(write, file.get(), text.c_str(), text.size());
}

void MustWrite(const char* name, const std::string& text) {
  if (const int error = Write(name, text)) {
    throw CallError(
        error, fmt::format("write(\"/proc/self/{}\", \"{}\")", name, text));
  }
}

// The map in which `id` outside is 0 inside.
std::string ToRoot(unsigned id) { return fmt::format("0 {} 1", id); }

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();
  const Machine& machine = lesson.machine();

  lesson.Step("Before: an ordinary user, without a capability");
  // Where ordinary users may make no user namespace, root stays root.
  if (machine.Is(kPrivileged) && !machine.Is(kNoUserClone) &&
      !machine.Is(kRestricted)) {
    outside.Run(BecomeOrdinary);
  }
  const Evidence before = AskWho(outside);
  const Ids ids = Ids::OfCaller();
  const std::string overflow = kOverflow.read();
  const bool usual = before[kUid] != overflow && before[kUid] != "0";

  lesson.Step("Control: without CLONE_NEWUSER, a child cannot become root",
              "It asks for a uid map in which its uid is 0.");
  Process child = outside.Clone("child", 0);
  const int denied =
      child.Run([ids] { return Write("uid_map", ToRoot(ids.uid)); });
  lesson.Claim("Without CLONE_NEWUSER, a child may not write its uid map.",
               denied == EPERM && AskWho(child) == before);

  lesson.Predict(
      "A process is in a new user namespace that has no uid map yet. What "
      "does getuid(2) return?",
      {overflow, "0", usual ? before[kUid] : "1000", "-1"});

  lesson.Step("With CLONE_NEWUSER, it has all capabilities, and no uid");
  Process inside = outside.Clone("inside", CLONE_NEWUSER);
  const Evidence unmapped = AskWho(inside);
  lesson.Answer(unmapped[kUid],
                "A uid that is not mapped reads as the overflow uid. The "
                "process is root only once a map says so.");
  lesson.Claim("With CLONE_NEWUSER, a child is in a new user namespace.",
               unmapped[kNamespace] != before[kNamespace]);
  lesson.Claim(
      "A new user namespace gives its first process all capabilities.",
      unmapped[kCapabilities] == "all");
  lesson.Claim("Without a map, its uid is the overflow uid.",
               unmapped[kUid] == outside.Ask(kOverflow));
  const std::string left = inside.Ask(kAfterExec);
  lesson.Claim("execve(2) drops the capabilities of a process without a map.",
               IsMissing(left)
                   ? Outcome{std::nullopt, "grep is not installed"}
                   : Outcome{left == "none"});

  lesson.Step("A map makes it root; setgroups(2) is denied first",
              "Each map line: the first ID inside, the first ID outside, how "
              "many.");
  const std::string setgroups = inside.Ask(kSetgroups);
  const int early =
      inside.Run([ids] { return Write("gid_map", ToRoot(ids.gid)); });
  // An outer user namespace may have denied it already.
  Outcome order = {std::nullopt,
                   "An outer user namespace denied it already."};
  if (setgroups == "allow") {
    inside.Run([ids] {
      MustWrite("setgroups", "deny");
      MustWrite("gid_map", ToRoot(ids.gid));
    });
    order = {early == EPERM};
  }
  inside.Run([ids] { MustWrite("uid_map", ToRoot(ids.uid)); });
  const int again =
      inside.Run([ids] { return Write("uid_map", ToRoot(ids.uid)); });
  const Evidence root = AskWho(inside);
  lesson.Claim(
      "An ordinary user may write no gid map before denying setgroups.",
      order);
  lesson.Claim("A map is written once: the second write is refused.",
               again == EPERM);
  lesson.Claim("With both maps, its uid and gid are 0.",
               root[kUid] == "0" && root[kGid] == "0");

  lesson.Step("Outside, the same process and its file are an ordinary user's",
              "Both sides read the same two paths.");
  const int fd = inside.Run([] { return CALL(memfd_create, "file", 0); });
  const auto process = StatusOf(inside.pid(), "Uid");
  const auto file = OwnerOf(inside.pid(), fd);
  const Evidence here = inside.Ask(process, file);
  const Evidence there = outside.Ask(process, file);
  lesson.Claim(
      "Root inside, and its files, are an ordinary user's outside.",
      here[process] == "0 0 0 0" && here[file] == "0" &&
          there[process] == fmt::format("{0} {0} {0} {0}", ids.uid) &&
          there[file] == before[kUid]);

  lesson.Step("Its capabilities count only in its own user namespace");
  const int refused = inside.Run([] {
    const std::string name =
        kHostname.read();  // The one that it has already.
    return TRY(sethostname, name.c_str(), name.size());
  });
  lesson.Claim("Root inside may not rename the machine.", refused == EPERM);
  inside.Run([] { CALL(unshare, CLONE_NEWUTS); });
  inside.MustDiffer(outside, CLONE_NEWUTS);
  inside.Run([] { CALL(sethostname, "container_001", 13); });
  lesson.Claim("Root inside may rename a UTS namespace that it made.",
               inside.Ask(kHostname) == "container_001");
  const Evidence after = AskWho(outside);
  lesson.Claim("Outside, IDs and capabilities are as before.",
               after == before);

  lesson.Step("ioctl_ns(2) tells the parent and the owner of a namespace");
  const std::string links = fmt::format("/proc/{}/ns/", inside.pid());
  const Descriptor user(CALL(open, (links + "user").c_str(), O_RDONLY));
  const Descriptor parent(CALL(ioctl, user.get(), NS_GET_PARENT));
  uid_t uid = 0;
  CALL(ioctl, user.get(), NS_GET_OWNER_UID, &uid);
  const Probe creator{"owner's uid", "NS_GET_OWNER_UID",
                      [uid] { return std::to_string(uid); }};
  const Descriptor uts(CALL(open, (links + "uts").c_str(), O_RDONLY));
  const Descriptor owner(CALL(ioctl, uts.get(), NS_GET_USERNS));
  const auto parent_link = LinkOf("parent", parent.get());
  const auto owner_link = LinkOf("UTS owner", owner.get());
  const Evidence tree = outside.Ask(parent_link, creator, owner_link);
  lesson.Claim("The parent of the new user namespace is the one outside.",
               tree[parent_link] == before[kNamespace]);
  lesson.Claim(
      "The owner of the new user namespace is the user that made it.",
      tree[creator] == before[kUid]);
  lesson.Claim("The new user namespace owns the UTS namespace made in it.",
               tree[owner_link] == root[kNamespace]);

  lesson.Compare(before, root, after);
  lesson.Remember(
      "A user namespace gives a user another number and all capabilities, "
      "over "
      "what that namespace owns.");
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"user",
                           "User namespaces: root inside, nobody outside",
                           "user_namespaces(7)",
                           {}},
                          steps::Teach, argc, argv);
}
