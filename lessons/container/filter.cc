// Calls that a container need not make. What engines refuse is refused here:
// calls that change the whole machine, and those that give a process new
// namespaces, in which it would have all capabilities.

#include "lessons/container/filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

constexpr std::array kRefused = {
    // A clock, a disk, a module or a kernel of the machine's.
    "acct", "adjtimex", "bpf", "clock_adjtime", "clock_settime",
    "delete_module", "finit_module", "init_module", "ioperm", "iopl",
    "kexec_file_load", "kexec_load", "nfsservctl", "quotactl", "quotactl_fd",
    "reboot", "settimeofday", "stime", "swapoff", "swapon", "sysfs", "uselib",
    "vhangup",
    // Mounts, and other namespaces.
    "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
    "move_mount", "open_tree", "pivot_root", "setns", "umount", "umount2",
    "unshare",
    // What the whole machine shares, or where the kernel has had faults.
    "add_key", "fanotify_init", "io_uring_enter", "io_uring_register",
    "io_uring_setup", "keyctl", "lookup_dcookie", "open_by_handle_at",
    "perf_event_open", "request_key", "syslog", "userfaultfd"};

// The library gives -errno.
void Expect(int result, const char* call) {
  if (result < 0) throw CallError(-result, call);
}

// glibc has none.
int seccomp(unsigned operation, unsigned flags, const sock_fprog* program) {
  return static_cast<int>(syscall(SYS_seccomp, operation, flags, program));
}

}  // namespace

void FilterCalls() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> owner(
      seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  scmp_filter_ctx filter = owner.get();
  if (filter == nullptr) throw CallError(ENOMEM, "seccomp_init()");
  const auto refuse = [&](int error, const char* name,
                          std::initializer_list<scmp_arg_cmp> where = {}) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call == __NR_SCMP_ERROR) return;  // This library does not know it.
    Expect(seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(error), call,
                                  static_cast<unsigned>(where.size()),
                                  where.begin()),
           "seccomp_rule_add()");
  };
  for (const char* name : kRefused) refuse(EPERM, name);
  for (const Kind& kind : Kinds()) {
    const auto flag = static_cast<scmp_datum_t>(kind.flag);
    // In clone(2), the bit of CLONE_NEWTIME is part of a signal.
    if (kind.flag == CLONE_NEWTIME) continue;
    refuse(EPERM, "clone", {{0, SCMP_CMP_MASKED_EQ, flag, flag}});
  }
  // Its flags are in memory, where no filter looks. glibc then takes
  // clone(2).
  refuse(ENOSYS, "clone3");
  // What is put into a terminal's input would be read by the reader's shell.
  refuse(EPERM, "ioctl", {{1, SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI}});

  const Descriptor file(MUST(memfd_create, "filter", MFD_CLOEXEC));
  Expect(seccomp_export_bpf(filter, file.get()), "seccomp_export_bpf()");
  MUST(lseek, file.get(), 0, SEEK_SET);
  std::string code = ReadAll(file.get());
  const sock_fprog program = {
      static_cast<unsigned short>(code.size() / sizeof(sock_filter)),
      reinterpret_cast<sock_filter*>(code.data())};
  CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

const char* DescribeFilter() {
  return prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER ? "filtered"
                                                      : "unfiltered";
}

}  // namespace steps
