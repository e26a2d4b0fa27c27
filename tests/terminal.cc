#include "tests/terminal.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/call_error.h"

namespace steps {

Terminal::Terminal(const Command& command) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER, 1)");
  const winsize size = {
      .ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  int keyboard = -1;
  pid_ = Check(forkpty(&keyboard, nullptr, nullptr, &size), "forkpty()");
  if (pid_ == 0) Become(command);
  keyboard_ = Descriptor(keyboard);
}

void Terminal::Type(std::string_view keys) { WriteAll(keyboard_.get(), keys); }

std::string Terminal::ReadTo(std::string_view text) {
  while (screen_.find(text, read_) == std::string::npos && Read()) {
  }
  const std::size_t found = screen_.find(text, read_);
  EXPECT_NE(found, std::string::npos) << text << " not in:\n" << screen_;
  const std::size_t end =
      found == std::string::npos ? screen_.size() : found + text.size();
  std::string shown = screen_.substr(read_, end - read_);
  read_ = end;
  return shown;
}

int Terminal::Await() {
  while (Read()) {
  }
  int status = 0;
  Check(waitpid(pid_, &status, 0), "waitpid({})", pid_);
  return status;
}

bool Terminal::Read() {
  constexpr int kPatience = 10'000;  // Milliseconds.
  pollfd screen = {.fd = keyboard_.get(), .events = POLLIN, .revents = 0};
  if (Check(poll(&screen, 1, kPatience), "poll()") == 0) {
    ADD_FAILURE() << "nothing more was shown after:\n" << screen_;
    return false;
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
