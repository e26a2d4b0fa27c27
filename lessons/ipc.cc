// IPC namespaces: private queues and memory.              ipc_namespaces(7)
//
//   bazel run //lessons:ipc                the lesson
//   bazel run //lessons:ipc -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN; an ordinary user gets it in a user namespace.

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/kernel/mounts.h"
#include "common/kernel/network.h"
#include "common/program/program.h"

namespace steps {

// Chosen before any call whose errno this could overwrite.
const std::string kShm = access("/dev/shm", F_OK) == 0 ? "/dev/shm" : "/tmp";
const std::string kMqueue = kShm + "/mqueue";

// Without the last two columns, which say how full a queue is.
const Probe kIpcs{"", "$ ipcs -q", [] {
                    return TrimTable(RunTool({"ipcs", "-q"}), 43);
                  }};
const Probe kKeys{"key in use", "/proc/sysvipc/msg, shm, sem", [] {
                    return Agreed({ReadColumn("/proc/sysvipc/msg"),
                                   ReadColumn("/proc/sysvipc/shm"),
                                   ReadColumn("/proc/sysvipc/sem")});
                  }};
const auto kNamespace = LinkProbe("IPC namespace", "/proc/self/ns/ipc");

static void MakeObjects(int key) {
  CALL(msgget, key, IPC_CREAT | 0600);
  CALL(shmget, key, 4096, IPC_CREAT | 0600);
  CALL(semget, key, 1, IPC_CREAT | 0600);
}

static int OpenQueue() { return TRY(mq_open, "/new", O_RDONLY); }

static void Teach(Lesson& lesson) {
  lesson.Step(
      "Control: without CLONE_NEWIPC, a child shares all objects",
      "`host` stands in for your machine. Its child makes three, and ends.");
  Process host = lesson.outside().StandIn("host", CLONE_NEWIPC | CLONE_NEWNS);
  host.Clone("child", 0).Run([] { MakeObjects(1); });
  host.Run([] { CALL(waitpid, -1, nullptr, 0); });
  host.Ask(kIpcs);
  const Evidence before = host.Ask(kKeys, kNamespace);
  lesson.Claim(
      "Without CLONE_NEWIPC, a child's objects are shared and outlive it.",
      before[kKeys] == "1");

  lesson.Predict(
      "`host` has a queue with key 1. What is msgget(1, 0) inside?",
      {"ENOENT", "the same queue", "EACCES", "a new queue"});

  lesson.Step("With CLONE_NEWIPC, a child has its own keys and objects");
  Process inside = host.Clone("inside", CLONE_NEWIPC);
  const int error = inside.Run([] { return TRY(msgget, 1, 0); });
  lesson.Answer(error == 0 ? "the same queue" : ErrnoName(error),
                "Each namespace has its own keys.");
  inside.Run([] { MakeObjects(2); });
  inside.Ask(kIpcs);
  const Evidence made = inside.Ask(kKeys, kNamespace);
  lesson.Claim("With CLONE_NEWIPC, a child is in a new IPC namespace.",
               made[kNamespace] != before[kNamespace]);
  lesson.Claim("Inside, nothing exists that was made outside.",
               error == ENOENT && made[kKeys] == "2");
  const Evidence after = host.Ask(kKeys, kNamespace);
  lesson.Claim("Outside, nothing exists that was made inside.",
               after == before);

  lesson.Step("A POSIX queue is a file on a mount of type mqueue",
              "Its IPC namespace is that of the process that mounted it.");
  host.Run([] { MountTmpfs(kShm.c_str()); });
  Process other = host.Clone("other", CLONE_NEWIPC);
  const Outcome posix = lesson.Attempt([&] {
    other.Run([] { MUST(mkdir, kMqueue.c_str(), 0700); });
    other.Run(
        [] { CALL(mount, "mqueue", kMqueue.c_str(), "mqueue", 0, nullptr); });
    host.Run([] { CALL(open, (kMqueue + "/new").c_str(), O_CREAT, 0600); });
    return other.Run(OpenQueue) == 0 && host.Run(OpenQueue) == ENOENT;
  });
  lesson.Claim("A POSIX queue, too, is found only in its IPC namespace.",
               posix);

  lesson.Step("Not isolated: a file, a socket with a path, a signal");
  host.Run([] { CALL(open, (kShm + "/file").c_str(), O_CREAT, 0600); });
  host.Run([] { CALL(bind, DatagramSocket(), (kShm + "/socket").c_str()); });
  const bool reached = other.Run([] {
    return TRY(open, (kShm + "/file").c_str(), O_RDONLY) == 0 &&
           TRY(sendto, DatagramSocket(), "hello",
               (kShm + "/socket").c_str()) == 0;
  });
  host.Run([pid = other.pid()] { CALL(kill, pid, SIGKILL); });
  host.Run([pid = other.pid()] { CALL(waitpid, pid, nullptr, 0); });
  lesson.Claim("A file, a socket with a path and a signal get through.",
               reached);

  lesson.Step("The namespace of `other` ended with it; its mount did not");
  const int late = host.Run(
      [] { return TRY(open, (kMqueue + "/late").c_str(), O_CREAT, 0600); });
  lesson.Claim("An IPC namespace ends with its last process.",
               posix.holds ? Outcome{late == EACCES} : posix);

  lesson.Compare(before, made, after, "inside", "host");
  lesson.Remember(
      "An IPC namespace has System V objects and POSIX queues, not files.");
  inside.Run(OutliveParent);  // `host` ends with this function.
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"ipc", "IPC namespaces: private queues and memory",
                           "ipc_namespaces(7)"},
                          steps::Teach, argc, argv);
}
