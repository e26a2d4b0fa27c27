#include "common/lesson/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <regex>
#include <string_view>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"

namespace steps {
namespace {

// Where a number of namespaces is so low that it is this which refuses one.
constexpr std::uint64_t kFewNamespaces = 256;

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// What is found out about the call itself, beside the traits of the machine.
constexpr unsigned kMissingKind = 1U << 30;  // Needs a kind that is not there.
constexpr unsigned kScarceKind = 1U << 31;   // Makes one of few.

// Regular expressions for the calls that a row is about, as they are written.
constexpr const char* kAnything = "";
constexpr const char* kNamespace = R"(\b(clone3?|unshare)\(.*CLONE_NEW)";
constexpr const char* kUserNamespace =
    R"(\b(clone3?|unshare)\(.*CLONE_NEWUSER)";
constexpr const char* kJoin = R"(^setns\()";
constexpr const char* kInspection =
    R"(^(access|open|readlink|stat)\("/proc/.*/ns)";
constexpr const char* kMap = R"(/(uid_map|gid_map|setgroups))";
constexpr const char* kMount = R"(^(u?mount2?|mount_setattr|pivot_root)\()";
constexpr const char* kProc = R"re(^mount\(.*"proc")re";
constexpr const char* kMountOrName =
    R"(^(u?mount2?|mount_setattr|pivot_root|set(host|domain)name)\()";
constexpr const char* kInterface = R"(SIOCSIF|"veth")";
constexpr const char* kVeth = R"("veth")";
constexpr const char* kLabelled =
    R"re(CLONE_NEW|_map"|setgroups"|^(u?mount|pivot|set.*name)|SIOCSIF|"veth")re";
constexpr const char* kClock = R"("monotonic )";
constexpr const char* kCgroup = R"(/cgroup\.procs|/steps-)";
constexpr const char* kProcess = R"(\b(clone3?|v?fork|pthread_create)\()";
constexpr const char* kQueue = R"(^mq_open\(|mqueue)";
constexpr const char* kProgram = R"(^execv\()";
constexpr const char* kNull = R"(^(mount|open)\("/dev/null")";
constexpr const char* kPlace = R"(^(mount|stat)\(.*"/mnt")";
constexpr const char* kGraphviz = R"("dot")";

// The first row that fits tells: one of its errors, its calls, and all of its
// traits.
struct Row {
  std::string_view errors;
  const char* calls;
  unsigned traits;
  const char* cause;  // nullptr: the machine is not to blame. {} has a name.
  const char* remedy;
  const char* in_container = nullptr;  // The remedy in a container,
  const char* to_root = nullptr;       // or to uid 0; where they differ.
};

constexpr const char* kRefused = "EPERM EACCES";
constexpr const char* kFilter =
    "A seccomp filter refuses it, as container engines install.";
constexpr const char* kNoFilter =
    "run it outside of the sandbox or service that has the filter";
constexpr const char* kUnconfined =
    "docker run (or podman run) --security-opt seccomp=unconfined";

constexpr Row kTable[] = {
    // What the kernel lacks.
    {"EINVAL ENOSYS ENODEV EOPNOTSUPP", kAnything, kGvisor,
     "gVisor runs this instead of Linux, and does not have all of it.",
     "docker run --runtime=runc"},
    {"EINVAL ENOSYS", kNamespace, kEmulated,
     "qemu-user, which runs this program, knows no namespaces.",
     "build it for the architecture of this machine"},
    {"EINVAL ENOENT", kAnything, kMissingKind,
     "This kernel has no {kind} namespaces.",
     "a kernel from {since} on, configured with them"},
    {"ENODEV", kMount, kAnywhere,
     "This kernel does not have that kind of file system.",
     "a kernel that is configured with it"},
    {"EOPNOTSUPP", kVeth, kAnywhere, "This kernel has no veth interfaces.",
     "a kernel configured with CONFIG_VETH"},
    {"ENOSYS", kAnything, kFiltered, kFilter, kNoFilter, kUnconfined},
    {"ENOSYS", kAnything, kAnywhere, "This kernel does not have the call.",
     "a newer kernel"},
    {"ENOENT", kNull, kAnywhere,
     "There is no /dev/null: something else is mounted on /dev.",
     "sudo mount -t devtmpfs devtmpfs /dev"},
    {"ENOENT", kPlace, kAnywhere,
     "There is no directory /mnt, on which lessons mount.", "sudo mkdir /mnt"},
    {"ENOENT", kGraphviz, kAnywhere, "Graphviz, which draws, is not installed.",
     "sudo apt-get install graphviz"},

    // Limits.
    {"ENOSPC EUSERS", kNamespace, kScarceKind, "{limit}: {none} may be made.",
     "sudo sysctl user.{name}=15000"},
    {"ENOSPC EUSERS", kNamespace, kAnywhere,
     "Too many namespaces, or nested deeper than 32 levels "
     "(user_namespaces(7)).",
     "leave a level, or end what holds them: lsns"},
    {"EAGAIN", kProcess, kAnywhere,
     "No more processes may be made: {processes}.",
     "raise that limit, or end some processes"},
    {"EMFILE", kQueue, kAnywhere,
     "The POSIX queues of a user may take no more bytes: {ulimit -q}.",
     "raise that limit, or end what holds the queues"},
    {"EMFILE", kAnything, kAnywhere,
     "A process may have no more files open: {ulimit -n}.",
     "raise that limit where it was set: ulimit -n, limits.conf(5)"},
    {"EFBIG", kAnything, kAnywhere,
     "A file may not be that large: {ulimit -f} KiB.",
     "raise that limit where it was set: ulimit -f, limits.conf(5)"},
    {"ENFILE", kAnything, kAnywhere,
     "The machine may have no more files open (fs.file-max).",
     "end what holds them: lsof"},
    {"ENOMEM", kAnything, kLittleMemory,
     "The memory of a process is limited: {ulimit -v} KiB.",
     "raise that limit where it was set: ulimit -v, limits.conf(5)"},

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
     "docker run (or podman run) --privileged",
     "run it in what systemd-run --scope starts"},
    {kRefused, kProgram, kAnywhere,
     "This user may not reach that program, or may not run it.",
     "copy the programs to a directory that this user may read"},

    // Other processes, and what is theirs.
    {kRefused, kInspection, kPrivileged,
     "The process may do more than this one, or is protected (ptrace(2)).",
     "CAP_SYS_PTRACE in its user namespace"},
    {kRefused, kInspection, kAnywhere,
     "The process belongs to somebody else, or may do more (ptrace(2)).",
     "sudo"},
    {kRefused, kJoin, kPrivileged,
     "It takes CAP_SYS_ADMIN in the user namespace that owns it.",
     "CAP_SYS_ADMIN in that user namespace"},
    {kRefused, kJoin, kFiltered, kFilter, kNoFilter, kUnconfined},
    {kRefused, kJoin, kAnywhere,
     "It takes CAP_SYS_ADMIN in the user namespace that owns it.", "sudo"},

    // Where a process is, and what confines it.
    {"EPERM", kUserNamespace, kInChroot,
     "Inside a chroot no user namespace may be made (clone(2)).",
     "run it outside of the chroot"},
    {"EINVAL", kMount, kBareRoot,
     "The root directory is no mount point: this is a chroot.",
     "run it outside of the chroot"},
    {kRefused, kUserNamespace, kUnmapped,
     "This user has no number in the user namespace that it is in.",
     "leave that one, or make it with a map: unshare --map-root-user"},
    {kRefused, kNamespace, kFiltered, kFilter, kNoFilter, kUnconfined},
    {kRefused, kProc, kMaskedProc,
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
    {"EPERM", kMap, kNoSetfcap | kNoroot,
     "SECBIT_NOROOT is set: uid 0 has no capabilities (capabilities(7)).",
     "start it without that bit, or run it as an ordinary user"},
    {"EPERM", kMap, kNoSetfcap,
     "CAP_SETFCAP is missing: since Linux 5.12 it takes that to map uid 0.",
     "run it as an ordinary user",
     "docker run (or podman run) --cap-add SETFCAP"},
    {kRefused, kMap, kTwoUids,
     "The real uid is {real_uid}, the effective one {uid}: then /proc/self is "
     "root's.",
     "run it with one uid for both: setpriv --reuid"},
    {"EPERM", kClock, kAnywhere,
     "It takes CAP_SYS_TIME as well (time_namespaces(7)).", "CAP_SYS_TIME",
     "docker run (or podman run) --cap-add SYS_TIME",
     "run it as an ordinary user"},
    {"EPERM", kInterface, kPrivileged,
     "It takes CAP_NET_ADMIN as well (network_namespaces(7)).", "CAP_NET_ADMIN",
     "docker run (or podman run) --cap-add NET_ADMIN",
     "run it as an ordinary user"},
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

// What is left of a remedy where sudo(8) is of no use, or is refused as well.
std::string WithoutSudo(std::string remedy, const Machine& machine) {
  const bool root = machine.uid == 0;
  const bool container = machine.Is(kInContainer);
  const bool chroot = machine.Is(kInChroot);
  if (!Has(remedy, "sudo") ||
      !(root || container || chroot || machine.Is(kNoNewPrivs))) {
    return remedy;
  }
  if (remedy == "sudo") {
    return container ? "docker run (or podman run) --privileged"
           : chroot  ? "run it outside of the chroot"
           : root    ? "start it with all of root's capabilities"
                     : "run it where no_new_privs is not set: sudo";
  }
  remedy = std::regex_replace(remedy, std::regex("sudo(, or)? "), "");
  if (container) return "outside of the container: " + remedy;
  if (!root) return "as root: " + remedy;
  return machine.Is(kPrivileged) ? remedy
                                 : "with root's capabilities: " + remedy;
}

// What is known of a call that was refused: traits, and what the names in the
// table's words stand for.
struct Circumstances {
  unsigned traits;
  std::map<std::string, std::string> words;
};

Circumstances LookAt(const Call& call, const Machine& machine) {
  unsigned traits = machine.traits;
  std::map<std::string, std::string> words = {
      {"profile", machine.apparmor},
      {"uid", fmt::to_string(machine.uid)},
      {"real_uid", fmt::to_string(machine.real_uid)}};
  // Of the kinds that it makes, the one of which the fewest are allowed.
  std::uint64_t fewest = kFewNamespaces + 1;
  for (const Kind& kind : Kinds()) {
    const bool makes = Has(call.text, kind.flag_name);
    const bool needs = makes || Has(call.text, fmt::format("/proc/self/ns/{}",
                                                           kind.proc_name));
    if (needs && !machine.kinds.contains(std::string(kind.name))) {
      traits |= kMissingKind;
      words["kind"] = kind.name;
      words["since"] = kind.since;
    }
    const auto limit = machine.limits.find(LimitOf(kind));
    if (makes && limit != machine.limits.end() && limit->second < fewest) {
      traits |= kScarceKind;
      fewest = limit->second;
      words["name"] = limit->first;
      words["limit"] = fmt::format("user.{} is {}", limit->first, fewest);
      words["none"] = fewest == 0
                          ? fmt::format("no {} namespace", kind.name)
                          : fmt::format("no more {} namespaces", kind.name);
    }
  }
  std::vector<std::string> processes;
  for (const auto& [name, value] : machine.limits) {
    words[name] = fmt::format("{} is {}", name, value);
    if (name == "pids.max" || name == "ulimit -u") {
      processes.push_back(words[name]);
    }
  }
  if (processes.empty()) processes.emplace_back("ulimit -u, or pids.max");
  words["processes"] = fmt::format("{}", fmt::join(processes, ", "));
  return {traits, words};
}

std::string Fill(std::string text,
                 const std::map<std::string, std::string>& words) {
  for (const auto& [name, value] : words) {
    const std::size_t at = text.find("{" + name + "}");
    if (at != std::string::npos) text.replace(at, name.size() + 2, value);
  }
  return text;
}

}  // namespace

std::optional<Advice> Explain(const std::exception& exception,
                              const Machine& machine) {
  if (const auto* own = dynamic_cast<const ExplainedError*>(&exception)) {
    return own->advice();
  }
  const std::optional<CallError> error = AsCallError(exception);
  if (!error) return std::nullopt;
  const Circumstances found = LookAt(error->call(), machine);
  const std::string name = ErrnoName(error->error());
  const auto* const row = std::ranges::find_if(kTable, [&](const Row& each) {
    return each.errors.find(name) != std::string_view::npos &&
           (each.traits & ~found.traits) == 0 &&
           std::regex_search(error->call().text, std::regex(each.calls));
  });
  if (row == std::end(kTable) || row->cause == nullptr) return std::nullopt;
  const char* remedy = row->remedy;
  if (machine.Is(kInContainer) && row->in_container != nullptr) {
    remedy = row->in_container;
  } else if (machine.uid == 0 && row->to_root != nullptr) {
    remedy = row->to_root;
  }
  return Advice{Fill(row->cause, found.words),
                WithoutSudo(Fill(remedy, found.words), machine)};
}

void CheckProc() {
  const char* what = "/proc does not know this process by its PID";
  struct statfs status = {};
  const int error = statfs("/proc", &status) == -1 ? errno : 0;
  if (error == ENOENT || (error == 0 && status.f_type != PROC_SUPER_MAGIC)) {
    Machine machine;
    machine.uid = geteuid();
    if (HasCapabilities({CAP_SYS_ADMIN})) machine.traits = kPrivileged;
    throw ExplainedError(
        what, {"/proc is not mounted.",
               WithoutSudo("sudo mount -t proc proc /proc", machine)});
  }
  if (error != 0) throw CallError(error, "statfs(\"/proc\")");
  const pid_t pid = getpid();
  if (pid < 1) throw CallError(-pid, "getpid()");
  std::string self;
  try {
    self = ReadLink("/proc/self");
  } catch (const CallError& refused) {
    if (refused.error() != ENOENT) throw;
  }
  if (self == fmt::to_string(pid)) return;
  throw ExplainedError(
      what, {"/proc belongs to another PID namespace, as after unshare --pid.",
             "leave that shell, or give it a /proc: unshare --mount-proc"});
}

}  // namespace steps
