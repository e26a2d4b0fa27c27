#include "common/kernel/user_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"

namespace steps {
namespace {

// One write, because the kernel takes a map in one. The error names the file.
void WriteProc(const std::string& path, const std::string& text) {
  const Descriptor file = Open(path, O_WRONLY);
  Check(write(file.get(), text.data(), text.size()), "write(\"{}\", \"{}\")",
        path, text);
}

}  // namespace

Ids Ids::OfCaller() { return {geteuid(), getegid()}; }

bool HasCapabilities(const std::vector<int>& capabilities) {
  const std::unique_ptr<void, int (*)(void*)> own(cap_get_proc(), cap_free);
  Check(own == nullptr ? -1 : 0, "cap_get_proc()");
  return std::ranges::all_of(capabilities, [&](int capability) {
    cap_flag_value_t value = CAP_CLEAR;
    Check(cap_get_flag(static_cast<cap_t>(own.get()), capability, CAP_EFFECTIVE,
                       &value),
          "cap_get_flag({})", capability);
    return value == CAP_SET;
  });
}

void MapToRoot(const Ids& outside) {
  WriteProc("/proc/self/setgroups", "deny");
  WriteProc("/proc/self/gid_map", fmt::format("0 {} 1", outside.gid));
  WriteProc("/proc/self/uid_map", fmt::format("0 {} 1", outside.uid));
}

void EnterUserNamespaceAsRoot() {
  const Ids outside = Ids::OfCaller();
  MUST(unshare, CLONE_NEWUSER);
  MapToRoot(outside);
}

}  // namespace steps
