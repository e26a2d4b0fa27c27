#ifndef COMMON_KERNEL_DESCRIPTOR_H_
#define COMMON_KERNEL_DESCRIPTOR_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace steps {

/// Owns one file descriptor and closes it. Moves, never copies.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }

  /// The descriptor, or -1 when there is none.
  int get() const { return fd_; }

  /// Closes it now. A failure is reported on stderr. close(2).
  void Close() noexcept;

 private:
  int fd_ = -1;
};

/// Opens `path`, close-on-exec; `mode` is for a file that is made. Throws
/// CallError. open(2).
Descriptor Open(const std::string& path, int flags, mode_t mode = 0);

/// Writes all of `bytes`. Throws CallError. write(2).
void WriteAll(int fd, std::string_view bytes);

/// Makes `text` the contents of the file at `path`, or writes it to a file of
/// the kernel, with one call. Throws CallError.
void WriteFile(const std::string& path, std::string_view text);

/// Says `text` on stderr. What cannot be written is lost: that must not change
/// how a program ends. A signal handler may call this.
void Complain(std::string_view text) noexcept;

/// All that is left to read of a file, or of that at `path`. Throws CallError.
/// read(2).
std::string ReadAll(int fd);
std::string ReadFile(const std::string& path);

/// `argv` for execvp(3): valid while the strings are.
std::vector<char*> ExecArguments(const std::vector<std::string>& argv);

}  // namespace steps

#endif  // COMMON_KERNEL_DESCRIPTOR_H_
