#include "common/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <sstream>
#include <utility>

#include "common/call_error.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace steps {
namespace {

// What crosses the line from child to parent: a header, then `size` bytes.
enum class Frame : std::uint32_t {
  kMessage,    // Line::Send's bytes.
  kCallError,  // An errno as std::int32_t, then the call.
  kError,      // The what() of any other exception.
};

struct Header {
  Frame frame;
  std::uint32_t size;
};

void SendFrame(int fd, Frame frame, std::string_view bytes) {
  const Header header = {frame, static_cast<std::uint32_t>(bytes.size())};
  std::string text(reinterpret_cast<const char*>(&header), sizeof header);
  text += bytes;
  WriteAll(fd, text);
}

// Fills `buffer` unless the pipe ends first; how many bytes came.
std::size_t ReadUpTo(int fd, char* buffer, std::size_t size) {
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t count = read(fd, buffer + filled, size - filled);
    if (count == -1 && errno == EINTR) continue;
    if (Check(count, "read({})", fd) == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

// Has this process killed when its parent ends; false when it already has.
// Only the pipe can tell: in a new PID namespace getppid() is always 0.
bool DieWithParent(int messages) {
  Check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl(PR_SET_PDEATHSIG, SIGKILL)");
  pollfd pipe = {.fd = messages, .events = 0, .revents = 0};
  Check(poll(&pipe, 1, 0), "poll({})", messages);
  return (pipe.revents & POLLERR) == 0;
}

bool any_lost = false;

// Of a process that is a Child: its parent, and its line to that one.
pid_t own_parent = -1;
int own_line = -1;

}  // namespace

std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) {
    return fmt::format("exit status {}", WEXITSTATUS(status));
  }
  const char* name = sigabbrev_np(WTERMSIG(status));
  return name == nullptr ? fmt::format("killed by signal {}", WTERMSIG(status))
                         : fmt::format("killed by SIG{}", name);
}

int ExitStatus(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<pid_t> ProcessesIn(const std::string& point) {
  std::vector<pid_t> processes;
  for (const auto& entry : std::filesystem::directory_iterator(point)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    processes.push_back(std::stoi(name));
  }
  return processes;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t process : ProcessesIn("/proc")) {
    std::string stat;
    try {
      stat = ReadFile(fmt::format("/proc/{}/stat", process));
    } catch (const CallError&) {
      continue;  // It has ended since.
    }
    // "4711 (name) S 42 …": the name may itself have spaces and parentheses.
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    char state = 0;
    pid_t parent = 0;
    fields >> state >> parent;
    if (parent == pid) children.push_back(process);
  }
  return children;
}

void Line::Send(std::string_view message) {
  SendFrame(messages_, Frame::kMessage, message);
}

bool Line::Checkpoint() {
  // POLLERR, which needs no asking: nobody can read the messages any more.
  std::array<pollfd, 2> either = {
      {{.fd = releases_, .events = POLLIN, .revents = 0},
       {.fd = messages_, .events = 0, .revents = 0}}};
  while (poll(either.data(), either.size(), -1) == -1) {
    if (errno != EINTR) throw CallError(errno, "poll()");
  }
  if ((either[0].revents & POLLIN) == 0) return false;
  eventfd_t one = 0;
  Check(eventfd_read(releases_, &one), "eventfd_read({})", releases_);
  return true;
}

Child::Child(Body body)
    : body_(std::move(body)), stack_(std::make_unique_for_overwrite<Stack>()) {
  std::array<int, 2> ends = {};
  Check(pipe2(ends.data(), O_CLOEXEC), "pipe2(O_CLOEXEC)");
  from_child_ = Descriptor(ends[0]);
  to_parent_ = Descriptor(ends[1]);
  releases_ = Descriptor(Check(eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE),
                               "eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)"));
}

Child::Child(Child&& other) noexcept
    : body_(std::move(other.body_)),
      stack_(std::move(other.stack_)),
      from_child_(std::move(other.from_child_)),
      to_parent_(std::move(other.to_parent_)),
      releases_(std::move(other.releases_)),
      pid_(std::exchange(other.pid_, -1)),
      status_(other.status_) {}

Child::~Child() {
  if (pid_ == -1 || status_) return;
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, __WALL | WNOHANG);
  if (ended == pid_ && status != 0) {
    any_lost = true;
    fmt::print(stderr, "child {}: {}\n", pid_, DescribeStatus(status));
  }
  if (ended == pid_) return;
  if (kill(pid_, SIGKILL) == -1) perror("kill");
  if (waitpid(pid_, &status, __WALL) == -1) perror("waitpid");
}

bool Child::AnyLost() { return any_lost; }

int Child::Main(void* self) {
  Child& child = *static_cast<Child*>(self);
#ifdef __SANITIZE_ADDRESS__
  // After fork(2) this is still the caller's stack, a copy of it.
  const void* frame = __builtin_frame_address(0);
  if (std::less_equal<>()(child.stack_->data(), frame) &&
      std::less<>()(frame, child.stack_top())) {
    __sanitizer_start_switch_fiber(nullptr, child.stack_->data(),
                                   child.stack_->size());
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
  }
#endif
  const int fd = child.to_parent_.get();
  int status = EXIT_FAILURE;
  try {
    // Not Close(): what it writes would have the kernel copy the page first.
    Check(close(child.from_child_.get()), "close()");
    // With CLONE_PARENT it is a sibling of the Child that has cloned it: it
    // must not keep that one's line open.
    if (getppid() == own_parent) Check(close(own_line), "close()");
    own_parent = getppid();
    own_line = fd;
    if (DieWithParent(fd)) {
      Line line(fd, child.releases_.get());
      try {
        child.body_(line);
        status = EXIT_SUCCESS;
      } catch (const CallError& error) {
        const std::int32_t number = error.error();
        std::string bytes(reinterpret_cast<const char*>(&number),
                          sizeof number);
        SendFrame(fd, Frame::kCallError, bytes + error.call());
      } catch (const std::exception& error) {
        SendFrame(fd, Frame::kError, error.what());
      }
    }
  } catch (const CallError&) {
    // The parent is gone: there is nobody left to tell.
  }
  // Not exit(): the parent's buffers and destructors are copies here.
  _exit(status);
}

pid_t Child::Started(pid_t pid) noexcept {
  if (pid != -1) {
    pid_ = pid;
    to_parent_.Close();
  }
  return pid;
}

void Child::Fork() {
  Check(Started(clone(Main, stack_top(), SIGCHLD, this)), "clone(SIGCHLD)");
}

std::optional<std::string> Child::Receive() {
  const int fd = from_child_.get();
  Header header = {};
  const std::size_t came =
      ReadUpTo(fd, reinterpret_cast<char*>(&header), sizeof header);
  if (came == 0) return std::nullopt;
  std::string bytes;
  if (came == sizeof header) {
    bytes.resize(header.size);
    bytes.resize(ReadUpTo(fd, bytes.data(), bytes.size()));
  }
  if (came < sizeof header || bytes.size() < header.size) {
    throw ChildError(fmt::format("child {}: {} in the middle of a message",
                                 pid_, DescribeStatus(Wait())));
  }
  if (header.frame == Frame::kMessage) return bytes;

  const int status = Wait();
  if (header.frame == Frame::kCallError) {
    std::int32_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    throw CallError(number, bytes.substr(sizeof number));
  }
  throw ChildError(
      fmt::format("child {}: {} ({})", pid_, bytes, DescribeStatus(status)));
}

void Child::Release() {
  Check(eventfd_write(releases_.get(), 1), "eventfd_write({})",
        releases_.get());
}

int Child::Wait() {
  int status = 0;
  while (!status_) {
    // __WALL: whatever signal its end sends, as the flags of clone(2) have it.
    if (waitpid(pid_, &status, __WALL) != -1) {
      status_ = status;
    } else if (errno != EINTR) {
      throw CallError(errno, fmt::format("waitpid({})", pid_));
    }
  }
  return *status_;
}

// Waits before it reads: a process that is woken twice costs a fifth more.
void Child::Finish() {
  Release();
  const int status = Wait();
  if (Receive()) {
    throw ChildError(
        fmt::format("child {}: a message that nobody received", pid_));
  }
  if (status != 0) {
    throw ChildError(fmt::format("child {}: {}", pid_, DescribeStatus(status)));
  }
}

}  // namespace steps
