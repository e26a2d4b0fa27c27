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
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"

namespace steps {
namespace {

// What a child sends, each as the text of a call. It receives the address of a
// function, and its captures.
enum Message {
  kValue,      // What the function returned.
  kTold,       // A call that it made,
  kCallError,  // or that failed and ended it.
  kError,      // The what() of any other exception.
};

// What stands before the text. The file's name is a literal, which every child
// has at the same address.
struct Head {
  Message kind;
  long result;
  int error;
  Place place;
};

// What came with the last message: a descriptor, if any, and its sender's PID
// as this process has it.
int received_descriptor = -1;
pid_t sender = 0;

// In a child: its end of the socket, whether it is killed when its parent ends,
// and what it does when the lesson has ended.
constexpr int kSocket = 3;
bool is_child = false;
bool ends_with_parent = true;
std::function<void()> on_release = [] {};

// The children that have an object, in the order in which they came.
std::vector<std::pair<std::string, pid_t>> clones;

// Where nobody is there to read it, it is lost: no answer comes, but the end.
void SendMessage(int socket, std::string bytes, int descriptor = -1) {
  iovec part = {bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_len = CMSG_LEN(sizeof(int));
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  const ssize_t sent =
      Retry([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); });
  if (sent == -1 && errno != EPIPE) Check(sent, "sendmsg");
}

// The next message, empty when the other end is gone.
std::string ReceiveMessage(int socket) {
  static std::array<char, std::size_t{192} * 1024> buffer;
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, 128> control;  // Enough for both.
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size =
      Retry([&] { return recvmsg(socket, &message, MSG_CMSG_CLOEXEC); });
  if (size == -1 && errno == ECONNRESET) return "";
  Check(size, "recvmsg");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&received_descriptor, CMSG_DATA(header), sizeof(int));
    } else {
      sender = reinterpret_cast<const ucred*>(CMSG_DATA(header))->pid;
    }
  }
  return {buffer.data(), static_cast<std::size_t>(size)};
}

// Whether there is something to read, or an end, before the time is over.
bool Await(int fd, int patience) {
  pollfd ready = {.fd = fd, .events = POLLIN, .revents = 0};
  return MUST(poll, &ready, 1, patience) == 1;
}

// In a child: tells the lesson.
void Tell(Message kind, const Call& call) {
  const Head head = {kind, call.result, call.error, call.place};
  SendMessage(kSocket, std::string(BytesOf(head)) + call.text);
}

// clone(2) without a stack: the child goes on as after fork(2). The call, and
// in it 0 in the child.
Call CloneHere(int flags) {
  Call call;
  if ((flags & CLONE_NEWTIME) == 0) {
    call.text = fmt::format("clone({})", CloneFlags(flags | SIGCHLD));
    call.result =
        syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  } else {
    clone_args args = {};
    args.flags = static_cast<std::uint64_t>(flags);
    args.exit_signal = SIGCHLD;
    call.text = fmt::format("clone3({{flags={}, exit_signal=SIGCHLD}}, {})",
                            CloneFlags(flags), sizeof args);
    call.result = syscall(SYS_clone3, &args, sizeof args);
  }
  if (call.result == -1) call.error = errno;
  return call;
}

}  // namespace

std::string DescribeStatus(int status) {
  return WIFEXITED(status)
             ? fmt::format("exit status {}", WEXITSTATUS(status))
             : fmt::format("killed by {}", SignalName(WTERMSIG(status)));
}

int ExitStatus(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<pid_t> ProcessesIn(const std::string& point) {
  std::vector<pid_t> processes;
  for (const auto& entry : std::filesystem::directory_iterator(point)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) processes.push_back(pid);
  }
  return processes;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t process : ProcessesIn("/proc")) {
    try {
      const std::string parent = ReadField(ProcPath(process, "status"), "PPid");
      if (parent == fmt::to_string(pid)) children.push_back(process);
    } catch (const CallError&) {
      // It has ended since.
    }
  }
  return children;
}

int pidfd_open(pid_t pid, unsigned flags) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}

void OutliveParent() {
  ends_with_parent = false;
  MUST(prctl, PR_SET_PDEATHSIG, 0);
}

sigset_t BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  sigset_t before;
  MUST(sigprocmask, SIG_BLOCK, &all, &before);
  return before;
}

void Guard(std::function<void()> work) {
  OutliveParent();
  BlockSignals();
  MUST(setsid);
  on_release = std::move(work);
}

Process Process::Self(const std::string& name, const Observer& observer) {
  ObserveCalls([=](const Call& call) { observer(Called{name, call}); });
  return {name, observer, getpid(), Descriptor()};
}

Process Process::Quiet() { return {"", nullptr, getpid(), Descriptor()}; }

Process::Process(std::string name, Observer observer, pid_t pid,
                 Descriptor socket)
    : name_(std::move(name)),
      observer_(std::move(observer)),
      pid_(pid),
      socket_(std::move(socket)) {}

Process::~Process() {
  if (socket_.get() == -1) return;  // It is this process, or has moved.
  std::erase(clones, std::pair(name_, pid_));
  socket_.Close();        // Serve() reads the end of the stream, and ends.
  if (pid_ <= 0) return;  // There is none. To kill(2), -1 is everybody.
  // Not where it is the child of another process, or has been waited for.
  const int how = WEXITED | WNOHANG | WNOWAIT | __WALL;
  if (waitid(P_PID, pid_, nullptr, how) == -1) return;
  kill(pid_, SIGKILL);  // It may be in a call that takes long.
  try {
    if (!Ends()) Complain(fmt::format("{} does not end\n", name_));
  } catch (const CallError& error) {
    Complain(fmt::format("{}\n", error.what()));
  }
  waitpid(pid_, nullptr, WNOHANG | __WALL);
}

bool Process::IsChild() { return is_child; }

const std::vector<std::pair<std::string, pid_t>>& Process::All() {
  return clones;
}

bool Process::Ends() const {
  const Descriptor process(pidfd_open(pid_, 0));
  if (process.get() != -1) return steps::Await(process.get(), kPatience);
  if (errno == ESRCH) return true;
  // A filter may refuse it, and before Linux 5.3 there is none.
  return waitid(P_PID, pid_, nullptr, WEXITED | WNOWAIT | __WALL) == 0;
}

Process Process::Clone(const std::string& name, int flags) {
  std::array<int, 2> ends = {};
  MUST(socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  Process child(name, observer_, -1, Descriptor(ends[0]));
  Descriptor other(ends[1]);
  const int on = 1;
  MUST(setsockopt, ends[0], SOL_SOCKET, SO_PASSCRED, &on, socklen_t{sizeof on});
  const auto clone = [flags, told = static_cast<bool>(observer_)] {
    const Descriptor socket(std::exchange(received_descriptor, -1));
    Call call = CloneHere(flags);
    if (call.result == 0) Serve(socket.get());
    if (told) TellCall(call);
    if (call.result == -1) throw CallError(std::move(call));
    return static_cast<pid_t>(call.result);
  };
  if (socket_.get() == -1) {
    received_descriptor = MUST(fcntl, other.get(), F_DUPFD_CLOEXEC, 3);
    child.pid_ = clone();
  } else {
    Send(CallWith<decltype(clone)>, BytesOf(clone), kPatience, other.get());
  }
  other.Close();  // Or the end of a child that is killed now were not seen.
  sender = 0;
  if (child.Await(kPatience).empty()) {
    throw std::runtime_error(child.DescribeEnd());
  }
  if (sender <= 0) {
    throw std::runtime_error(fmt::format(
        "{} has no PID here, although setsockopt(2) succeeded", name));
  }
  child.pid_ = sender;
  clones.emplace_back(name, child.pid_);
  return child;
}

Process Process::StandIn(const std::string& name, int flags) {
  Process child = Clone(name, flags);
  child.MustDiffer(*this, flags);
  if ((flags & CLONE_NEWNS) != 0) child.Run(MakeMountsPrivate);
  return child;
}

void Process::MapRoot() {
  Run([uid = geteuid(), gid = getegid()] { MapToRoot(uid, gid); });
}

void Process::MustDiffer(Process& other, int flags) {
  for (const Kind& kind : Kinds()) {
    if ((flags & kind.flag) == 0) continue;
    // Each reads its own, because not every process may be inspected.
    const auto link = [&kind] {
      return ReadLink(fmt::format("/proc/self/ns/{}", kind.proc_name));
    };
    if (Run(link) != other.Run(link)) continue;
    throw std::runtime_error(fmt::format(
        "{} is in no {} namespace of its own, although the call for one "
        "succeeded",
        name_, kind.name));
  }
}

Evidence Process::Show(Evidence evidence, Place place) const {
  if (observer_) observer_(Shown{name_, evidence, place});
  return evidence;
}

std::string Process::Send(Trampoline trampoline, std::string_view captures,
                          int patience, int descriptor) {
  if (is_child) {
    throw std::logic_error("a child may not direct other processes");
  }
  if (socket_.get() == -1) return trampoline(captures.data());
  SendMessage(socket_.get(), std::string(BytesOf(trampoline)).append(captures),
              descriptor);
  for (std::string message; !(message = Await(patience)).empty();) {
    const auto [kind, result, error, place] = ValueOf<Head>(message);
    const Call call = {message.substr(sizeof(Head)), result, error, place};
    if (kind == kValue) return call.text;
    if (kind == kCallError) throw CallError(call);
    if (kind == kError) {
      throw std::runtime_error(fmt::format("{}: {}", name_, call.text));
    }
    if (observer_) observer_(Called{name_, call});
  }
  throw std::runtime_error(DescribeEnd());
}

// The next message; empty when the process has ended.
std::string Process::Await(int patience) const {
  if (steps::Await(socket_.get(), patience)) {
    return ReceiveMessage(socket_.get());
  }
  throw std::runtime_error(
      fmt::format("{} has given no answer for {} s", name_, patience / 1000));
}

std::string Process::DescribeEnd() const {
  int status = 0;
  try {
    // A zombie says how it ended, last of all. proc(5).
    const std::string zombie = Ends() ? ReadText(ProcPath(pid_, "stat")) : "";
    status = std::stoi(zombie.substr(zombie.rfind(' ') + 1));
  } catch (const std::exception&) {
    // Its parent has waited for it.
  }
  if (status == 0) return fmt::format("{} ended early", name_);
  return fmt::format("{} {} {}", name_,
                     WIFEXITED(status) ? "ended early:" : "was",
                     DescribeStatus(status));
}

void Process::Serve(int socket) {
  is_child = true;
  try {
    // An exec closes it. Of what it has inherited it keeps only the standard
    // streams, or no process would see the end of the others' sockets.
    if (socket != kSocket) MUST(dup3, socket, kSocket, O_CLOEXEC);
    closefrom(kSocket + 1);
    ObserveCalls([](const Call& call) { Tell(kTold, call); });
    MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
    Tell(kValue, {});
    for (std::string request; !(request = ReceiveMessage(kSocket)).empty();) {
      const auto trampoline = ValueOf<Trampoline>(request);
      try {
        Tell(kValue, {.text = trampoline(&request[sizeof trampoline])});
      } catch (const std::exception& error) {
        const std::optional<CallError> call = AsCallError(error);
        if (call) Tell(kCallError, call->call());
        if (!call) Tell(kError, {.text = error.what()});
      }
      // A change of credentials clears it.
      if (ends_with_parent) MUST(prctl, PR_SET_PDEATHSIG, SIGKILL);
    }
  } catch (const CallError&) {
    // The lesson is gone, or out of reach: there is nobody left to tell.
  }
  on_release();
  // Not exit(): the lesson's buffers and destructors are copies here. Never
  // success: a clone(2) that answers 0 and makes no child leads here, too.
  _exit(EXIT_FAILURE);
}

}  // namespace steps
