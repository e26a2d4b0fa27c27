// What a container may not do: most capabilities are dropped.

#include "lessons/container/privileges.h"

#include <fmt/format.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include <bit>
#include <cerrno>
#include <memory>

#include "common/kernel/call.h"

namespace steps {
namespace {

using Capabilities = std::unique_ptr<void, int (*)(void*)>;

Capabilities OfThisProcess() {
  Capabilities own(cap_get_proc(), cap_free);
  if (own == nullptr) throw CallError(errno, "capget()");
  return own;
}

// How many the kernel has. A set has 64 bits.
int Count() {
  static const int count = [] {
    int known = 0;
    while (known < 64 && cap_get_bound(known) >= 0) ++known;
    return known;
  }();
  return count;
}

}  // namespace

std::uint64_t BoundingSet() {
  std::uint64_t set = 0;
  for (int cap = 0; cap < Count(); ++cap) {
    if (cap_get_bound(cap) == 1) set |= std::uint64_t{1} << cap;
  }
  return set;
}

std::uint64_t EffectiveSet() {
  const Capabilities own = OfThisProcess();
  std::uint64_t set = 0;
  for (int cap = 0; cap < Count(); ++cap) {
    cap_flag_value_t has = CAP_CLEAR;
    MUST(cap_get_flag, static_cast<cap_t>(own.get()), cap, CAP_EFFECTIVE,
         &has);
    if (has == CAP_SET) set |= std::uint64_t{1} << cap;
  }
  return set;
}

std::string CountOf(std::uint64_t set) {
  return fmt::format("{} of {}", std::popcount(set), Count());
}

std::string NoNewPrivileges() {
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "no" : "yes";
}

void DropPrivileges() {
  CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const Capabilities own = OfThisProcess();
  auto* const set = static_cast<cap_t>(own.get());
  CALL(prctl, PR_CAPBSET_DROP, CAP_SYS_ADMIN);  // The first of many.
  for (int cap = 0; cap < Count(); ++cap) {
    if ((kEnginesCapabilities >> cap & 1) == 1) continue;
    MUST(prctl, PR_CAPBSET_DROP, cap);
    for (const cap_flag_t flag :
         {CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE}) {
      MUST(cap_set_flag, set, flag, 1, &cap, CAP_CLEAR);
    }
  }
  MUST(cap_set_proc, set);
}

}  // namespace steps
