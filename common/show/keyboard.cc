#include "common/show/keyboard.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"

namespace steps {
namespace {

constexpr char kInterrupt = '\x03';  // Ctrl-C.

// Hands over each key as it is pressed. Were Ctrl-C a signal still, the shell
// that has started the lesson would see the terminal before it is set back.
termios KeyByKey(termios settings) {
  settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  return settings;
}

void Set(const termios& settings) {
  Check(tcsetattr(STDIN_FILENO, TCSANOW, &settings), "tcsetattr()");
}

// The key; `kNoKey` when the limit has passed or `ended` can be read.
constexpr char kNoKey = '\0';
char Await(const Descriptor& ended, int limit) {
  std::array<pollfd, 2> either = {
      {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
       {.fd = ended.get(), .events = POLLIN, .revents = 0}}};
  Check(poll(either.data(), either.size(), limit), "poll()");
  if (either[0].revents == 0) return kNoKey;
  char key = 0;
  // 0 at the end, and EIO where the terminal has been taken away.
  return read(STDIN_FILENO, &key, 1) == 1 ? key : kEndOfKeys;
}

// Runs in a child, which outlives the lesson by the time that it takes to give
// the terminal its settings back.
char ReadInChild(pid_t parent, int limit) {
  sigset_t all;
  sigfillset(&all);
  Check(sigprocmask(SIG_BLOCK, &all, nullptr), "sigprocmask(SIG_BLOCK)");
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  const Descriptor ended(MUST(signalfd, -1, &term, SFD_CLOEXEC));
  MUST(prctl, PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return kNoKey;

  termios before = {};
  Check(tcgetattr(STDIN_FILENO, &before), "tcgetattr()");
  Set(KeyByKey(before));
  const char key = Await(ended, limit);
  // A shell that has taken the terminal has set it to its own liking.
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) Set(before);
  return key;
}

}  // namespace

std::optional<char> ReadKey(std::optional<std::chrono::milliseconds> limit) {
  const pid_t parent = getpid();
  const int milliseconds = limit ? static_cast<int>(limit->count()) : -1;
  termios before = {};
  const bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
  Process reader = Process::Quiet().Clone("the reader of the keyboard", 0);
  char key = kNoKey;
  try {
    key = reader.Run([=] { return ReadInChild(parent, milliseconds); },
                     std::nullopt);
  } catch (const ProcessError&) {
    if (is_terminal) Set(before);  // It was killed.
    throw;
  }
  if (key == kInterrupt) Check(kill(0, SIGINT), "kill(0, SIGINT)");
  return key == kNoKey ? std::nullopt : std::optional(key);
}

}  // namespace steps
