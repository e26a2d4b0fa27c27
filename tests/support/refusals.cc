#include "tests/support/refusals.h"

#include "tests/support/test.h"

namespace steps {

void FilterCalls(const std::vector<Refusal>& refusals) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(
      seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  const auto expect = [](int result, const char* call) {
    if (result < 0) throw CallError(-result, call);
  };
  for (const auto& [call, error, when] : refusals) {
    const auto action = SCMP_ACT_ERRNO(static_cast<unsigned>(error));
    expect(
        seccomp_rule_add_array(filter.get(), action, call,
                               static_cast<unsigned>(when.size()), when.data()),
        "seccomp_rule_add()");
  }
  expect(seccomp_load(filter.get()), "seccomp_load()");
}

void FilterAsDocker() {
  std::vector<Refusal> refusals = {{SYS_clone3, ENOSYS}};
  for (const int call :
       {SYS_mount, SYS_pivot_root, SYS_setdomainname, SYS_sethostname,
        SYS_setns, SYS_umount2, SYS_unshare}) {
    refusals.push_back({call, EPERM});
  }
  for (const Kind& kind : Kinds()) {
    const auto flag = static_cast<scmp_datum_t>(kind.flag);
    // To clone(2) that one is a part of the signal.
    if (kind.flag == CLONE_NEWTIME) continue;
    refusals.push_back(
        {SYS_clone, EPERM, {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, flag, flag}}});
  }
  FilterCalls(refusals);
}

Before Forbid(int flags) {
  return [flags] {
    EnterUserNamespaceAsRoot();
    for (const Kind& kind : Kinds()) {
      if ((flags & kind.flag) == 0) continue;
      const std::string limit =
          fmt::format("/proc/sys/user/max_{}_namespaces", kind.proc_name);
      WriteAll(Open(limit, O_WRONLY).get(), "0");
    }
  };
}

void ForbidUserNamespaces() { Forbid(CLONE_NEWUSER)(); }

void EnterPrivateMounts() {
  EnterUserNamespaceAsRoot();
  MUST(unshare, CLONE_NEWNS);
  MakeMountsPrivate();
}

void MountOver(const std::string& point) {
  EnterPrivateMounts();
  MountTmpfs(point.c_str());
  EnterUserNamespaceAsRoot();
}

void MaskProc() { MountOver("/proc/tty"); }

void EnterContainer() {
  MUST(unshare, CLONE_NEWPID | CLONE_NEWNS);
  MakeMountsPrivate();
  const pid_t pid = MUST(fork);
  if (pid != 0) {
    int status = 0;
    Retry([&] { return waitpid(pid, &status, 0); });
    _exit(ExitStatus(status));
  }
  MUST(mount, "proc", "/proc", "proc", 0, nullptr);
}

void CoverProc() {
  EnterPrivateMounts();
  Process other = Process::Quiet().Clone("other", CLONE_NEWPID);
  other.Run([] { MUST(mount, "proc", "/proc", "proc", 0, nullptr); });
}

void HideShm() {
  EnterPrivateMounts();
  MountTmpfs("/mnt");
  Open("/mnt/null", O_WRONLY | O_CREAT, 0600);
  MUST(mount, "/dev/null", "/mnt/null", nullptr, MS_BIND, nullptr);
  MUST(mount, "/mnt", "/dev", nullptr, MS_BIND | MS_REC, nullptr);
}

void FillStdout() {
  MUST(dup2, MUST(open, "/dev/full", O_WRONLY), STDOUT_FILENO);
}

}  // namespace steps
