// User namespace: root that is nobody.                   user_namespaces(7)
//
// Two children ask to be called root: one shares the user namespace of its
// parent, the other has one of its own. The lesson claims:
//
//   1. Without CLONE_NEWUSER, a child may not write its uid map: EPERM.
//   2. With it, it is in another user namespace, with all capabilities.
//   3. Its uid is the overflow uid until a map is written; then it is 0.
//   4. An unprivileged gid map is refused until setgroups is denied.
//   5. A map is written once: the second write is refused.
//   6. Outside, the same process has its own uid, and so has its file.
//   7. All capabilities inside, and EPERM on what the outside owns.
//   8. The kernel names its parent, its owner, and what it owns itself.
//   9. Outside, ids and capabilities are as before.
//
// Needed: nothing. Root becomes an ordinary user for it.
//
//   bazel run //lessons:user                the lesson
//   bazel run //lessons:user -- --shell     and a shell inside
//   bazel run //lessons:user -- --help      all options

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

// The evidence: who a process is, and what it may do.
Evidence Ask() {
  const Finding uid = {"uid", fmt::to_string(geteuid()), "geteuid(2)"};
  return {uid,
          FromTool({"id", "-u"}, uid),
          {"gid", fmt::to_string(getegid()), "getegid(2)"},
          FromField("CapEff", "/proc/self/status"),
          FromLink("namespace", "/proc/self/ns/user")};
}

// All capabilities, up to the `last` that the kernel knows, as CapEff shows
// them.
std::string All(const std::string& last) {
  return fmt::format("{:016x}", (std::uint64_t{2} << std::stoi(last)) - 1);
}

bool Same(const Evidence& one, const Evidence& other) {
  return std::ranges::equal(one.findings(), other.findings(), {},
                            &Finding::value, &Finding::value);
}

// The map in which the `id` outside, a uid or gid, is 0 inside.
std::string ToRoot(const std::string& id) {
  return fmt::format("0 {} 1", id);
}

// Root becomes an ordinary user, of whom the machine need not have heard.
// In a user namespace that has no such user, it stays what it is.
void BecomeOrdinary(Side& side) {
  const uid_t id = 1000;
  int on_end =
      0;  // The signal that tells of the end of its parent, if any.
  Check(prctl(PR_GET_PDEATHSIG, &on_end), "prctl(PR_GET_PDEATHSIG)");
  int result = setresgid(id, id, id);
  if (side.Try(result, "setresgid({0}, {0}, {0})", id) != 0) return;
  result = setgroups(0, nullptr);
  side.Check(result, "setgroups(0, NULL)");
  result = setresuid(id, id, id);
  side.Check(result, "setresuid({0}, {0}, {0})", id);
  // Which a new uid takes away.
  Check(prctl(PR_SET_PDEATHSIG, on_end), "prctl(PR_SET_PDEATHSIG)");
  // Or its folder in /proc, and its children's, would remain root's.
  Check(prctl(PR_SET_DUMPABLE, 1), "prctl(PR_SET_DUMPABLE, 1)");
}

Descriptor OpenLink(Side& side, const std::string& path) {
  Descriptor link(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  side.Check(link.get(), "open(\"{}\", O_RDONLY)", path);
  return link;
}

// The act. A map is taken in one write(2), whose errno is given.
int TryWrite(Side& side, const std::string& name, const std::string& text) {
  const std::string path = "/proc/self/" + name;
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  side.Check(file.get(), "open(\"{}\", O_WRONLY)", path);
  const ssize_t result = write(file.get(), text.data(), text.size());
  return side.Try(result, "write({}, \"{}\", {})", file.get(), text,
                  text.size());
}

void Write(Side& side, const std::string& name, const std::string& text) {
  const int error = TryWrite(side, name, text);
  if (error == 0) return;
  throw CallError(
      error, fmt::format("write(\"/proc/self/{}\", \"{}\")", name, text));
}

// The control.
void Control(Line& line, const Evidence& before) {
  Side child("child", line);
  const int error = TryWrite(child, "uid_map", ToRoot(before.Value("uid")));
  child.Show({{"uid map", ErrnoName(error), "write(2)"}});
  child.Show(Ask());
}

void WriteMaps(Side& inside, const Evidence& before) {
  const std::string uids = ToRoot(before.Value("uid"));
  const std::string gids = ToRoot(before.Value("gid"));
  const Finding setgroups = FromFile("at first", "/proc/self/setgroups");
  const int early = TryWrite(inside, "gid_map", gids);
  // It is denied already inside of a user namespace that has denied it.
  if (setgroups.value == "allow") {
    Write(inside, "setgroups", "deny");
    Write(inside, "gid_map", gids);
  }
  Write(inside, "uid_map", uids);
  const int again = TryWrite(inside, "uid_map", uids);
  inside.Show({setgroups,
               {"too early", ErrnoName(early), "write(2) to gid_map"},
               {"once more", ErrnoName(again), "write(2) to uid_map"}});
}

// The owner of the process `pid` and of its file, by the names that the
// user namespace of whoever asks has for them.
Evidence OwnersOf(pid_t pid, const std::string& file) {
  struct stat status = {};
  Check(stat(file.c_str(), &status), "stat(\"{}\")", file);
  return {FromField("Uid", fmt::format("/proc/{}/status", pid)),
          {"file's uid", fmt::to_string(status.st_uid), file}};
}

// The name that the host has already is refused; in a UTS namespace of its
// own it may take any.
void Rename(Side& inside, const std::string& old) {
  int result = sethostname(old.data(), old.size());
  const int refusal =
      inside.Try(result, "sethostname(\"{}\", {})", old, old.size());
  result = unshare(CLONE_NEWUTS);
  inside.Check(result, "unshare({})", CloneFlags(CLONE_NEWUTS));
  result = sethostname("container_001", 13);
  inside.Check(result, "sethostname(\"container_001\", 13)");
  inside.Show({{"at first", ErrnoName(refusal), "sethostname(2)"},
               FromField("CapEff", "/proc/self/status")});
}

// The experiment, in a user namespace of its own.
void Inside(Line& line, const Evidence& before) {
  Side inside("inside", line);
  inside.Show(Ask());
  line.Checkpoint();

  WriteMaps(inside, before);
  inside.Show(Ask());
  line.Checkpoint();

  const Descriptor fd(memfd_create("file", MFD_CLOEXEC));
  inside.Check(fd.get(), "memfd_create(\"file\", MFD_CLOEXEC)");
  const std::string file =
      fmt::format("/proc/{}/fd/{}", getpid(), fd.get());
  inside.Show({{"file", file, "memfd_create(2)"}});
  inside.Show(OwnersOf(getpid(), file));
  line.Checkpoint();

  utsname names = {};
  Check(uname(&names), "uname()");
  Rename(inside, names.nodename);
  line.Checkpoint();
}

// What the kernel tells the outside of the namespaces that `pid` is in.
Evidence AskKernel(Side& outside, pid_t pid) {
  const std::string links = fmt::format("/proc/{}/ns/", pid);
  const Descriptor user = OpenLink(outside, links + "user");
  const Descriptor parent(ioctl(user.get(), NS_GET_PARENT));
  outside.Check(parent.get(), "ioctl({}, NS_GET_PARENT)", user.get());
  uid_t uid = 0;
  const int result = ioctl(user.get(), NS_GET_OWNER_UID, &uid);
  outside.Check(result, "ioctl({}, NS_GET_OWNER_UID)", user.get());

  const Descriptor uts = OpenLink(outside, links + "uts");
  const Descriptor owner(ioctl(uts.get(), NS_GET_USERNS));
  outside.Check(owner.get(), "ioctl({}, NS_GET_USERNS)", uts.get());
  const std::string fds = "/proc/self/fd/";
  return outside.Show(
      {FromLink("parent", fds + fmt::to_string(parent.get())),
       {"owner's uid", fmt::to_string(uid), "NS_GET_OWNER_UID"},
       FromLink("UTS owner", fds + fmt::to_string(owner.get()))});
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: who this process is, and what it may do");
  // Where ordinary users may make no user namespace, root has to.
  if (lesson.machine().privileged && lesson.machine().unprivileged_clone &&
      !lesson.machine().apparmor_restricts) {
    lesson.Note(
        "Root becomes an ordinary user first, where the uid 1000 is "
        "mapped.");
    BecomeOrdinary(outside);
  }
  const Evidence before = outside.Show(Ask());
  const std::string& uid = before.Value("uid");

  lesson.Begin("Control: without CLONE_NEWUSER a child stays who it is");
  Child control([&](Line& line) { Control(line, before); });
  pid_t pid = clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(pid), "clone(SIGCHLD)");
  const Evidence refused = outside.Hear(control);
  const Evidence same = outside.Hear(control);
  control.Finish();

  lesson.Begin("Inside: with CLONE_NEWUSER it has all capabilities");
  const int flags = CLONE_NEWUSER | SIGCHLD;
  Child child([&](Line& line) { Inside(line, before); });
  pid = clone(Child::Main, child.stack_top(), flags, &child);
  outside.Check(child.Started(pid), "clone({})", CloneFlags(flags));
  const Evidence unmapped = outside.Hear(child);
  const Evidence kernel = outside.Show(
      {FromFile("overflow uid", "/proc/sys/kernel/overflowuid"),
       FromFile("last cap", "/proc/sys/kernel/cap_last_cap")});
  const std::string& overflow = kernel.Value("overflow uid");
  const std::set<std::string> answers = {"0", uid, overflow};

  lesson.Begin(
      "The maps: setgroups is denied first, and each is written once");
  child.Release();
  const Evidence refusals = outside.Hear(child);
  const Evidence inside = outside.Hear(child);
  lesson.Predict(
      "Next, the child, root inside, makes a file. Whose is it, outside?",
      {answers.begin(), answers.end()});

  lesson.Begin("The same process and its file, seen from both sides");
  child.Release();
  const std::string file = outside.Hear(child).Value("file");
  const Evidence there = outside.Hear(child);
  const Evidence here = outside.Show(OwnersOf(pid, file));
  lesson.Answer(here.Value("file's uid"),
                "A map gives a user another number, not another's rights.");

  lesson.Begin("All capabilities, and EPERM on what the outside owns");
  child.Release();
  const Evidence renamed = outside.Hear(child);

  lesson.Begin("Parent and owner: what ioctl_ns(2) tells the outside");
  const Evidence shown = AskKernel(outside, pid);

  lesson.Begin("Outside again, with the child still root inside");
  const Evidence after = outside.Show(Ask());
  lesson.Compare(before, inside, after);

  lesson.Claim(
      "Without CLONE_NEWUSER, a child may not write its uid map: EPERM.",
      refused.Value("uid map") == "EPERM" && Same(same, before));
  lesson.Claim(
      "With it, it is in another user namespace, with all capabilities.",
      inside.Value("namespace") != before.Value("namespace") &&
          unmapped.Value("CapEff") == All(kernel.Value("last cap")));
  lesson.Claim(
      "Its uid is the overflow uid until a map is written; then it is 0.",
      unmapped.AllSay("uid", overflow) && inside.AllSay("uid", "0"));
  Outcome refused_early = {std::nullopt,
                           "It was denied further out already."};
  if (refusals.Value("at first") == "allow") {
    refused_early = {refusals.Value("too early") == "EPERM" &&
                         inside.Value("gid") == "0",
                     ""};
  }
  lesson.Claim(
      "An unprivileged gid map is refused until setgroups is denied.",
      refused_early);
  lesson.Claim("A map is written once: the second write is refused.",
               refusals.Value("once more") == "EPERM");
  lesson.Claim(
      "Outside, the same process has its own uid, and so has its file.",
      there.Value("Uid") == "0 0 0 0" && there.Value("file's uid") == "0" &&
          here.Value("Uid") == fmt::format("{0} {0} {0} {0}", uid) &&
          here.Value("file's uid") == uid);
  lesson.Claim(
      "All capabilities inside, and EPERM on what the outside owns.",
      renamed.Value("CapEff") == All(kernel.Value("last cap")) &&
          renamed.Value("at first") == "EPERM");
  lesson.Claim(
      "The kernel names its parent, its owner, and what it owns itself.",
      shown.Value("parent") == before.Value("namespace") &&
          shown.Value("owner's uid") == uid &&
          shown.Value("UTS owner") == inside.Value("namespace"));
  lesson.Claim("Outside, ids and capabilities are as before.",
               Same(after, before));
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "user",
                           .title = "User namespace: root that is nobody",
                           .man_page = "user_namespaces(7)",
                           .needs_root = false},
                          steps::Teach);
}
