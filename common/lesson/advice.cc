#include "common/lesson/advice.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <vector>

#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"

namespace steps {
namespace {

// What a file of /proc holds, or nothing when there is no such file.
std::string Contents(const std::string& path) {
  try {
    return ReadFile(path);
  } catch (const CallError&) {
    return "";
  }
}

// The number in it, or `absent`.
int ReadNumber(const std::string& path, int absent) {
  const std::string text = Contents(path);
  return text.empty() ? absent : std::stoi(text);
}

std::string LimitOf(const Kind& kind) {
  return fmt::format("user.max_{}_namespaces", kind.proc_name);
}

// Whether a line of `map`, a uid_map, is about the user `uid`.
bool IsMapped(uid_t uid, const std::string& map) {
  std::istringstream lines(map);
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (lines >> inside >> outside >> count) {
    if (uid >= inside && uid - inside < count) return true;
  }
  return false;
}

// The name of the profile in `label`, such as "docker-default (enforce)".
std::string ProfileIn(const std::string& label) {
  const std::string name = label.substr(0, label.find_first_of(" \n"));
  return name == "unconfined" ? "" : name;
}

// The mounts, as far as /proc tells of them.
std::vector<Mount> KnownMounts() {
  try {
    return Mounts();
  } catch (const CallError&) {
    return {};
  }
}

// A root directory that is no mount point was made by chroot(2).
bool InChroot(const std::vector<Mount>& mounts) {
  return !mounts.empty() &&
         std::ranges::find(mounts, "/", &Mount::point) == mounts.end();
}

// Whether `mount` hides a part of /proc. These directories are always empty:
// they exist to be mounted on.
bool MasksProc(const Mount& mount) {
  return mount.point.starts_with("/proc/") && mount.point != "/proc/fs/nfsd" &&
         mount.point != "/proc/sys/fs/binfmt_misc" &&
         mount.point != "/proc/xen";
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool Is(const Call& call, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, call.name()) != names.end();
}

// Whether one of its arguments has this text in it.
bool Names(const Call& call, std::string_view part) {
  return Has(call.text, part);
}

bool MakesNamespace(const Call& call) {
  return call.namespaces != 0 && call.name() != "setns";
}

// The directory of links or one of them: stat("/proc/1/ns/uts").
bool ReadsNamespaceOfProcess(const Call& call) {
  return Is(call, {"access", "open", "readlink", "stat"}) &&
         Names(call, "/proc/") && Names(call, "/ns");
}

bool MakesCgroup(const Call& call) {
  return Names(call, "/cgroup.procs") || Names(call, kCgroupPrefix);
}

bool ChangesMounts(const Call& call) {
  return Is(call, {"mount", "umount2", "pivot_root", "mount_setattr"});
}

bool ChangesInterfaces(const Call& call) {
  return Names(call, "veth") || Names(call, "SIOCSIF");
}

bool ChangesNames(const Call& call) {
  return Is(call, {"sethostname", "setdomainname"});
}

// A kind of namespace that this kernel lacks, and without which `call` fails.
std::optional<Advice> MissingKind(const Call& call, const Machine& machine) {
  for (const Kind& kind : Kinds()) {
    const bool needed =
        (call.namespaces & kind.flag) != 0 ||
        Names(call, fmt::format("/proc/self/ns/{}", kind.proc_name));
    if (needed && !machine.kinds.contains(std::string(kind.name))) {
      return Advice{
          fmt::format("This kernel has no {} namespaces.", kind.name),
          fmt::format("a kernel from {} on, configured with them", kind.since)};
    }
  }
  return std::nullopt;
}

Advice Seccomp() {
  return {"A seccomp filter refuses it, as container engines install.",
          "docker run (or podman run) --security-opt seccomp=unconfined"};
}

// The cause of an EPERM or EACCES.
std::optional<Advice> ExplainRefusal(const Call& call, int error,
                                     const Machine& machine) {
  const bool makes_user_namespace = (call.namespaces & CLONE_NEWUSER) != 0;
  if (call.name() == "execv") {
    return Advice{
        "This user may not reach that program, or may not run it.",
        "copy bazel-bin/lessons to a directory that this user may read"};
  }
  if (ReadsNamespaceOfProcess(call)) {
    if (!machine.privileged) {
      return Advice{
          "The process belongs to somebody else, or may do more (ptrace(2)).",
          "sudo"};
    }
    return Advice{
        "The process may do more than this one, or is protected (ptrace(2)).",
        "CAP_SYS_PTRACE in its user namespace"};
  }
  if (call.name() == "setns") {
    if (machine.seccomp && !machine.privileged) return Seccomp();
    return Advice{
        "It takes CAP_SYS_ADMIN in the user namespace that owns it.",
        machine.privileged ? "CAP_SYS_ADMIN in that user namespace" : "sudo"};
  }
  if (makes_user_namespace && machine.chroot) {
    return Advice{"Inside a chroot no user namespace may be made (clone(2)).",
                  "run it outside of the chroot"};
  }
  if (makes_user_namespace && !machine.mapped) {
    return Advice{
        "This user has no number in the user namespace that it is in.",
        "leave that one, or make it with a map: unshare --map-root-user"};
  }
  if (MakesNamespace(call) && machine.seccomp) return Seccomp();
  if (call.name() == "mount" && Names(call, "proc") && machine.masked_proc) {
    return Advice{
        "/proc is masked, as container engines do: then no new proc may be "
        "mounted.",
        "docker run --security-opt systempaths=unconfined, or podman run "
        "--security-opt unmask=ALL"};
  }
  if (ChangesMounts(call) && error == EACCES && !machine.apparmor.empty()) {
    return Advice{
        fmt::format("The AppArmor profile {} refuses it.", machine.apparmor),
        "docker run (or podman run) --security-opt apparmor=unconfined"};
  }
  if (error == EPERM && Names(call, "monotonic ")) {
    return Advice{
        "It takes CAP_SYS_TIME as well (time_namespaces(7)).",
        "run it as an ordinary user, or docker run --cap-add SYS_TIME"};
  }
  if (machine.privileged && error == EPERM && ChangesInterfaces(call)) {
    return Advice{
        "It takes CAP_NET_ADMIN as well (network_namespaces(7)).",
        "run it as an ordinary user, or docker run --cap-add NET_ADMIN"};
  }
  if (machine.privileged) {
    const bool filtered = ChangesMounts(call) || ChangesNames(call);
    return machine.seccomp && filtered ? std::optional(Seccomp())
                                       : std::nullopt;
  }
  if (!machine.unprivileged_clone) {
    return Advice{"kernel.unprivileged_userns_clone is 0.",
                  "sudo sysctl kernel.unprivileged_userns_clone=1"};
  }
  if (machine.apparmor_restricts) {
    return Advice{
        "AppArmor restricts user namespaces of ordinary users (Ubuntu 23.10+).",
        "sudo, or until the next boot: sudo sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0"};
  }
  if (machine.seccomp) return Seccomp();
  return Advice{"The kernel refuses it to this user.", "sudo"};
}

}  // namespace

Machine Machine::Look(const std::string& proc) {
  Machine machine;
  machine.privileged = HasCapabilities({CAP_SYS_ADMIN});
  machine.mapped = IsMapped(geteuid(), Contents(proc + "/self/uid_map"));
  machine.seccomp = Has(Contents(proc + "/self/status"), "\nSeccomp:\t2");
  machine.apparmor = ProfileIn(Contents(proc + "/self/attr/apparmor/current"));
  const std::vector<Mount> mounts = KnownMounts();
  machine.chroot = InChroot(mounts);
  machine.masked_proc = std::ranges::any_of(mounts, MasksProc);
  machine.apparmor_restricts =
      ReadNumber(proc + "/sys/kernel/apparmor_restrict_unprivileged_userns",
                 0) == 1;
  machine.unprivileged_clone =
      ReadNumber(proc + "/sys/kernel/unprivileged_userns_clone", 1) == 1;
  for (const Kind& kind : Kinds()) {
    const std::string limit = LimitOf(kind);
    std::string path = limit;
    path.replace(path.find('.'), 1, "/");
    if (ReadNumber(fmt::format("{}/sys/{}", proc, path), 1) == 0) {
      machine.limits.insert(limit);
    }
    if (std::filesystem::exists(
            fmt::format("{}/self/ns/{}", proc, kind.proc_name))) {
      machine.kinds.insert(std::string(kind.name));
    }
  }
  return machine;
}

std::optional<Advice> Explain(const CallError& error, const Machine& machine) {
  const Call& call = error.call();

  switch (error.error()) {
    case ENOSPC:
      if (!MakesNamespace(call)) return std::nullopt;
      for (const Kind& kind : Kinds()) {
        const std::string limit = LimitOf(kind);
        if ((call.namespaces & kind.flag) != 0 &&
            machine.limits.contains(limit)) {
          return Advice{fmt::format("{} is 0: no {} namespace may be made.",
                                    limit, kind.name),
                        fmt::format("sudo sysctl {}=15000", limit)};
        }
      }
      return Advice{
          "Too many namespaces, or nested deeper than 32 levels "
          "(user_namespaces(7)).",
          "leave a level, or end what holds them: lsns"};

    case ENOENT:
      if (!Names(call, "\"dot\"")) return MissingKind(call, machine);
      return Advice{"Graphviz, which draws, is not installed.",
                    "sudo apt-get install graphviz"};

    case EINVAL:
      if (std::optional<Advice> missing = MissingKind(call, machine)) {
        return missing;
      }
      if (machine.chroot && ChangesMounts(call)) {
        return Advice{"The root directory is no mount point: this is a chroot.",
                      "run it outside of the chroot"};
      }
      return std::nullopt;

    case EAGAIN:
      if (!Is(call, {"clone", "clone3", "fork"})) return std::nullopt;
      return Advice{"No more processes may be made: ulimit -u, or pids.max.",
                    "raise that limit, or end some processes"};

    case EMFILE:
      if (call.name() != "mq_open" && !Names(call, "mqueue")) return std::nullopt;
      return Advice{
          "The POSIX queues of a user may take no more bytes than ulimit -q.",
          "raise that limit, or end what holds the queues"};

    case ENODEV:
      if (call.name() != "mount") return std::nullopt;
      return Advice{"This kernel does not have that kind of file system.",
                    "a kernel that is configured with it"};

    case ENOSYS:
      if (machine.seccomp) return Seccomp();
      return Advice{"This kernel does not have the call.", "a newer kernel"};

    case EROFS:
      if (MakesCgroup(call)) {
        return Advice{
            "The cgroups are mounted read-only, as container engines do.",
            "run it outside of the container"};
      }
      return std::nullopt;

    case EOPNOTSUPP:
      if (!Names(call, "veth")) return std::nullopt;
      return Advice{"This kernel has no veth interfaces.",
                    "a kernel configured with CONFIG_VETH"};

    case EPERM:
    case EACCES:
      if (MakesCgroup(call)) {
        return Advice{"No cgroup is delegated to this user (cgroups(7)).",
                      "sudo, or run it in what systemd-run --user --scope "
                      "starts"};
      }
      return ExplainRefusal(call, error.error(), machine);

    default:
      return std::nullopt;
  }
}

std::optional<Refusal> ExamineProc() {
  const std::string what = "/proc does not know this process by its PID";
  struct statfs status = {};
  if (statfs("/proc", &status) == -1 || status.f_type != PROC_SUPER_MAGIC) {
    return Refusal{what,
                   {"/proc is not mounted.", "sudo mount -t proc proc /proc"}};
  }
  std::error_code unknown;
  if (std::filesystem::read_symlink("/proc/self", unknown) ==
      std::to_string(getpid())) {
    return std::nullopt;
  }
  return Refusal{
      what,
      {"/proc belongs to another PID namespace, as in the shell of the lesson "
       "pid.",
       "leave that shell, or give it a /proc: unshare --mount-proc"}};
}

}  // namespace steps
