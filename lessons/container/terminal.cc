// The terminal of a container: a new one, as engines make it with --tty. The
// reader's is never inside, where a program could read it, or set it.

#include "lessons/container/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string_view>

#include "common/kernel/call.h"

namespace steps {
namespace {

// The first one of a new devpts.
constexpr const char* kTerminal = "/dev/pts/0";

// How the reader's terminal was, and how the relay sets it: every key, Ctrl-C
// too, is for the container's terminal, which also does the echo.
struct Modes {
  termios before;
  termios raw;
} modes = {};

void SetRaw() { tcsetattr(STDIN_FILENO, TCSANOW, &modes.raw); }

// Not where somebody else has set it since, such as the reader's shell.
void Restore() {
  termios now = {};
  if (tcgetattr(STDIN_FILENO, &now) == 0 &&
      now.c_iflag == modes.raw.c_iflag && now.c_oflag == modes.raw.c_oflag &&
      now.c_lflag == modes.raw.c_lflag) {
    tcsetattr(STDIN_FILENO, TCSANOW, &modes.before);
  }
}

}  // namespace

void BeginSession(bool has_terminal) {
  MUST(setsid);
  if (!has_terminal) return;
  const Descriptor terminal = Open(kTerminal, O_RDWR);
  MUST(ioctl, terminal.get(), TIOCSCTTY, 0);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // Not in the place of a file.
    if (isatty(fd) == 1) MUST(dup2, terminal.get(), fd);
  }
}

void Relay::MakeTerminal(Process& outside, Process& inside) {
  // The devpts from which one is taken is that of the path.
  master_ = Open(ProcPath(inside.pid(), "root/dev/pts/ptmx"),
                 O_RDWR | O_NOCTTY | O_NONBLOCK);
  MUST(unlockpt, master_.get());
  inside.Run([] {
    Open("/dev/console", O_WRONLY | O_CREAT, 0600);
    MUST(mount, kTerminal, "/dev/console", nullptr, MS_BIND, nullptr);
  });
  MUST(tcgetattr, STDIN_FILENO, &modes.before);
  MUST(tcsetattr, master_.get(), TCSANOW, &modes.before);
  SetSize();
  modes.raw = modes.before;
  cfmakeraw(&modes.raw);
  // In a session of its own it may set the terminal in the background.
  guardian_.emplace(outside.Clone("guardian", 0));
  guardian_->Run([] { Guard(Restore); });
}

void Relay::Begin(pid_t inside) {
  inside_ = inside;
  sigset_t all;
  sigfillset(&all);
  signals_ = Descriptor(MUST(signalfd, -1, &all, SFD_CLOEXEC));
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_CLOEXEC);
  running_ = Descriptor(ends[1]);
  if (master_.get() != -1) SetRaw();
  thread_ = std::thread([this, stop = ends[0]] { Run(stop); });
}

Relay::~Relay() {
  if (!thread_.joinable()) return;
  running_.Close();
  thread_.join();
  Restore();
}

void Relay::Run(int stop) {
  const Descriptor stopped(stop);
  // In the background the lesson stops, as any job of the reader's shell that
  // reads.
  sigset_t background;
  sigemptyset(&background);
  sigaddset(&background, SIGTTIN);
  sigaddset(&background, SIGTTOU);
  pthread_sigmask(SIG_UNBLOCK, &background, nullptr);
  while (true) {
    const bool waits = !typed_.empty();
    const bool reads = master_.get() != -1 && !waits;
    std::array<pollfd, 4> ready = {
        {{.fd = stop, .events = POLLIN, .revents = 0},
         {.fd = signals_.get(), .events = POLLIN, .revents = 0},
         {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0},
         {.fd = master_.get(),
          .events = static_cast<short>(POLLIN | (waits ? POLLOUT : 0)),
          .revents = 0}}};
    MUST(poll, ready.data(), ready.size(), -1);
    try {
      if (ready[1].revents != 0) PassOnSignal();
      if (ready[2].revents != 0) ReadKeys();
      if (!typed_.empty()) Type();
      if (ready[3].revents != 0) ShowSome();
      while (ready[0].revents != 0 && ShowSome()) {
      }
    } catch (const CallError&) {
      // The reader's terminal is gone. That of the container goes, too.
      master_.Close();
      typed_.clear();
    }
    if (ready[0].revents != 0) return;
  }
}

void Relay::PassOnSignal() {
  signalfd_siginfo info = {};
  MUST(read, signals_.get(), &info, sizeof info);
  const auto signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return;
  if (signal == SIGWINCH && master_.get() != -1) return SetSize();
  // The reader's shell has used the terminal meanwhile.
  if (signal == SIGCONT && master_.get() != -1) SetRaw();
  kill(inside_, signal);
}

// The kernel sends SIGWINCH to the foreground there.
void Relay::SetSize() const {
  winsize size = {};
  MUST(ioctl, STDIN_FILENO, TIOCGWINSZ, &size);
  MUST(ioctl, master_.get(), TIOCSWINSZ, &size);
}

void Relay::ReadKeys() {
  std::array<char, 4096> keys;
  const ssize_t count =
      Retry([&keys] { return read(STDIN_FILENO, keys.data(), keys.size()); });
  if (count < 1) throw CallError(count == 0 ? EIO : errno, "read(0)");
  typed_.assign(keys.data(), static_cast<std::size_t>(count));
}

// It takes no more where the program inside reads none.
void Relay::Type() {
  const ssize_t count = write(master_.get(), typed_.data(), typed_.size());
  if (count > 0) typed_.erase(0, static_cast<std::size_t>(count));
}

// False where there is nothing to show now.
bool Relay::ShowSome() const {
  std::array<char, 4096> shown;
  const ssize_t count = read(master_.get(), shown.data(), shown.size());
  if (count < 1) return false;
  WriteAll(STDOUT_FILENO,
           std::string_view(shown.data(), static_cast<std::size_t>(count)));
  return true;
}

}  // namespace steps
