#include "common/kernel/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/user_namespace.h"

namespace steps {
namespace {

// What crosses the socket: one of these letters, then bytes.
constexpr char kRun = 'r';        // A function and its captures.
constexpr char kValue = 'v';      // What it returned.
constexpr char kTold = 'c';       // A call that it made.
constexpr char kCallError = 'e';  // A call that failed, which ended it.
constexpr char kError = 'x';      // The what() of any other exception.

constexpr std::size_t kMaxMessage = std::size_t{192} * 1024;

// The descriptor that came with the last message, if any.
int received_descriptor = -1;

// In a child: its end of the socket, and whether it is killed when its parent
// ends.
constexpr int kSocket = 3;
bool ends_with_parent = true;

// Whether this is a child.
bool is_child = false;

// The children that have an object, in the order in which they came.
std::vector<std::pair<std::string, pid_t>>& Children() {
  static std::vector<std::pair<std::string, pid_t>> children;
  return children;
}

// Numbers and text, one after the other.
class Packer {
 public:
  void Put(std::int64_t number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void Put(const std::string& text) {
    Put(static_cast<std::int64_t>(text.size()));
    bytes_ += text;
  }
  // The file's name is a literal, which every child has at the same address.
  void Put(const Place& place) {
    bytes_.append(reinterpret_cast<const char*>(&place), sizeof place);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
  std::int64_t Number() {
    std::int64_t number = 0;
    std::memcpy(&number, rest_.data(), sizeof number);
    rest_.remove_prefix(sizeof number);
    return number;
  }
  Place ThePlace() {
    Place place;
    std::memcpy(&place, rest_.data(), sizeof place);
    rest_.remove_prefix(sizeof place);
    return place;
  }
  std::string Text() {
    const auto size = static_cast<std::size_t>(Number());
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

std::string Pack(const Call& call) {
  Packer packer;
  for (const std::int64_t number :
       {std::int64_t{call.namespaces}, std::int64_t{call.result},
        std::int64_t{call.error}}) {
    packer.Put(number);
  }
  packer.Put(call.place);
  packer.Put(call.name);
  packer.Put(call.text);
  packer.Put(static_cast<std::int64_t>(call.strings.size()));
  for (const std::string& text : call.strings) packer.Put(text);
  packer.Put(static_cast<std::int64_t>(call.numbers.size()));
  for (const long number : call.numbers) packer.Put(number);
  return packer.bytes();
}

Call UnpackCall(std::string_view bytes) {
  Unpacker unpacker(bytes);
  Call call;
  call.namespaces = static_cast<int>(unpacker.Number());
  call.result = unpacker.Number();
  call.error = static_cast<int>(unpacker.Number());
  call.place = unpacker.ThePlace();
  call.name = unpacker.Text();
  call.text = unpacker.Text();
  call.strings.resize(static_cast<std::size_t>(unpacker.Number()));
  for (std::string& text : call.strings) text = unpacker.Text();
  call.numbers.resize(static_cast<std::size_t>(unpacker.Number()));
  for (long& number : call.numbers) number = unpacker.Number();
  return call;
}

void SendMessage(int socket, char kind, std::string_view bytes,
                 int descriptor = -1) {
  std::array<iovec, 2> parts = {
      {{&kind, 1}, {const_cast<char*>(bytes.data()), bytes.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_len = CMSG_LEN(sizeof(int));
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  while (sendmsg(socket, &message, MSG_NOSIGNAL) == -1) {
    if (errno != EINTR) throw CallError(errno, "sendmsg()");
  }
}

// The next message, empty when the other end is gone. `sender` is its PID as
// this process has it.
std::string ReceiveMessage(int socket, pid_t* sender = nullptr) {
  static std::array<char, kMaxMessage> buffer;
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))>
          control;
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  while ((size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) == -1) {
    if (errno == ECONNRESET) return "";
    if (errno != EINTR) throw CallError(errno, "recvmsg()");
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&received_descriptor, CMSG_DATA(header), sizeof(int));
    } else if (header->cmsg_type == SCM_CREDENTIALS && sender != nullptr) {
      ucred credentials = {};
      std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
      *sender = credentials.pid;
    }
  }
  return {buffer.data(), static_cast<std::size_t>(size)};
}

// In a child: closes what it has inherited, but for the standard streams and
// its socket, which becomes 3 and is closed by an exec. Otherwise no process
// would see the end of the others' sockets.
void KeepOnly(int socket) {
  if (socket != kSocket) MUST(dup3, socket, kSocket, O_CLOEXEC);
  if (syscall(SYS_close_range, kSocket + 1, ~0U, 0) == 0) return;
  const long limit = sysconf(_SC_OPEN_MAX);
  for (int fd = kSocket + 1; fd < limit; ++fd) close(fd);
}

// clone(2) without a stack: the child goes on as after fork(2).
long CloneHere(int flags) {
  if ((flags & CLONE_NEWTIME) == 0) {
    return syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr,
                   nullptr);
  }
  clone_args args = {};
  args.flags = static_cast<std::uint64_t>(flags);
  args.exit_signal = SIGCHLD;
  return syscall(SYS_clone3, &args, sizeof args);
}

Call DescribeClone(int flags) {
  if ((flags & CLONE_NEWTIME) != 0) {
    return {.name = "clone3",
            .text = fmt::format("clone3({{flags={}, exit_signal=SIGCHLD}}, {})",
                                CloneFlags(flags), sizeof(clone_args)),
            .namespaces = flags};
  }
  return {.name = "clone",
          .text = fmt::format("clone({})", CloneFlags(flags | SIGCHLD)),
          .namespaces = flags};
}

// The next message of the process `name`; empty when it has ended.
std::string Await(int socket, const std::string& name,
                  Process::Patience patience, pid_t* sender = nullptr) {
  pollfd ready = {.fd = socket, .events = POLLIN, .revents = 0};
  const int limit = patience ? static_cast<int>(patience->count()) : -1;
  int count = 0;
  while ((count = poll(&ready, 1, limit)) == -1) {
    if (errno != EINTR) throw CallError(errno, "poll()");
  }
  if (count == 0) {
    throw ProcessError(
        fmt::format("{} has given no answer for {} s", name, limit / 1000));
  }
  return ReceiveMessage(socket, sender);
}

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

void OutliveParent() {
  ends_with_parent = false;
  MUST(prctl, PR_SET_PDEATHSIG, 0);
}

Process Process::Self(std::string name, Observer* observer) {
  ObserveCalls([name, observer](const Call& call) {
    if (observer != nullptr) observer->OnCall(name, call);
  });
  return {std::move(name), observer, getpid(), Descriptor()};
}

Process Process::Quiet() { return {"", nullptr, getpid(), Descriptor()}; }

Process::Process(std::string name, Observer* observer, pid_t pid,
                 Descriptor socket)
    : name_(std::move(name)),
      observer_(observer),
      pid_(pid),
      socket_(std::move(socket)) {}

Process::Process(Process&& other) noexcept
    : name_(std::move(other.name_)),
      observer_(other.observer_),
      pid_(std::exchange(other.pid_, -1)),
      socket_(std::move(other.socket_)) {}

Process::~Process() {
  if (socket_.get() == -1) return;
  std::erase(Children(), std::pair(name_, pid_));
  socket_.Close();  // Serve() reads the end of the stream, and ends.
  // Not where it is the child of another process, or has been waited for.
  siginfo_t info = {};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info,
             WEXITED | WNOHANG | WNOWAIT | __WALL) == -1) {
    return;
  }
  kill(pid_, SIGKILL);  // It may be in a call that takes long.
  if (!Ends()) std::fprintf(stderr, "%s does not end\n", name_.c_str());
  waitpid(pid_, nullptr, WNOHANG | __WALL);
}

bool Process::IsChild() { return is_child; }

const std::vector<std::pair<std::string, pid_t>>& Process::All() {
  return Children();
}

bool Process::Ends() const {
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (process.get() == -1 && errno != ESRCH) {
    // A filter may refuse it, and before Linux 5.3 there is none.
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(pid_), &info,
                  WEXITED | WNOWAIT | __WALL) == 0;
  }
  if (process.get() == -1) return true;
  pollfd ended = {.fd = process.get(), .events = POLLIN, .revents = 0};
  int count = 0;
  while ((count = poll(&ended, 1, static_cast<int>(kPatience.count()))) == -1 &&
         errno == EINTR) {
  }
  return count == 1;
}

Process Process::Clone(const std::string& name, int flags) {
  std::array<int, 2> ends = {};
  MUST(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  Descriptor own(ends[0]);
  Descriptor other(ends[1]);
  const int on = 1;
  MUST(setsockopt, own.get(), SOL_SOCKET, SO_PASSCRED, &on,
       socklen_t{sizeof on});
  auto clone = [flags, told = observer_ != nullptr] {
    const Descriptor socket(std::exchange(received_descriptor, -1));
    const long pid = CloneHere(flags);
    const int error = errno;
    if (pid == 0) Serve(socket.get());
    Call call = DescribeClone(flags);
    call.result = pid;
    call.error = pid == -1 ? error : 0;
    if (told) TellCall(call);
    if (pid == -1) throw CallError(std::move(call));
    return static_cast<pid_t>(pid);
  };
  pid_t pid = -1;
  if (socket_.get() == -1) {
    received_descriptor = MUST(fcntl, other.get(), F_DUPFD_CLOEXEC, 3);
    pid = clone();
  } else {
    Send(CallWith<decltype(clone)>,
         {reinterpret_cast<const char*>(&clone), sizeof clone}, kPatience,
         other.get());
  }
  other.Close();  // Or the end of a child that is killed now were not seen.
  const std::string greeting = Await(own.get(), name, kPatience, &pid);
  Process child(name, observer_, pid, std::move(own));
  Children().emplace_back(name, pid);
  if (greeting.empty()) throw ProcessError(child.DescribeEnd());
  return child;
}

Process Process::StandIn(const std::string& name, int flags) {
  Process child = Clone(name, flags);
  child.MustDiffer(*this, flags);
  if ((flags & CLONE_NEWNS) != 0) child.Run(MakeMountsPrivate);
  return child;
}

void Process::MapRoot() {
  Run([outside = Ids::OfCaller()] { MapToRoot(outside); });
}

void Process::MustDiffer(Process& other, int flags) {
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) == 0) continue;
    const auto link = [name = kind.proc_name.data()] {
      return ReadLink(fmt::format("/proc/self/ns/{}", name));
    };
    if (Run(link) == other.Run(link)) {
      throw ProcessError(fmt::format(
          "{} is in no {} namespace of its own, although the call for one "
          "succeeded",
          name_, kind.name));
    }
  }
}

std::string Process::Send(Trampoline trampoline, std::string_view captures,
                          Patience patience, int descriptor) {
  if (is_child) {
    throw std::logic_error("a child may not direct other processes");
  }
  if (socket_.get() == -1) return trampoline(captures.data());
  std::string request(reinterpret_cast<const char*>(&trampoline),
                      sizeof trampoline);
  request += captures;
  try {
    SendMessage(socket_.get(), kRun, request, descriptor);
  } catch (const CallError& error) {
    if (error.error() != EPIPE) throw;
    throw ProcessError(DescribeEnd());
  }
  while (true) {
    const std::string message = Await(socket_.get(), name_, patience);
    if (message.empty()) throw ProcessError(DescribeEnd());
    std::string bytes = message.substr(1);
    switch (message[0]) {
      case kValue:
        return bytes;
      case kTold:
        if (observer_ != nullptr) observer_->OnCall(name_, UnpackCall(bytes));
        break;
      case kCallError:
        throw CallError(UnpackCall(bytes));
      default:
        throw ProcessError(fmt::format("{}: {}", name_, bytes));
    }
  }
}

std::string Process::DescribeEnd() const {
  int status = 0;
  const pid_t ended = pid_ > 0 ? waitpid(pid_, &status, __WALL) : -1;
  return ended > 0
             ? fmt::format("{} ended early: {}", name_, DescribeStatus(status))
             : fmt::format("{} ended early", name_);
}

void Process::Serve(int socket) {
  is_child = true;
  try {
    KeepOnly(socket);
    ObserveCalls(
        [](const Call& call) { SendMessage(kSocket, kTold, Pack(call)); });
    MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
    SendMessage(kSocket, kValue, "");
    for (std::string request; !(request = ReceiveMessage(kSocket)).empty();) {
      Trampoline trampoline = nullptr;
      const char* function = request.data() + 1;
      std::memcpy(&trampoline, function, sizeof trampoline);
      try {
        SendMessage(kSocket, kValue, trampoline(function + sizeof trampoline));
      } catch (const CallError& error) {
        SendMessage(kSocket, kCallError, Pack(error.call()));
      } catch (const std::exception& error) {
        SendMessage(kSocket, kError, error.what());
      }
      // A change of credentials clears it.
      if (ends_with_parent) MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
    }
  } catch (const CallError&) {
    // The lesson is gone: there is nobody left to tell.
  }
  // Not exit(): the lesson's buffers and destructors are copies here.
  // Never success: a clone(2) that answers 0 and makes no child leads here,
  // too.
  _exit(EXIT_FAILURE);
}

}  // namespace steps
