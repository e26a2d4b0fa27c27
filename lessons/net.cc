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

constexpr int kPort = 8080;
// From the addresses that are set aside for documentation: RFC 5737.
constexpr const char* kOuter = "192.0.2.1";
constexpr const char* kInner = "192.0.2.2";

const Probe kCount{"interfaces", "getifaddrs(3)",
                   [] { return Interfaces().size(); }};
const Probe kLo{"lo", "getifaddrs(3)", [] { return Interfaces()["lo"]; }};
const Probe kIpLink{"", "$ ip -brief link", [] {
                      return TrimTable(RunTool({"ip", "-brief", "link"}), 66);
                    }};
const auto kNamespace = LinkProbe("net namespace", "/proc/self/ns/net");

static int Socket() { return OpenSocket(AF_INET, SOCK_STREAM); }

static int Listen() {
  const int fd = Socket();
  CALL(bind, fd, "0.0.0.0", kPort);
  CALL(listen, fd, 8);
  return fd;
}

static int Connect() { return TRY(connect, Socket(), "127.0.0.1", kPort); }

static int SendTo(const char* path) {
  return TRY(sendto, DatagramSocket(), "hello", path);
}

static void BringUp(const char* name, const char* ip) {
  const int fd = OpenSocket(AF_INET, SOCK_DGRAM);
  CALL(ioctl, fd, SIOCSIFADDR, name, ip);
  CALL(ioctl, fd, SIOCSIFFLAGS, name, IFF_UP);
}

// What comes through a connection; "" where nothing comes.
static auto MessageFrom(int connection) {
  return Probe{"message", "read(2)", [connection] {
                 std::array<char, 64> text = {};
                 const ssize_t size =
                     Retry([&] { return read(connection, text.data(), 63); });
                 return size > 0 ? std::string(text.data()) : std::string();
               }};
}

static void Teach(Lesson& lesson) {
  Process& outside = lesson.outside();

  lesson.Step("Control: without CLONE_NEWNET, a child shares the ports",
              "`host` stands in for your machine, and listens on a port.");
  const Evidence machine = outside.Ask(kCount, kNamespace);
  Process host = outside.StandIn("host", CLONE_NEWNET | CLONE_NEWNS);
  host.Run([] { MountTmpfs("/tmp"); });
  host.Run([] { BringUp("lo", "127.0.0.1"); });
  host.Run(Listen);
  host.Run([] { CALL(bind, DatagramSocket(), "@abstract"); });
  host.Run([] { CALL(bind, DatagramSocket(), "/tmp/path"); });
  const Evidence before = host.Ask(kLo, kNamespace);
  Process child = host.Clone("child", 0);
  lesson.Claim(
      "Without CLONE_NEWNET, a child shares its parent's ports and names.",
      child.Run([] {
        return TRY(bind, Socket(), "0.0.0.0", kPort) == EADDRINUSE &&
               SendTo("@abstract") == 0;
      }));

  lesson.Predict(
      "`host` listens. Inside, what does connect() to 127.0.0.1 give?",
      {"ENETUNREACH", "ECONNREFUSED", "success", "EPERM"});

  lesson.Step("With CLONE_NEWNET, a child has another lo, which is down");
  Process inside = host.Clone("inside", CLONE_NEWNET);
  inside.Ask(kIpLink);
  const Evidence fresh = inside.Ask(kLo, kNamespace);
  lesson.Claim("With CLONE_NEWNET, a child is in a new network namespace.",
               fresh[kNamespace] != before[kNamespace]);
  const int error = inside.Run(Connect);
  lesson.Answer(error == 0 ? "success" : ErrnoName(error),
                "With lo down, no address has a route.");
  lesson.Claim("Inside, not even lo is up.",
               fresh[kLo] == "down" && error == ENETUNREACH);

  lesson.Step("With lo up, the same port is free inside");
  inside.Run([] { BringUp("lo", "127.0.0.1"); });
  const int refused = inside.Run(Connect);
  const int own = inside.Run(Listen);
  lesson.Claim("Once lo is up, inside reaches itself, not the outside.",
               refused == ECONNREFUSED && inside.Run(Connect) == 0);
  inside.Run([own] { CALL(accept, own); });
  lesson.Claim("The same TCP port is bound inside and outside at once.",
               host.Run(Connect) == 0);

  lesson.Step("An abstract name (@) is isolated, a path is not",
              "Paths belong to the mount namespace, which both share.");
  lesson.Claim(
      "An abstract name is out of reach inside, a path is not.",
      inside.Run([] { return SendTo("@abstract"); }) == ECONNREFUSED &&
          inside.Run([] { return SendTo("/tmp/path"); }) == 0);

  lesson.Step(
      "A veth pair is a cable between two namespaces",
      "The same as: ip link add outer type veth peer name inner netns PID");
  lesson.Claim("Messages cross a veth pair, in both directions.", [&] {
    host.Run([pid = inside.pid()] {
      CALL(send, OpenSocket(AF_NETLINK, SOCK_RAW), RTM_NEWLINK, "veth",
           "outer", "inner", pid);
      BringUp("outer", kOuter);
    });
    inside.Run([] { BringUp("inner", kInner); });
    inside.Run([] { SettleLink("inner"); });
    host.Run([] { SettleLink("outer"); });
    const int there = host.Run([] {
      const int fd = Socket();
      CALL(connect, fd, kInner, kPort);
      CALL(write, fd, "from outside", 12);
      return fd;
    });
    const int here = inside.Run([own] { return CALL(accept, own); });
    inside.Run([here] { CALL(write, here, "from inside", 11); });
    return inside.Ask(MessageFrom(here)) == "from outside" &&
           host.Ask(MessageFrom(there)) == "from inside";
  });
  lesson.Claim("This machine has neither end of the pair.",
               outside.Ask(kCount, kNamespace) == machine);

  lesson.Step("A socket keeps its namespace",
              "`child` opens a socket, and only then moves.");
  lesson.Claim("A socket stays in the namespace in which it was made.",
               child.Run([] {
                 const int fd = Socket();
                 CALL(unshare, CLONE_NEWNET);
                 return TRY(connect, fd, "127.0.0.1", kPort) == 0 &&
                        Connect() == ENETUNREACH;
               }));

  lesson.Compare(before, fresh, host.Ask(kLo, kNamespace), "inside", "host");
  lesson.Remember(
      "A network namespace has interfaces, ports and abstract names.");
  // `host` ends with this function; its namespace, and the pair, do not.
  inside.Run([pid = host.pid()] {
    MUST(open, ProcPath(pid, "ns/net").c_str(), O_RDONLY);
    OutliveParent();
  });
  lesson.Keep(std::move(inside));
}

}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson({"net",
                           "Network namespaces: a private network stack",
                           "network_namespaces(7)",
                           {CAP_SYS_ADMIN, CAP_NET_ADMIN}},
                          steps::Teach, argc, argv);
}
