#include "common/user_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/capability.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "common/call_error.h"
#include "common/descriptor.h"

namespace steps {
namespace {

// One write, because the kernel takes a map in one. The error names the file.
void WriteProc(const std::string& path, std::string_view text) {
  const Descriptor file = Open(path, O_WRONLY);
  Check(write(file.get(), text.data(), text.size()), "write(\"{}\", \"{}\")",
        path, text);
}

}  // namespace

Ids Ids::OfCaller() { return {geteuid(), getegid()}; }

bool HasSysAdmin() {
  const std::unique_ptr<void, int (*)(void*)> capabilities(cap_get_proc(),
                                                           cap_free);
  Check(capabilities == nullptr ? -1 : 0, "cap_get_proc()");
  cap_flag_value_t value = CAP_CLEAR;
  Check(cap_get_flag(static_cast<cap_t>(capabilities.get()), CAP_SYS_ADMIN,
                     CAP_EFFECTIVE, &value),
        "cap_get_flag(CAP_SYS_ADMIN)");
  return value == CAP_SET;
}

void MapToRoot(const Ids& outside, const std::string& proc) {
  WriteProc(proc + "/setgroups", "deny");
  WriteProc(proc + "/gid_map", fmt::format("0 {} 1", outside.gid));
  WriteProc(proc + "/uid_map", fmt::format("0 {} 1", outside.uid));
}

void EnterUserNamespaceAsRoot() {
  const Ids outside = Ids::OfCaller();
  Check(unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
  MapToRoot(outside);
}

}  // namespace steps
