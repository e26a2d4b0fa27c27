#include "common/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "common/descriptor.h"
#include "common/mounts.h"
#include "common/namespaces.h"
#include "common/user_namespace.h"

namespace steps {
namespace {

// The number in a file of /proc/sys, or `absent` when there is no such file.
int ReadNumber(const std::string& path, int absent) {
  try {
    return std::stoi(ReadFile(path));
  } catch (const CallError&) {
    return absent;
  }
}

std::string LimitOf(const Kind& kind) {
  return fmt::format("user.max_{}_namespaces", kind.proc_name);
}

// A root folder that is no mount point was made by chroot(2).
bool InChroot(const std::vector<Mount>& mounts) {
  return std::ranges::find(mounts, "/", &Mount::point) == mounts.end();
}

// Whether `mount` hides a part of /proc. These folders are always empty: they
// exist to be mounted on.
bool MasksProc(const Mount& mount) {
  return mount.point.starts_with("/proc/") && mount.point != "/proc/fs/nfsd" &&
         mount.point != "/proc/sys/fs/binfmt_misc" &&
         mount.point != "/proc/xen";
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The folder of links or one of them: `stat("/proc/1/ns/uts")`.
bool ReadsNamespaceOfProcess(const std::string& call) {
  const std::string_view name =
      std::string_view(call).substr(0, call.find('('));
  return (name == "access" || name == "open" || name == "readlink" ||
          name == "stat") &&
         Has(call, "(\"/proc/") && (Has(call, "/ns\"") || Has(call, "/ns/"));
}

Advice Seccomp() {
  return {"A seccomp filter refuses it, as container engines install.",
          "docker run (or podman run) --security-opt seccomp=unconfined"};
}

}  // namespace

Machine Machine::Look() {
  Machine machine;
  machine.privileged = HasSysAdmin();
  machine.seccomp = Has(ReadFile("/proc/self/status"), "\nSeccomp:\t2");
  const std::vector<Mount> mounts = Mounts();
  machine.chroot = InChroot(mounts);
  machine.masked_proc = std::ranges::any_of(mounts, MasksProc);
  machine.apparmor_restricts =
      ReadNumber("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) ==
      1;
  machine.unprivileged_clone =
      ReadNumber("/proc/sys/kernel/unprivileged_userns_clone", 1) == 1;
  for (const Kind& kind : Kinds()) {
    const std::string limit = LimitOf(kind);
    std::string path = "/proc/sys/" + limit;
    path.replace(path.find('.'), 1, "/");
    if (ReadNumber(path, 1) == 0) machine.limits.insert(limit);
    if (std::filesystem::exists(
            fmt::format("/proc/self/ns/{}", kind.proc_name))) {
      machine.kinds.insert(std::string(kind.name));
    }
  }
  return machine;
}

std::optional<Advice> Explain(const CallError& error, const Machine& machine) {
  const std::string& call = error.call();
  const bool makes_namespace = Has(call, "CLONE_NEW");
  const bool makes_user_namespace = Has(call, "CLONE_NEWUSER");

  switch (error.error()) {
    case ENOSPC:
      if (!makes_namespace) return std::nullopt;
      for (const Kind& kind : Kinds()) {
        const std::string limit = LimitOf(kind);
        if (Has(call, kind.flag_name) && machine.limits.contains(limit)) {
          return Advice{fmt::format("{} is 0: no {} namespace may be made.",
                                    limit, kind.name),
                        fmt::format("sudo sysctl {}=15000", limit)};
        }
      }
      return Advice{
          "Too many namespaces, or nested deeper than 32 levels "
          "(user_namespaces(7)).",
          "leave a level, or end what holds them: lsns"};

    case EINVAL:
      for (const Kind& kind : Kinds()) {
        if (Has(call, kind.flag_name) &&
            !machine.kinds.contains(std::string(kind.name))) {
          return Advice{
              fmt::format("This kernel has no {} namespaces.", kind.name),
              fmt::format("a kernel from {} on, configured with them",
                          kind.since)};
        }
      }
      if (machine.chroot && (Has(call, "mount(") || Has(call, "pivot_root("))) {
        return Advice{"The root folder is no mount point: this is a chroot.",
                      "run it outside of the chroot"};
      }
      return std::nullopt;

    case ENOSYS:
      if (machine.seccomp) return Seccomp();
      return Advice{"This kernel does not have the call.", "a newer kernel"};

    case EPERM:
    case EACCES:
      if (ReadsNamespaceOfProcess(call)) {
        if (!machine.privileged) {
          return Advice{
              "The process belongs to somebody else, or may do more "
              "(ptrace(2)).",
              "sudo"};
        }
        return Advice{
            "The process may do more than this one, or is protected "
            "(ptrace(2)).",
            "CAP_SYS_PTRACE in its user namespace"};
      }
      if (call.starts_with("setns(")) {
        if (machine.seccomp && !machine.privileged) return Seccomp();
        return Advice{
            "It takes CAP_SYS_ADMIN in the user namespace that owns it.",
            machine.privileged ? "CAP_SYS_ADMIN in that user namespace"
                               : "sudo"};
      }
      if (makes_user_namespace && machine.chroot) {
        return Advice{
            "Inside a chroot no user namespace may be made (clone(2)).",
            "run it outside of the chroot"};
      }
      if (makes_namespace && machine.seccomp) return Seccomp();
      if (Has(call, ", \"proc\", ") && machine.masked_proc) {
        return Advice{
            "/proc is masked, as container engines do: then no new proc may be "
            "mounted.",
            "docker run --security-opt systempaths=unconfined, or podman run "
            "--security-opt unmask=ALL"};
      }
      if (machine.privileged) return std::nullopt;
      if (!machine.unprivileged_clone) {
        return Advice{"kernel.unprivileged_userns_clone is 0.",
                      "sudo sysctl kernel.unprivileged_userns_clone=1"};
      }
      if (machine.apparmor_restricts) {
        return Advice{
            "AppArmor restricts user namespaces of ordinary users (Ubuntu "
            "23.10+).",
            "sudo, or until the next boot: sudo sysctl "
            "kernel.apparmor_restrict_unprivileged_userns=0"};
      }
      if (machine.seccomp) return Seccomp();
      return Advice{"The kernel refuses it to this user.", "sudo"};

    default:
      return std::nullopt;
  }
}

}  // namespace steps
