// IPC namespace: queues of one's own.                     ipc_namespaces(7)
//
// A process makes one object of each kind: a message queue, a shared memory
// segment and a semaphore set of System V, and a POSIX message queue.
// Others ask for them. One child shares the IPC namespace of its parent,
// another has one of its own. The lesson claims:
//
//   1. Without CLONE_NEWIPC, parent and child share all objects.
//   2. With it, the child is in another IPC namespace.
//   3. Inside, nothing exists that was made outside: ENOENT.
//   4. Outside, nothing exists that was made inside.
//   5. A file, a socket with a path and a signal get through.
//   6. A queue outlives its maker, but not its namespace.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:ipc                the lesson
//   bazel run //lessons:ipc -- --shell     and a shell inside
//   bazel run //lessons:ipc -- --help      all options

#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>

#include "common/call_error.h"
#include "common/child.h"
#include "common/datagram.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/program.h"

namespace steps {
namespace {

// The folder where the lesson mounts a file system of its own, or, with a
// slash and a name, what is in it.
std::string Shm(const std::string& name = "") {
  return (std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp") + name;
}

// The act: the same in every process, under another name, as "/outside".
// Its first letter is the key: in a new namespace every key is free.
void Make(Side& side, const std::string& name) {
  const key_t key = static_cast<unsigned char>(name[1]);
  int result = msgget(key, IPC_CREAT | 0600);
  side.Check(result, "msgget({:#x}, IPC_CREAT | 0600)", key);
  result = shmget(key, 4096, IPC_CREAT | 0600);
  side.Check(result, "shmget({:#x}, 4096, IPC_CREAT | 0600)", key);
  result = semget(key, 1, IPC_CREAT | 0600);
  side.Check(result, "semget({:#x}, 1, IPC_CREAT | 0600)", key);
  // One message of one byte: a user's POSIX queues are limited in size, and
  // those of an ended namespace count until the kernel has cleaned up.
  mq_attr small = {0, 1, 1, 0, {}};
  // The C library asks for the slash, and keeps it from the kernel.
  const Descriptor mq(mq_open(name.c_str(), O_CREAT, 0600, &small));
  side.Check(mq.get(), "mq_open(\"{}\", O_CREAT, 0600, {{mq_maxmsg=1}})",
             name.substr(1));

  // A mount shows the POSIX queues of the namespace of whoever mounts it.
  const std::string folder = Shm(name);
  std::filesystem::create_directory(folder);
  result = mount("mqueue", folder.c_str(), "mqueue", 0, nullptr);
  side.Check(result, "mount(\"mqueue\", \"{}\", \"mqueue\", 0, NULL)",
             folder);
}

// The evidence: whether what was made under `name` exists for this process.
Evidence Ask(const std::string& name) {
  const auto say = [](int id) {
    return id == -1 ? ErrnoName(errno) : "found";
  };
  const key_t key = static_cast<unsigned char>(name[1]);
  const std::string hex = fmt::format("{:#x}", key);
  return {
      {"queue", say(msgget(key, 0)), "msgget(" + hex + ", 0)"},
      {"memory", say(shmget(key, 0, 0)), "shmget(" + hex + ", 0, 0)"},
      {"semaphores", say(semget(key, 0, 0)), "semget(" + hex + ", 0, 0)"},
      {"POSIX queue",
       say(Descriptor(mq_open(name.c_str(), O_RDONLY)).get()),
       "mq_open(\"" + name.substr(1) + "\", O_RDONLY)"},
      FromLink("namespace", "/proc/self/ns/ipc")};
}

// How many of the four do not exist.
auto Missing(const Evidence& evidence) {
  return std::ranges::count(evidence.findings(), "ENOENT", &Finding::value);
}

// All objects that exist for this process: ipcs(1) knows those of System V,
// and the mount that was made under `name` the POSIX queues.
Evidence List(const std::string& name) {
  const std::string files = ReadFile("/proc/sysvipc/msg") +
                            ReadFile("/proc/sysvipc/shm") +
                            ReadFile("/proc/sysvipc/sem");
  return {Cut(FromTool({"ipcs"}, {"System V", files, "/proc/sysvipc"})),
          FromFolder("POSIX", Shm(name))};
}

// The child of the experiment, and of its control.
void Act(Line& line, const std::string& name) {
  Side side(name.substr(1), line);
  side.Show(Ask("/outside"));
  Make(side, name);
  side.Show(List(name));
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: one object of each kind");
  outside.Show({FromLink("namespace", "/proc/self/ns/ipc")});
  lesson.Note(
      "From now on, outside is a namespace that ends with the lesson.");
  int result = unshare(CLONE_NEWNS | CLONE_NEWIPC);
  outside.Check(result, "unshare(CLONE_NEWNS | CLONE_NEWIPC)");
  result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  outside.Check(result,
                "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");
  result = mount("tmpfs", Shm().c_str(), "tmpfs", 0, nullptr);
  outside.Check(result, "mount(\"tmpfs\", \"{}\", \"tmpfs\", 0, NULL)",
                Shm());
  Make(outside, "/outside");
  const Evidence before = outside.Show(Ask("/outside"));

  lesson.Begin("Control: without CLONE_NEWIPC a child shares them");
  Child control([](Line& line) { Act(line, "/child"); });
  pid_t pid = clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(pid), "clone(SIGCHLD)");
  const Evidence shared = outside.Hear(control);
  outside.Hear(control);
  control.Finish();
  const Evidence returned = outside.Show(Ask("/child"));
  lesson.Predict(
      "Next, a child in a new IPC namespace calls msgget(2) with the key "
      "of the outside's queue. What does it get?",
      {"found", ErrnoName(EACCES), ErrnoName(ENOENT)});

  lesson.Begin("Inside: with CLONE_NEWIPC a child has its own");
  Child child([](Line& line) {
    Act(line, "/inside");
    SendTo(Shm("/socket"), "from inside");
    Side("inside", line).Show({FromFile("file", Shm("/file"))});
    line.Checkpoint();
  });
  pid =
      clone(Child::Main, child.stack_top(), CLONE_NEWIPC | SIGCHLD, &child);
  outside.Check(child.Started(pid), "clone(CLONE_NEWIPC | SIGCHLD)");
  const Evidence inside = outside.Hear(child);
  outside.Hear(child);
  const Evidence hidden = outside.Show(Ask("/inside"));
  lesson.Answer(
      inside.Value("queue"),
      "Nobody is refused access: inside, the queue does not exist.");

  lesson.Begin("Not isolated: a file, a socket with a path, a signal");
  WriteAll(Open(Shm("/file"), O_WRONLY | O_CREAT, 0600).get(),
           "from outside");
  const Descriptor socket = ReceiveAt(Shm("/socket"));
  child.Release();
  const std::string file = outside.Hear(child).Value("file");
  const std::string word = Receive(socket);
  outside.Show({{"socket", word, Shm("/socket")}});
  outside.Check(kill(pid, SIGKILL), "kill({}, SIGKILL)", pid);
  const std::string end = DescribeStatus(child.Wait());
  outside.Show({{"inside", end, "waitpid(2)"}});

  lesson.Begin("The end: a queue outlives its maker, not its namespace");
  lesson.Note(
      "Both makers have ended. A new file on their mounts is a queue.");
  const auto add = [&](const std::string& queue) {
    const Descriptor made(open(queue.c_str(), O_CREAT, 0600));
    return outside.Try(made.get(), "open(\"{}\", O_CREAT, 0600)", queue);
  };
  const int added = add(Shm("/child/late"));
  std::filesystem::remove(Shm("/child/late"));
  const int refused = add(Shm("/inside/late"));
  Child later([](Line& line) {
    Side("later", line).Show(Ask("/inside"));
    line.Checkpoint();
  });
  pid =
      clone(Child::Main, later.stack_top(), CLONE_NEWIPC | SIGCHLD, &later);
  outside.Check(later.Started(pid), "clone(CLONE_NEWIPC | SIGCHLD)");
  const Evidence empty = outside.Hear(later);

  lesson.Begin("Outside again: what was made there, and nothing else");
  outside.Show(List("/outside"));
  const Evidence after = outside.Show(Ask("/outside"));
  lesson.Compare(before, inside, after);

  lesson.Claim("Without CLONE_NEWIPC, parent and child share all objects.",
               Missing(shared) == 0 && Missing(returned) == 0);
  lesson.Claim("With it, the child is in another IPC namespace.",
               inside.Value("namespace") != shared.Value("namespace"));
  lesson.Claim("Inside, nothing exists that was made outside: ENOENT.",
               Missing(inside) == 4);
  lesson.Claim("Outside, nothing exists that was made inside.",
               Missing(hidden) == 4 && Missing(after) == 0);
  lesson.Claim("A file, a socket with a path and a signal get through.",
               file == "from outside" && word == "from inside" &&
                   end == "killed by SIGKILL");
  lesson.Claim("A queue outlives its maker, but not its namespace.",
               added == 0 && refused == EACCES && Missing(empty) == 4);
  lesson.Keep(std::move(later));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(argc, argv,
                          {.name = "ipc",
                           .title = "IPC namespace: queues of one's own",
                           .man_page = "ipc_namespaces(7)"},
                          steps::Teach);
}
