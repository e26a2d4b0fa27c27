#ifndef LESSONS_CHROOT_JAIL_H_
#define LESSONS_CHROOT_JAIL_H_

namespace steps {

/// Makes a small root on /mnt, with the machine's programs and a directory
/// /jail. Nothing in it can be changed. Throws CallError, and
/// std::runtime_error where something could be.
void MakeJail();

}  // namespace steps

#endif  // LESSONS_CHROOT_JAIL_H_
