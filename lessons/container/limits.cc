// Limits for a container: cgroups, of version 1 or 2.

#include "lessons/container/limits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

void EnterFile(const char* file) {
  const Descriptor procs(CALL(open, file, O_WRONLY));
  CALL(write, procs.get(), "0", 1);  // The process that writes.
}

}  // namespace

bool Limits::Set(int processes) {
  struct Limit {
    const char* controller;
    const char* file_1;  // In version 1 of cgroups,
    const char* file_2;  // and in version 2.
    std::string value;
  };
  const std::array<Limit, 2> limits = {
      {{"pids", "pids.max", "pids.max", fmt::to_string(processes)},
       {"memory", "memory.limit_in_bytes", "memory.max",
        fmt::to_string(kMemory * 1024 * 1024)}}};
  std::map<std::string, const Cgroup*> made;  // By their controllers.
  std::string set;
  for (const Limit& limit : limits) {
    const auto place = FindCgroupPlace(limit.controller);
    if (!place) continue;
    const Cgroup*& cgroup = made[place->controllers];
    if (cgroup == nullptr) {
      cgroup = &cgroups_.emplace_back(*place);
      files_.push_back(cgroup->path() + "/cgroup.procs");
    }
    const std::string file =
        cgroup->path() + "/" +
        (place->controllers.empty() ? limit.file_2 : limit.file_1);
    // Of version 2 it may be that another cgroup has this controller.
    if (access(file.c_str(), F_OK) == -1) continue;
    {
      const Descriptor fd(CALL(open, file.c_str(), O_WRONLY));
      CALL(write, fd.get(), limit.value.c_str(), limit.value.size());
    }
    const long value = std::strtol(ReadFile(file).c_str(), nullptr, 10);
    set += *limit.controller == 'p'
               ? fmt::format("{} processes", value)
               : fmt::format("{}{} MiB", set.empty() ? "" : ", ",
                             value / 1024 / 1024);
  }
  if (set.find("processes") == std::string::npos) {
    files_.clear();
    cgroups_.clear();
    return false;
  }
  // Not everybody who may make a cgroup may enter it.
  Process trial = Process::Quiet().Clone("trial", 0);
  try {
    Enter(trial);
  } catch (const CallError&) {
    files_.clear();  // The container does without.
    throw;
  }
  text_ = set;
  return true;
}

void Limits::Enter(Process& process) const {
  for (const std::string& file : files_) {
    // The same address in a child that was cloned since.
    process.Run([path = file.c_str()] { EnterFile(path); });
  }
}

int Limits::Remove(int status) {
  for (Cgroup& cgroup : cgroups_) {
    if (!cgroup.Remove()) status = EXIT_FAILURE;
  }
  return status;
}

}  // namespace steps
