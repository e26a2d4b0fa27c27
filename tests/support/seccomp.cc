#include "tests/support/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "common/kernel/call.h"

namespace steps {
namespace {

constexpr int kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
                               CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                               CLONE_NEWCGROUP;

const sock_filter kLoadNumber =
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
const sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

sock_filter Refuse(int error) {
  const auto action = SECCOMP_RET_ERRNO | static_cast<unsigned>(error);
  return BPF_STMT(BPF_RET | BPF_K, action);
}

void Install(std::vector<sock_filter> program) {
  const sock_fprog filter = {.len = static_cast<unsigned short>(program.size()),
                             .filter = program.data()};
  Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)");
  Check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "prctl(SECCOMP)");
}

}  // namespace

void FilterCalls(const std::map<int, int>& errors) {
  std::vector<sock_filter> program = {kLoadNumber};
  for (const auto& [number, error] : errors) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                               static_cast<unsigned>(number), 0, 1));
    program.push_back(Refuse(error));
  }
  program.push_back(kAllow);
  Install(program);
}

void ForbidClone3() { FilterCalls({{SYS_clone3, ENOSYS}}); }

void FilterAsDocker() {
  FilterCalls({{SYS_clone3, ENOSYS},
               {SYS_mount, EPERM},
               {SYS_pivot_root, EPERM},
               {SYS_setdomainname, EPERM},
               {SYS_sethostname, EPERM},
               {SYS_setns, EPERM},
               {SYS_umount2, EPERM},
               {SYS_unshare, EPERM}});
  // clone(2) by its flags: its first argument, whose lower half comes first.
  Install({kLoadNumber, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
           BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNewNamespaces, 0, 1),
           Refuse(EPERM), kAllow});
}

}  // namespace steps
