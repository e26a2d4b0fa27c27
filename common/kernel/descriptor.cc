#include "common/kernel/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/kernel/call.h"

namespace steps {

void Descriptor::Close() noexcept {
  const int fd = std::exchange(fd_, -1);
  if (fd != -1 && close(fd) == -1) perror("close");
}

Descriptor Open(const std::string& path, int flags, mode_t mode) {
  return Descriptor(static_cast<int>(
      Check(open(path.c_str(), flags | O_CLOEXEC, mode), "open", {path})));
}

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        Retry([&] { return write(fd, bytes.data(), bytes.size()); });
    bytes.remove_prefix(Check(count, "write"));
  }
}

void WriteFile(const std::string& path, std::string_view text) {
  const Descriptor file = Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  // An error has as much of the text as strace(1) shows.
  const long size = Check(write(file.get(), text.data(), text.size()), "write",
                          {path, text.substr(0, 32)});
  WriteAll(file.get(), text.substr(size));
}

void Complain(std::string_view text) noexcept {
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, text.data(), text.size());
}

std::string ReadAll(int fd) {
  std::string bytes;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t count =
        Retry([&] { return read(fd, buffer.data(), buffer.size()); });
    if (Check(count, "read") == 0) return bytes;
    bytes.append(buffer.data(), count);
  }
}

std::string ReadFile(const std::string& path) {
  return ReadAll(Open(path, O_RDONLY).get());
}

std::vector<char*> ExecArguments(const std::vector<std::string>& argv) {
  std::vector<char*> pointers(argv.size() + 1);  // The last stays nullptr.
  std::ranges::transform(argv, pointers.begin(), [](const auto& argument) {
    return const_cast<char*>(argument.c_str());
  });
  return pointers;
}

}  // namespace steps
