// Network namespaces: a private network stack.        network_namespaces(7)
//
//   bazel run //lessons:net                the lesson
//   bazel run //lessons:net -- --shell     and a shell inside
//
// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN; an ordinary user gets them in a
// user namespace.

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/kernel/mounts.h"
#include "common/kernel/network.h"
#include "common/program/program.h"

namespace steps {
namespace {

constexpr int kPort = 8080;
// From the addresses that are set aside for documentation: RFC 5737.
constexpr const char* kOuter = "192.0.2.1";
constexpr const char* kInner = "192.0.2.2";

// The machine's may be many: only their number is compared.
const Probe kMachine{"interfaces", "getifaddrs(3)",
                     [] { return std::to_string(Interfaces().size()); }};
const Probe kUp{"interfaces up", "getifaddrs(3)", [] {
                  std::string names;
                  for (const auto& [name, state] : Interfaces()) {
                    if (state == "up") names += name + " ";
                  }
                  return names.empty() ? "none"
                                       : names.substr(0, names.size() - 1);
                }};
const Probe kIpLink{"", "$ ip -brief link", [] {
                      return TrimTable(RunTool({"ip", "-brief", "link"}), 66);
                    }};
const Probe kNamespace{"net namespace", "/proc/self/ns/net",
                       [] { return ReadLink("/proc/self/ns/net"); }};

int Listen() {
  const int fd = OpenSocket(AF_INET, SOCK_STREAM);
  CALL(bind, fd, "0.0.0.0", kPort);
  CALL(listen, fd, 8);
  return fd;
}

int BindAgain() {
  return TRY(bind, OpenSocket(AF_INET, SOCK_STREAM), "0.0.0.0", kPort);
}

int Connect() {
  return TRY(connect, OpenSocket(AF_INET, SOCK_STREAM), "127.0.0.1", kPort);
}

int SendTo(const char* path) {
  return TRY(sendto, DatagramSocket(), "hello", path);
}

void BringUp(const char* name, const char* ip) {
  const int fd = OpenSocket(AF_INET, SOCK_DGRAM);
  CALL(ioctl, fd, SIOCSIFADDR, name, ip);
  CALL(ioctl, fd, SIOCSIFFLAGS, name, IFF_UP);
}

// What comes through a connection; "" where nothing comes.
auto MessageFrom(int connection) {
  return Probe{"message", "read(2)", [connection] {
                 std::array<char, 64> text = {};
                 return read(connection, text.data(), 63) > 0
                            ? std::string(text.data())
                            : std::string();
               }};
}

void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step(
      "Control: without CLONE_NEWNET, a child shares the ports",
      "`host` stands in for your machine, and listens: on a TCP port, "
      "at an abstract name (@) and at a path.");
  const Evidence machine = outside.Ask(kMachine, kNamespace);
  Process host = outside.StandIn("host", CLONE_NEWNET | CLONE_NEWNS);
  host.Run([] {
    MountTmpfs("/tmp");
    BringUp("lo", "127.0.0.1");
    CALL(bind, DatagramSocket(), "@outside");
    CALL(bind, DatagramSocket(), "/tmp/outside");
    Listen();
  });
  const Evidence before = host.Ask(kUp, kNamespace);
  Process child = host.Clone("child", 0);
  const bool shared = child.Run([] {
    return Connect() == 0 && SendTo("@outside") == 0 &&
           BindAgain() == EADDRINUSE;
  });
  lesson.Claim(
      "Without CLONE_NEWNET, a child shares its parent's ports and names.",
      shared);

  lesson.Predict(
      "`host` listens on port 8080. A child in a new network namespace "
      "calls "
      "connect() to 127.0.0.1, port 8080. What does it get?",
      {"ENETUNREACH", "ECONNREFUSED", "success", "EPERM"});

  lesson.Step("With CLONE_NEWNET, a child has only lo, and it is down");
  Process inside = host.Clone("inside", CLONE_NEWNET);
  inside.Ask(kIpLink);
  const Evidence fresh = inside.Ask(kUp, kNamespace);
  lesson.Claim("With CLONE_NEWNET, a child is in a new network namespace.",
               fresh[kNamespace] != before[kNamespace]);
  const int error = inside.Run(Connect);
  lesson.Answer(error == 0 ? "success" : ErrnoName(error),
                "Even lo is a new interface here. It is down, so there is no "
                "route; ECONNREFUSED would mean that nobody listens.");
  lesson.Claim("Inside, no interface is up, not even lo.",
               fresh[kUp] == "none" && error == ENETUNREACH);

  lesson.Step("With lo up, the same port is free inside");
  inside.Run([] { BringUp("lo", "127.0.0.1"); });
  const int refused = inside.Run(Connect);
  const int own = inside.Run(Listen);
  const bool reached = inside.Run(Connect) == 0;
  inside.Run([own] { CALL(accept, own); });
  lesson.Claim("Once lo is up, inside reaches itself, not the outside.",
               refused == ECONNREFUSED && reached);
  lesson.Claim("The same TCP port is bound inside and outside at once.",
               host.Run(BindAgain) == EADDRINUSE && reached);

  lesson.Step("An abstract name is isolated, a path is not",
              "Abstract names belong to the network namespace, paths to the "
              "mount namespace, which both share.");
  lesson.Claim("A socket with an abstract name is out of reach.",
               inside.Run([] { return SendTo("@outside"); }) == ECONNREFUSED);
  lesson.Claim("A socket with a path is not.",
               inside.Run([] { return SendTo("/tmp/outside"); }) == 0);
  const Evidence after = host.Ask(kUp, kNamespace);

  lesson.Step(
      "A veth pair is a cable between two namespaces",
      "The same as: ip link add outer type veth peer name inner netns "
      "PID.");
  const Outcome crossed = lesson.Attempt([&] {
    host.Run([pid = inside.pid()] {
      CALL(send, OpenRouteSocket(), RTM_NEWLINK, "veth", "outer", "inner",
           pid);
      BringUp("outer", kOuter);
    });
    inside.Run([] {
      BringUp("inner", kInner);
      AwaitOperational("inner");
    });
    const int there = host.Run([] {
      AwaitOperational("outer");
      const int fd = OpenSocket(AF_INET, SOCK_STREAM);
      CALL(connect, fd, kInner, kPort);
      CALL(write, fd, "from outside", 12);
      return fd;
    });
    const int here = inside.Run([own] {
      const int fd = CALL(accept, own);
      CALL(write, fd, "from inside", 11);
      return fd;
    });
    return inside.Ask(MessageFrom(here)) == "from outside" &&
           host.Ask(MessageFrom(there)) == "from inside";
  });
  lesson.Claim("Messages cross a veth pair, in both directions.", crossed);

  lesson.Step(
      "A socket keeps its namespace, and your machine is unchanged",
      "`mover` opens a socket, and only then moves to a new namespace.");
  Process mover = host.Clone("mover", 0);
  const int socket = mover.Run([] {
    const int fd = OpenSocket(AF_INET, SOCK_STREAM);
    CALL(unshare, CLONE_NEWNET);
    return fd;
  });
  const bool kept = mover.Run([socket] {
    return TRY(connect, socket, "127.0.0.1", kPort) == 0 &&
           Connect() == ENETUNREACH;
  });
  lesson.Claim("A socket stays in the namespace in which it was made.", kept);
  lesson.Claim("This machine has neither end of the pair.",
               outside.Ask(kMachine, kNamespace) == machine);

  lesson.Compare(before, fresh, after);
  lesson.Remember(
      "A network namespace holds interfaces, addresses, ports and abstract "
      "names. It starts with lo, down.");
  // `host` ends with this function; its namespace, and the pair, do not.
  inside.Run([pid = host.pid()] {
    MUST(open, fmt::format("/proc/{}/ns/net", pid).c_str(), O_RDONLY);
    OutliveParent();
  });
  lesson.Keep(std::move(inside));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"net",
                           "Network namespaces: a private network stack",
                           "network_namespaces(7)",
                           {CAP_SYS_ADMIN, CAP_NET_ADMIN}},
                          steps::Teach, argc, argv);
}
