#include "tests/support/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "common/kernel/call.h"
#include "common/kernel/process.h"

namespace steps {

Terminal::Terminal(const Command& command) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER, 1)");
  const winsize size = {
      .ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  int keyboard = -1;
  pid_ =
      Started(Check(forkpty(&keyboard, nullptr, nullptr, &size), "forkpty()"));
  if (pid_ == 0) Become(command);
  keyboard_ = Descriptor(keyboard);
  MUST(fcntl, keyboard, F_SETFL, O_RDWR | O_NONBLOCK);
}

void Terminal::Type(std::string_view keys) {
  // It takes what is shown meanwhile, as every terminal does: otherwise a
  // program that shows much before it reads would wait for it, and it for that.
  while (!keys.empty()) {
    pollfd either = {
        .fd = keyboard_.get(), .events = POLLIN | POLLOUT, .revents = 0};
    Check(Retry([&] { return poll(&either, 1, -1); }), "poll()");
    if ((either.revents & POLLOUT) == 0) {
      if (!Read()) return;
      continue;
    }
    const ssize_t count = write(keyboard_.get(), keys.data(), keys.size());
    if (count > 0) keys.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string Terminal::ReadTo(std::string_view text) {
  std::optional<std::string> shown = ReadToOrEnd(text);
  EXPECT_TRUE(shown) << text << " not in:\n" << screen_;
  return shown ? *std::move(shown)
               : screen_.substr(std::exchange(read_, screen_.size()));
}

std::optional<std::string> Terminal::ReadToOrEnd(std::string_view text) {
  while (screen_.find(text, read_) == std::string::npos && Read()) {
  }
  const std::size_t found = screen_.find(text, read_);
  if (found == std::string::npos) return std::nullopt;
  const std::size_t begin = std::exchange(read_, found + text.size());
  return screen_.substr(begin, read_ - begin);
}

std::string Terminal::Await() {
  while (Read()) {
  }
  return DescribeStatus(AwaitStatus(pid_));
}

std::string Terminal::Talk(
    const std::vector<std::pair<std::string, std::string>>& lines) {
  for (const auto& [shown, typed] : lines) {
    ReadTo(shown);
    Type(typed);
  }
  return Await();
}

bool Terminal::Read() {
  constexpr int kPatience = 60'000;  // Milliseconds.
  std::array<pollfd, 2> either = {
      {{.fd = keyboard_.get(), .events = POLLIN, .revents = 0},
       {.fd = FdOfEnded(), .events = POLLIN, .revents = 0}}};
  while (either[0].revents == 0) {
    const int ready = poll(either.data(), either.size(), kPatience);
    if (ready == -1 && errno == EINTR) continue;
    if (Check(ready, "poll()") == 0) {
      ADD_FAILURE() << "nothing more was shown after:\n" << screen_;
      kill(pid_, SIGKILL);
      return false;
    }
    if (either[1].revents != 0) ReapEnded();
  }
  std::array<char, 4096> buffer = {};
  const ssize_t count = read(keyboard_.get(), buffer.data(), buffer.size());
  // EIO: the last process on the terminal has closed it. pty(7).
  if (count == -1 && errno == EIO) return false;
  screen_.append(buffer.data(),
                 static_cast<std::size_t>(Check(count, "read()")));
  return count > 0;
}

}  // namespace steps
