#ifndef COMMON_KERNEL_INTERFACES_H_
#define COMMON_KERNEL_INTERFACES_H_

#include <sys/types.h>

#include <string>

namespace steps {

/// Makes a veth pair: `name` in the network namespace of the caller, and `peer`
/// in that of the process `pid`. Throws CallError. veth(4), rtnetlink(7).
void MakeVethPair(const std::string& name, const std::string& peer, pid_t pid);

/// Brings the interface `name` up. Throws CallError. netdevice(7).
void BringUp(const std::string& name);

}  // namespace steps

#endif  // COMMON_KERNEL_INTERFACES_H_
