#include "common/lesson/advice.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <regex>
#include <string_view>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// What is found out about the call itself, beside the traits of the machine.
constexpr unsigned kMissingKind = 1U << 30;  // Needs a kind that is not there.
constexpr unsigned kScarceKind = 1U << 31;   // Makes one of few.

// The first row that fits tells: one of its errors, its calls, and all of its
// traits. Explain fills in what is in braces.
struct Row {
  std::string_view errors;
  const char* calls;  // A regular expression for the call as it is written.
  unsigned traits;
  const char* cause;  // nullptr: the machine is not to blame.
  const char* remedy;
  const char* in_container = nullptr;  // The remedy there, where it differs.
};

constexpr const char* kRefused = "EPERM EACCES";
constexpr const char* kAnything = "";
constexpr const char* kNamespace = R"(\b(clone3?|unshare)\(.*CLONE_NEW)";
constexpr const char* kUserNamespace =
    R"(\b(clone3?|unshare)\(.*CLONE_NEWUSER)";
constexpr const char* kJoin = R"(^setns\()";
constexpr const char* kInspection =
    R"(^(access|open|readlink|stat)\("/proc/.*/ns)";
constexpr const char* kMap = R"(/(uid_map|gid_map|setgroups))";
constexpr const char* kMount = R"(^(u?mount2?|mount_setattr|pivot_root)\()";
constexpr const char* kMountOrName =
    R"(^(u?mount2?|mount_setattr|pivot_root|set(host|domain)name)\()";
constexpr const char* kLabelled =
    R"re(CLONE_NEW|_map"|setgroups"|^(u?mount|pivot|set.*name)|SIOCSIF|"veth")re";
constexpr const char* kCgroup = R"(/cgroup\.procs|/steps-)";

constexpr const char* kFilter =
    "A seccomp filter refuses it, as container engines install.";
constexpr const char* kNoFilter =
    "run it outside of the sandbox or service that has the filter";
constexpr const char* kUnconfined =
    "docker run (or podman run) --security-opt seccomp=unconfined";

constexpr const char* kNoneInChroot =
    "Inside a chroot no user namespace may be made (clone(2)).";
constexpr const char* kNoChroot = "run it outside of the chroot";

constexpr Row kTable[] = {
    // What the kernel lacks.
    {"EINVAL ENOENT", kAnything, kMissingKind,
     "This kernel has no {kind} namespaces.",
     "a kernel from {since} on, configured with them"},
    {"ENODEV", kMount, kAnywhere,
     "This kernel does not have that kind of file system.",
     "a kernel that is configured with it"},
    {"EOPNOTSUPP", R"("veth")", kAnywhere,
     "This kernel has no veth interfaces.",
     "a kernel configured with CONFIG_VETH"},
    {"ENOSYS", kAnything, kFiltered, kFilter, kNoFilter, kUnconfined},
    {"ENOSYS", kAnything, kAnywhere, "This kernel does not have the call.",
     "a newer kernel"},
    {"ENOENT", R"(^(mount|stat)\(.*"/mnt")", kAnywhere,
     "There is no directory /mnt, on which lessons mount.", "sudo mkdir /mnt"},
    {"ENOENT", R"("dot")", kAnywhere,
     "Graphviz, which draws, is not installed.",
     "sudo apt-get install graphviz"},

    // Limits.
    {"ENOSPC EUSERS", kNamespace, kScarceKind,
     "No more {kind} namespaces may be made: user.max_{proc_name}_namespaces "
     "is {most}.",
     "sudo sysctl user.max_{proc_name}_namespaces=15000"},
    {"ENOSPC EUSERS", kNamespace, kAnywhere,
     "Too many namespaces, or nested deeper than 32 levels "
     "(user_namespaces(7)).",
     "leave a level, or end what holds them: lsns"},
    {"EAGAIN", R"(\b(clone3?|v?fork|pthread_create)\()", kAnywhere,
     "No more processes may be made (ulimit -u, or pids.max of a cgroup).",
     "raise that limit, or end some processes"},
    {"EMFILE", R"(^mq_open\(|mqueue)", kAnywhere,
     "The POSIX queues of a user may take no more bytes (ulimit -q).",
     "raise that limit, or end what holds the queues"},
    {"EMFILE", kAnything, kAnywhere,
     "A process may have no more files open (ulimit -n).",
     "raise that limit where it was set: ulimit -n, limits.conf(5)"},

    // Cgroups and programs.
    {"EROFS", kCgroup, kAnywhere,
     "The cgroups are mounted read-only, as container engines do.",
     "sudo mount -o remount,bind,rw /sys/fs/cgroup, or what of it is ro: "
     "findmnt -t cgroup",
     "docker run (or podman run) --privileged, or -v "
     "/sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host"},
    {kRefused, kCgroup, kAnywhere,
     "No cgroup is delegated to this user (cgroups(7)).",
     "sudo, or run it in what systemd-run --user --scope starts",
     "docker run (or podman run) --privileged"},
    {kRefused, R"(^execv\()", kAnywhere,
     "This user may not reach that program, or may not run it.",
     "copy the programs to a directory that this user may read"},

    {"ENOENT", R"re(^readlink\("/proc/self",)re", kAnywhere,
     "/proc is not mounted.", "sudo mount -t proc proc /proc"},

    // Other processes, and what is theirs.
    {kRefused, kInspection, kAnywhere,
     "The process belongs to somebody else, or may do more (ptrace(2)).",
     "sudo, or CAP_SYS_PTRACE in its user namespace"},
    {kRefused, kJoin, kPrivileged,
     "It takes CAP_SYS_ADMIN in the user namespace that owns it.",
     "CAP_SYS_ADMIN in that user namespace"},
    {kRefused, kJoin, kFiltered, kFilter, kNoFilter, kUnconfined},
    {kRefused, kJoin, kAnywhere,
     "It takes CAP_SYS_ADMIN in the user namespace that owns it.", "sudo"},

    // Where a process is, and what confines it.
    {"EPERM", kUserNamespace, kInChroot, kNoneInChroot, kNoChroot},
    {"EINVAL", kMount, kInChroot,
     "The root directory is no mount point: this is a chroot.", kNoChroot},
    {kRefused, kUserNamespace, kUnmapped,
     "This user has no number in the user namespace that it is in.",
     "leave that one, or make it with a map: unshare --map-root-user"},
    {kRefused, kNamespace, kFiltered, kFilter, kNoFilter, kUnconfined},
    // Else clone(2) knows no reason to refuse root one.
    {"EPERM", kUserNamespace, kPrivileged, kNoneInChroot, kNoChroot},
    {kRefused, R"re(^mount\(.*"proc")re", kMaskedProc,
     "/proc is masked, as container engines do: then no new proc may be "
     "mounted.",
     "run it where nothing hides a part of /proc: findmnt -R /proc",
     "docker run --security-opt systempaths=unconfined, or podman run "
     "--security-opt unmask=ALL"},
    {"EACCES", kLabelled, kSelinux, "SELinux refuses it.",
     "see what to allow: sudo ausearch -m avc -ts recent",
     "docker run (or podman run) --security-opt label=disable"},
    {"EACCES", kMount, kConfined, "The AppArmor profile {profile} refuses it.",
     "sudo aa-complain {profile}",
     "docker run (or podman run) --security-opt apparmor=unconfined"},

    // Root that is not quite root.
    {"EPERM", kMap, kNoSetfcap,
     "CAP_SETFCAP is missing: since Linux 5.12 it takes that to map uid 0.",
     "run it as an ordinary user",
     "docker run (or podman run) --cap-add SETFCAP"},
    {kRefused, kMountOrName, kFiltered | kPrivileged, kFilter, kNoFilter,
     kUnconfined},
    {kRefused, kAnything, kPrivileged, nullptr, nullptr},

    // Ordinary users.
    {kRefused, kAnything, kNoUserClone,
     "kernel.unprivileged_userns_clone is 0.",
     "sudo sysctl kernel.unprivileged_userns_clone=1"},
    {kRefused, kAnything, kRestricted,
     "AppArmor restricts user namespaces of ordinary users (Ubuntu 23.10+).",
     "sudo, or until the next boot: sudo sysctl "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
    {kRefused, kAnything, kFiltered, kFilter, kNoFilter, kUnconfined},
    {kRefused, kAnything, kAnywhere, "The kernel refuses it to this user.",
     "sudo"},
};

// What is left of a remedy where sudo(8) is of no use.
std::string WithoutSudo(std::string remedy, const Machine& machine) {
  const bool container = machine.Is(kInContainer);
  const bool root = machine.Is(kUidZero);
  if (!Has(remedy, "sudo") || !(root || container)) return remedy;
  if (remedy == "sudo") {
    return container ? "docker run (or podman run) --privileged"
                     : "start it with all of root's capabilities";
  }
  remedy = std::regex_replace(remedy, std::regex("sudo(, or)? "), "");
  if (container) return "outside of the container: " + remedy;
  return machine.Is(kPrivileged) ? remedy
                                 : "with root's capabilities: " + remedy;
}

// A kind of namespace that the call needs, and this machine does not give.
struct Lack {
  unsigned trait = kAnywhere;
  Kind kind = {};
  std::uint64_t most = 0;  // How many of them there may be.
};

Lack FindLack(const Call& call, const Machine& machine) {
  // Where there may be more of them, it is not this that refuses one.
  Lack lack = {.most = 257};
  for (const Kind& kind : Kinds()) {
    const bool makes = Has(call.text, kind.flag_name);
    const bool opens =
        Has(call.text, fmt::format("/proc/self/ns/{}", kind.proc_name));
    const auto most = machine.most.find(kind.flag);
    if (!makes && !opens) continue;
    if (most == machine.most.end()) return {kMissingKind, kind};
    if (makes && most->second < lack.most) {
      lack = {kScarceKind, kind, most->second};
    }
  }
  return lack;
}

// Whether `mount` hides a part of /proc. These directories are always empty:
// they exist to be mounted on.
bool MasksProc(const Mount& mount) {
  return mount.point.starts_with("/proc/") && mount.point != "/proc/fs/nfsd" &&
         mount.point != "/proc/sys/fs/binfmt_misc" &&
         mount.point != "/proc/xen";
}

}  // namespace

Machine Machine::Look(const std::string& root) {
  const auto exists = [&root](const std::string& path) {
    return access((root + path).c_str(), F_OK) == 0;
  };
  const auto read = [&root](const std::string& path) -> std::string {
    try {
      return ReadText(root + path);
    } catch (const std::exception&) {
      return "";
    }
  };
  const std::vector<Mount> mounts = MountsIn(read("/proc/self/mountinfo"));
  const auto is_mounted = [&mounts](std::string_view point) {
    return std::ranges::count(mounts, point, &Mount::point) > 0;
  };
  const std::string profile = read("/proc/self/attr/apparmor/current");

  Machine machine;
  machine.profile = profile.substr(0, profile.find(' '));
  for (const Kind& kind : Kinds()) {
    const std::string name(kind.proc_name);
    if (!exists("/proc/self/ns/" + name)) continue;
    const std::string most = read("/proc/sys/user/max_" + name + "_namespaces");
    machine.most[kind.flag] = most.empty() ? UINT64_MAX : std::stoull(most);
  }
  const auto add_if = [&machine](bool so, Trait trait) {
    if (so) machine.traits |= trait;
  };
  const bool is_root = geteuid() == 0;
  add_if(is_root, kUidZero);
  add_if(HasCapabilities({CAP_SYS_ADMIN}), kPrivileged);
  add_if(is_root && !HasCapabilities({CAP_SETFCAP}), kNoSetfcap);
  add_if(read("/proc/self/uid_map").empty(), kUnmapped);
  add_if(Has(read("/proc/self/status"), "\nSeccomp:\t2\n"), kFiltered);
  add_if(!profile.empty() && profile != "unconfined", kConfined);

  add_if(exists("/run/.containerenv") || exists("/run/systemd/container") ||
             is_mounted("/etc/hostname"),
         kInContainer);
  add_if(!mounts.empty() && !is_mounted("/"), kInChroot);
  add_if(std::ranges::any_of(mounts, MasksProc), kMaskedProc);

  add_if(read("/proc/sys/kernel/unprivileged_userns_clone") == "0",
         kNoUserClone);
  add_if(read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
         kRestricted);
  add_if(read("/sys/fs/selinux/enforce") == "1", kSelinux);
  return machine;
}

std::optional<Advice> Explain(const std::exception& exception,
                              const Machine& machine) {
  if (const auto* own = dynamic_cast<const ExplainedError*>(&exception)) {
    return own->advice;
  }
  const std::optional<CallError> error = AsCallError(exception);
  if (!error) return std::nullopt;
  const Call& call = error->call();
  const Lack lack = FindLack(call, machine);
  const unsigned traits = machine.traits | lack.trait;
  const auto* const row = std::ranges::find_if(kTable, [&](const Row& each) {
    return Has(each.errors, ErrnoName(call.error)) &&
           (each.traits & ~traits) == 0 &&
           std::regex_search(call.text, std::regex(each.calls));
  });
  if (row == std::end(kTable) || row->cause == nullptr) return std::nullopt;
  const bool differs = machine.Is(kInContainer) && row->in_container != nullptr;
  const char* remedy = differs ? row->in_container : row->remedy;
  const auto fill = [&](const char* text) {
    return fmt::format(fmt::runtime(text), fmt::arg("kind", lack.kind.name),
                       fmt::arg("since", lack.kind.since),
                       fmt::arg("most", lack.most),
                       fmt::arg("proc_name", lack.kind.proc_name),
                       fmt::arg("profile", machine.profile));
  };
  return Advice{fill(row->cause), WithoutSudo(fill(remedy), machine)};
}

void CheckProc() {
  const pid_t pid = getpid();
  if (pid < 1) throw CallError(-pid, "getpid()");
  try {
    if (ReadLink("/proc/self") == fmt::to_string(pid)) return;
  } catch (const CallError& error) {
    // It leads nowhere for the processes of other PID namespaces.
    const bool is_mounted = std::filesystem::is_symlink("/proc/self");
    if (error.error() != ENOENT || !is_mounted) throw;
  }
  throw ExplainedError(
      "/proc does not know this process by its PID",
      {"/proc belongs to another PID namespace, as after unshare --pid.",
       "leave that shell, or give it a /proc: unshare --mount-proc"});
}

}  // namespace steps
