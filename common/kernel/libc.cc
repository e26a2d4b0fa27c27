#include "common/kernel/libc.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace steps {

#if !__GLIBC_PREREQ(2, 32)
namespace {

template <std::size_t size>
const char* NameIn(const std::array<std::pair<int, const char*>, size>& names,
                   int number) {
  for (const auto& [value, name] : names) {
    if (value == number) return name;
  }
  return nullptr;
}

}  // namespace

const char* strerrorname_np(int error) {
  return NameIn(std::to_array<std::pair<int, const char*>>(
                    {{0, "0"},
                     {E2BIG, "E2BIG"},
                     {EACCES, "EACCES"},
                     {EAGAIN, "EAGAIN"},
                     {EBADF, "EBADF"},
                     {EBUSY, "EBUSY"},
                     {ECHILD, "ECHILD"},
                     {ECONNREFUSED, "ECONNREFUSED"},
                     {EEXIST, "EEXIST"},
                     {EINTR, "EINTR"},
                     {EINVAL, "EINVAL"},
                     {EIO, "EIO"},
                     {EISDIR, "EISDIR"},
                     {ELOOP, "ELOOP"},
                     {EMFILE, "EMFILE"},
                     {ENETUNREACH, "ENETUNREACH"},
                     {ENFILE, "ENFILE"},
                     {ENODEV, "ENODEV"},
                     {ENOENT, "ENOENT"},
                     {ENOEXEC, "ENOEXEC"},
                     {ENOMEM, "ENOMEM"},
                     {ENOSPC, "ENOSPC"},
                     {ENOSYS, "ENOSYS"},
                     {ENOTDIR, "ENOTDIR"},
                     {ENOTEMPTY, "ENOTEMPTY"},
                     {ENXIO, "ENXIO"},
                     {EOPNOTSUPP, "EOPNOTSUPP"},
                     {EOVERFLOW, "EOVERFLOW"},
                     {EPERM, "EPERM"},
                     {EPIPE, "EPIPE"},
                     {ERANGE, "ERANGE"},
                     {EROFS, "EROFS"},
                     {ESRCH, "ESRCH"},
                     {ETIMEDOUT, "ETIMEDOUT"},
                     {EUSERS, "EUSERS"},
                     {EXDEV, "EXDEV"}}),
                error);
}

const char* sigabbrev_np(int signal) {
  return NameIn(
      std::to_array<std::pair<int, const char*>>(
          {{SIGABRT, "ABRT"}, {SIGALRM, "ALRM"},   {SIGBUS, "BUS"},
           {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},   {SIGFPE, "FPE"},
           {SIGHUP, "HUP"},   {SIGILL, "ILL"},     {SIGINT, "INT"},
           {SIGKILL, "KILL"}, {SIGPIPE, "PIPE"},   {SIGQUIT, "QUIT"},
           {SIGSEGV, "SEGV"}, {SIGSTOP, "STOP"},   {SIGSYS, "SYS"},
           {SIGTERM, "TERM"}, {SIGTRAP, "TRAP"},   {SIGTSTP, "TSTP"},
           {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},   {SIGUSR1, "USR1"},
           {SIGUSR2, "USR2"}, {SIGWINCH, "WINCH"}, {SIGXCPU, "XCPU"}}),
      signal);
}
#endif

#if !__GLIBC_PREREQ(2, 36)
int mount_setattr(int directory, const char* path, unsigned int flags,
                  mount_attr* attr, std::size_t size) {
  constexpr long kNumber = 442;  // On every architecture; since Linux 5.12.
  return static_cast<int>(syscall(kNumber, directory, path, flags, attr, size));
}
#endif

}  // namespace steps
