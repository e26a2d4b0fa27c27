#include "tests/support/program.h"

#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstdio>
#include <ctime>
#include <exception>

#include "tests/support/test.h"

namespace steps {
namespace {

constexpr uid_t kNobody = 65534;
constexpr timespec kPatience = {.tv_sec = 60, .tv_nsec = 0};

// The wait statuses of what has ended, until they are asked for.
std::map<pid_t, int> statuses;

// Reaps a child, or an orphan that has become one. waitpid(2).
pid_t Reap(int options) {
  int status = 0;
  const pid_t pid = waitpid(-1, &status, options);
  if (pid > 0) statuses[pid] = status;
  return pid;
}

// Reaps all that ends meanwhile: with an orphan that nobody reaps, its PID 1
// could not end.
int AwaitStatus(pid_t pid) {
  while (!statuses.contains(pid)) Check(Reap(0), "waitpid");
  return statuses.extract(pid).mapped();
}

// Reaps until there is something to read or, where `fd` is -1, no child any
// more. False where nothing has happened for too long.
bool ReapUntil(int fd) {
  pollfd file = {.fd = fd, .events = POLLIN, .revents = 0};
  sigset_t ended;
  sigset_t before;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  MUST(sigprocmask, SIG_BLOCK, &ended, &before);
  std::signal(SIGCHLD, [](int) {});  // It interrupts ppoll(2), nothing else.
  int ready = 0;
  do {
    pid_t reaped = 0;
    while ((reaped = Reap(WNOHANG)) > 0) {
    }
    const bool none = reaped == -1 && fd == -1;
    ready = none ? 1 : ppoll(&file, 1, &kPatience, &before);
  } while (ready == -1 && errno == EINTR);
  std::signal(SIGCHLD, SIG_DFL);
  MUST(sigprocmask, SIG_SETMASK, &before, nullptr);
  return Check(ready, "ppoll") > 0;
}

// What is before any fork: what GoogleTest has yet to write is no child's.
void BeforeFork() {
  MUST(prctl, PR_SET_CHILD_SUBREAPER, 1);
  fflush(nullptr);
}

// In the parent, what fork(2) gave: a PID may come again.
pid_t Started(pid_t pid) {
  statuses.erase(pid);
  return pid;
}

// Opens the program first: nobody may not walk the path to it.
void Exec(const Command& command) {
  const Descriptor program = Open(command.program, O_RDONLY);
  MUST(chdir, "/");
  if (command.as_nobody && IsRoot()) BecomeNobody();
  if (command.before) command.before();
  std::vector<std::string> argv = {command.program};
  argv.insert(argv.end(), command.arguments.begin(), command.arguments.end());
  Check(fexecve(program.get(), ExecArguments(argv).data(), environ), "fexecve",
        {command.program});
}

}  // namespace

Descriptor MemoryFile(const char* name) {
  return Descriptor(MUST(memfd_create, name, MFD_CLOEXEC));
}

std::string Contents(const Descriptor& file) {
  MUST(lseek, file.get(), 0, SEEK_SET);
  return ReadAll(file.get());
}

void Become(const Command& command) {
  try {
    if (!command.program.empty()) Exec(command);
    if (command.before) command.before();
    _exit(command.function());
  } catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
  }
  _exit(EXIT_FAILURE);
}

Program::Program(const Command& command)
    : output_(MemoryFile("output")), errors_(MemoryFile("errors")) {
  BeforeFork();
  const Descriptor input = MemoryFile("input");
  WriteAll(input.get(), command.input);
  MUST(lseek, input.get(), 0, SEEK_SET);

  pid_ = Started(MUST(fork));
  if (pid_ != 0) return;
  dup2(input.get(), STDIN_FILENO);
  dup2(output_.get(), STDOUT_FILENO);
  dup2(errors_.get(), STDERR_FILENO);
  Become(command);
}

Result Program::Await() {
  const int status = AwaitStatus(pid_);
  return {status, Contents(output_), Contents(errors_)};
}

Result RunCommand(const Command& command) { return Program(command).Await(); }

Terminal::Terminal(const Command& command) {
  BeforeFork();
  const winsize size = {
      .ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  int keyboard = -1;
  pid_ = Started(MUST(forkpty, &keyboard, nullptr, nullptr, &size));
  if (pid_ == 0) Become(command);
  keyboard_ = Descriptor(keyboard);
  MUST(fcntl, keyboard, F_SETFL, O_RDWR | O_NONBLOCK);
}

void Terminal::Type(std::string_view keys) {
  // Takes what is shown meanwhile: the program may show much before it reads.
  while (!keys.empty()) {
    pollfd either = {
        .fd = keyboard_.get(), .events = POLLIN | POLLOUT, .revents = 0};
    MUST(poll, &either, 1, -1);
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
  if (!ReapUntil(keyboard_.get())) {
    ADD_FAILURE() << "nothing more was shown after:\n" << screen_;
    kill(pid_, SIGKILL);
    return false;
  }
  std::array<char, 4096> buffer = {};
  const ssize_t count = read(keyboard_.get(), buffer.data(), buffer.size());
  // EIO: the last process on the terminal has closed it. pty(7).
  if (count == -1 && errno == EIO) return false;
  screen_.append(buffer.data(), static_cast<std::size_t>(Check(count, "read")));
  return count > 0;
}

std::vector<pid_t> Descendants() {
  std::vector<pid_t> found = ChildrenOf(getpid());
  for (std::size_t next = 0; next < found.size(); ++next) {
    const std::vector<pid_t> children = ChildrenOf(found[next]);
    found.insert(found.end(), children.begin(), children.end());
  }
  return found;
}

std::vector<std::string> Survivors() {
  std::vector<std::string> survivors;
  while (!ReapUntil(-1)) {
    for (const pid_t pid : Descendants()) {
      survivors.push_back(fmt::format(
          "{} {}", pid, ReadFile(fmt::format("/proc/{}/comm", pid))));
      kill(pid, SIGKILL);
    }
  }
  return survivors;
}

Words LinesOf(const std::string& text) {
  Words lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

Words Matches(const std::string& text, const std::string& regex) {
  const std::regex pattern(regex);
  const std::sregex_iterator all(text.begin(), text.end(), pattern);
  Words matches;
  std::transform(all, {}, std::back_inserter(matches),
                 [](const std::smatch& match) { return match.str(1); });
  return matches;
}

bool IsRoot() { return geteuid() == 0; }

TemporaryDirectory::TemporaryDirectory() {
  Check(mkdtemp(path_.data()) == nullptr ? -1 : 0, "mkdtemp", {path_});
  fs::permissions(path_, fs::perms(0755));
}

TemporaryDirectory::~TemporaryDirectory() { fs::remove_all(path_); }

std::string TemporaryDirectory::Put(const std::string& name,
                                    const std::string& text,
                                    mode_t mode) const {
  const fs::path path = path_ + "/" + name;
  fs::create_directories(path.parent_path());
  WriteAll(Open(path, O_WRONLY | O_CREAT | O_TRUNC, mode).get(), text);
  return path;
}

void BecomeNobody() {
  MUST(setgroups, 0, nullptr);
  MUST(setresgid, kNobody, kNobody, kNobody);
  MUST(setresuid, kNobody, kNobody, kNobody);
  // As after an exec: until then /proc/self stays root's. prctl(2).
  MUST(prctl, PR_SET_DUMPABLE, 1);
}

pid_t Fork(int flags) {
  return static_cast<pid_t>(Check(
      syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr),
      "clone", {CloneFlags(flags | SIGCHLD)}));
}

void InChild(const std::function<void()>& body, int flags) {
  const pid_t pid = Fork(flags);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Become({.function = [&body] {
      body();
      return testing::Test::HasFailure() ? EXIT_FAILURE : EXIT_SUCCESS;
    }});
  }
  int status = 0;
  MUST(waitpid, pid, &status, __WALL);
  EXPECT_EQ(DescribeStatus(status), "exit status 0") << "in a child: see above";
}

}  // namespace steps
