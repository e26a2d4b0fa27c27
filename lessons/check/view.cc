// What a process finds where it is.

#include "lessons/check/view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/network.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

std::string CountIpc() {
  const auto number = [](int count, const std::string& one) {
    return count == 0
               ? ""
               : fmt::format("{} {}{}, ", count, one, count == 1 ? "" : "s");
  };
  msginfo queues = {};
  seminfo sets = {};
  shm_info memory = {};
  msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&queues));
  semctl(0, 0, SEM_INFO, &sets);
  shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&memory));
  const std::string all = number(queues.msgpool, "queue") +
                          number(sets.semusz, "semaphore set") +
                          number(memory.used_ids, "shared memory");
  return all.empty() ? "none" : all.substr(0, all.size() - 2);
}

}  // namespace

std::string RootId() {
  struct stat root = {};
  MUST(stat, "/", &root);
  return fmt::format("{}:{} {}", major(root.st_dev), minor(root.st_dev),
                     root.st_ino);
}

std::string Describe() {
  utsname names = {};
  MUST(uname, &names);
  std::string interfaces;
  for (const auto& [name, state] : Interfaces()) {
    interfaces +=
        fmt::format("{}{} {}", interfaces.empty() ? "" : ", ", name, state);
  }
  // What a program chose may have line feeds in it, but no zero byte.
  return names.nodename + std::string(1, '\0') + CountIpc() +
         std::string(1, '\0') + interfaces;
}

View ViewOf(const std::string& description, pid_t pid) {
  std::istringstream texts(description);
  View view;
  for (std::string* text : {&view.hostname, &view.ipc, &view.interfaces}) {
    std::getline(texts, *text, '\0');
  }
  view.mounts = MountsIn(ReadFile(ProcPath(pid, "mountinfo")));
  return view;
}

std::string JoinAll(pid_t pid) {
  const std::string proc = fmt::format("/proc/{}", pid);
  const Descriptor root = Open(proc + "/root", O_PATH | O_DIRECTORY);
  std::vector<Descriptor> links;
  for (const char* name : {"uts", "ipc", "net", "mnt"}) {
    links.push_back(Open(fmt::format("{}/ns/{}", proc, name), O_RDONLY));
  }
  for (const Descriptor& link : links) MUST(setns, link.get(), 0);
  std::string whole = RootId();
  MUST(fchdir, root.get());
  MUST(chroot, ".");
  return whole;
}

}  // namespace steps
