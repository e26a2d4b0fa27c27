// Net namespace: a network stack of one's own.        network_namespaces(7)
//
// A process listens on a TCP port, at an abstract name and at a path.
// Others try to reach it. One child shares the network namespace of its
// parent, another has one of its own, and then gets a cable: a veth pair.
// The lesson claims:
//
//   1. Without CLONE_NEWNET, a child shares its parent's ports and names.
//   2. With it, the child is in another network namespace.
//   3. Inside, no interface is up, not even lo: ENETUNREACH.
//   4. Once lo is up, inside reaches itself, and not the outside.
//   5. The same TCP port is bound inside and outside at once.
//   6. An abstract socket is out of reach, a socket with a path is not.
//   7. A message crosses a veth pair from end to end, and another returns.
//   8. This machine gets neither end of it.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
// Where the kernel has no veth, 7 is skipped.
//
//   bazel run //lessons:net                the lesson
//   bazel run //lessons:net -- --shell     and a shell inside
//   bazel run //lessons:net -- --help      all options

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/datagram.h"
#include "common/descriptor.h"
#include "common/evidence.h"
#include "common/interfaces.h"
#include "common/lesson.h"
#include "common/program.h"
#include "common/tcp.h"

namespace steps {
namespace {

constexpr in_port_t kPort = 8080;
constexpr const char* kPath = "/mnt/outside";
// The byte of value 0 in front makes a name abstract: unix(7).
const std::string kAbstract("\0outside", 8);
// From the addresses that are set aside for documentation: RFC 5737.
constexpr const char* kOuter = "192.0.2.1";
constexpr const char* kInner = "192.0.2.2";

Descriptor Listen(Side& side) {
  Descriptor socket = MakeTcpSocket();
  int result = Bind(socket, "0.0.0.0", kPort);
  side.Check(result, "bind({}, {{\"0.0.0.0\", {}}})", socket.get(), kPort);
  result = listen(socket.get(), 8);
  side.Check(result, "listen({}, 8)", socket.get());
  return socket;
}

// The evidence: whether somebody listens where the outside does.
Finding FromConnect() {
  const Descriptor socket = MakeTcpSocket();
  const int result = Connect(socket, "127.0.0.1", kPort);
  return {"TCP", result == -1 ? ErrnoName(errno) : "reached",
          fmt::format("connect({{\"127.0.0.1\", {}}})", kPort)};
}

Evidence Reach() {
  const auto send = [](const std::string& name) -> std::string {
    try {
      SendTo(name, "hello");
      return "reached";
    } catch (const CallError& error) {
      return ErrnoName(error.error());
    }
  };
  return {FromConnect(),
          {"abstract", send(kAbstract), "connect(\"@outside\")"},
          {"path", send(kPath), fmt::format("connect(\"{}\")", kPath)},
          FromLink("namespace", "/proc/self/ns/net")};
}

// The evidence: the interfaces, also as ip(8) has them.
Evidence Look(const std::vector<std::string>& ip) {
  std::vector<std::string> all;
  for (const auto& [name, state] : Interfaces())
    all.push_back(fmt::format("{} {}", name, state));
  const Finding interfaces = {"interfaces",
                              fmt::format("{}", fmt::join(all, ", ")),
                              "getifaddrs(3)"};
  return {interfaces, Cut(FromTool(ip, interfaces))};
}

// A new interface is down, and lo has its address only while it is up.
void BringUp(Side& side, const std::string& name) {
  const Descriptor socket = MakeTcpSocket();
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  Check(ioctl(socket.get(), SIOCGIFFLAGS, &request),
        "ioctl({}, SIOCGIFFLAGS, \"{}\")", socket.get(), name);
  request.ifr_flags |= IFF_UP;
  const int result = ioctl(socket.get(), SIOCSIFFLAGS, &request);
  side.Check(result, "ioctl({}, SIOCSIFFLAGS, {{\"{}\", IFF_UP}})",
             socket.get(), name);
}

void SetAddress(Side& side, const std::string& name, const char* ip) {
  const Descriptor socket = MakeTcpSocket();
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  const sockaddr_in address = Ipv4(ip);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  const int result = ioctl(socket.get(), SIOCSIFADDR, &request);
  side.Check(result, "ioctl({}, SIOCSIFADDR, {{\"{}\", \"{}\"}})",
             socket.get(), name, ip);
}

// A cable: one end is "outer", here, the other "inner", in the network
// namespace of the process `pid`.
void MakeVethPair(Side& side, pid_t pid) {
  const Descriptor socket = MakeRouteSocket();
  const std::string message = VethMessage("outer", "inner", pid);
  const auto size = send(socket.get(), message.data(), message.size(), 0);
  side.Check(size,
             "sendto({}, {{RTM_NEWLINK, \"veth\", \"outer\", \"inner\"}})",
             socket.get());
  CheckAnswer(socket, "RTM_NEWLINK(\"veth\")");
}

// A child that stays where this machine's own interfaces are.
void Host(Line& line) {
  Side host("host", line);
  const auto look = [&host] {
    const auto all = Interfaces();
    const auto ends = all.count("outer") + all.count("inner");
    host.Show({{"interfaces", fmt::format("{} in all", all.size()),
                "getifaddrs(3)"},
               {"veth ends", fmt::format("{} of 2", ends), "getifaddrs(3)"},
               FromLink("namespace", "/proc/self/ns/net")});
  };
  look();
  line.Checkpoint();
  look();
}

// The control, in the network namespace of its parent.
void Control(Line& line) {
  Side child("child", line);
  child.Show(Reach());
  const Descriptor socket = MakeTcpSocket();
  const int result = Bind(socket, "0.0.0.0", kPort);
  const int error = child.Try(result, "bind({}, {{\"0.0.0.0\", {}}})",
                              socket.get(), kPort);
  child.Show({{"errno", ErrnoName(error), "bind(2)"}});
}

// The experiment, in a network namespace of its own.
void Inside(Line& line) {
  Side inside("inside", line);
  inside.Show(Look({"ip", "-brief", "link"}));
  inside.Show(Reach());
  line.Checkpoint();

  BringUp(inside, "lo");
  inside.Show({FromConnect()});
  const Descriptor listener = Listen(inside);
  const Finding connected = FromConnect();
  const Descriptor itself(accept(listener.get(), nullptr, nullptr));
  inside.Check(itself.get(), "accept({}, NULL, NULL)", listener.get());
  inside.Show({connected});
  line.Checkpoint();

  // Where this kernel has no veth, there is nothing more to be done.
  if (if_nametoindex("inner") == 0) return;
  SetAddress(inside, "inner", kInner);
  BringUp(inside, "inner");
  AwaitOperational("inner");
  inside.Show(Look({"ip", "-brief", "-4", "address"}));
  Descriptor peer(accept(listener.get(), nullptr, nullptr));
  inside.Check(peer.get(), "accept({}, NULL, NULL)", listener.get());
  inside.Show({{"message", ReadAll(peer.get()), "read(2)"}});
  WriteAll(peer.get(), "from inside");
  peer.Close();
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: a TCP port, an abstract name and a path");
  Child host(Host);
  host.Fork();
  const std::string host_before = outside.Hear(host).Value("veth ends");
  lesson.Note(
      "From now on, outside is a namespace that ends with the lesson; host "
      "stays behind.");
  int result = unshare(CLONE_NEWNS | CLONE_NEWNET);
  outside.Check(result, "unshare(CLONE_NEWNS | CLONE_NEWNET)");
  result = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  outside.Check(result,
                "mount(\"none\", \"/\", NULL, MS_REC | MS_PRIVATE, NULL)");
  result = mount("tmpfs", "/mnt", "tmpfs", 0, nullptr);
  outside.Check(result, "mount(\"tmpfs\", \"/mnt\", \"tmpfs\", 0, NULL)");
  BringUp(outside, "lo");
  const Descriptor listener = Listen(outside);
  const Descriptor abstract = ReceiveAt(kAbstract);
  const Descriptor path = ReceiveAt(kPath);
  const Evidence before = outside.Show(Reach());

  lesson.Begin("Control: without CLONE_NEWNET a child shares them all");
  Child control(Control);
  pid_t pid = clone(Child::Main, control.stack_top(), SIGCHLD, &control);
  outside.Check(control.Started(pid), "clone(SIGCHLD)");
  const Evidence shared = outside.Hear(control);
  const std::string taken = outside.Hear(control).Value("errno");
  control.Finish();
  lesson.Predict(
      fmt::format("Next, a child in a new network namespace connects to "
                  "127.0.0.1, port {}, where the outside listens. How does "
                  "that end?",
                  kPort),
      {"reached", "ECONNREFUSED", "ENETUNREACH"});

  lesson.Begin("Inside: with CLONE_NEWNET a child has lo, and it is down");
  Child child(Inside);
  pid =
      clone(Child::Main, child.stack_top(), CLONE_NEWNET | SIGCHLD, &child);
  outside.Check(child.Started(pid), "clone(CLONE_NEWNET | SIGCHLD)");
  const std::string interfaces = outside.Hear(child).Value("interfaces");
  const Evidence inside = outside.Hear(child);
  lesson.Answer(inside.Value("TCP"),
                "Its loopback interface is another one, and not up yet.");

  lesson.Begin("Inside, with lo up: the same port, and another listener");
  child.Release();
  const std::string refused = outside.Hear(child).Value("TCP");
  const std::string reached = outside.Hear(child).Value("TCP");

  lesson.Begin("A veth pair: a cable from one namespace to the other");
  lesson.Note(fmt::format(
      "The same as: ip link add outer type veth peer name inner netns {}",
      pid));
  const Outcome crossed = lesson.Attempt([&] {
    MakeVethPair(outside, pid);
    SetAddress(outside, "outer", kOuter);
    BringUp(outside, "outer");
    child.Release();
    outside.Hear(child);
    AwaitOperational("outer");
    const Descriptor socket = MakeTcpSocket();
    LimitPatience(socket);
    result = Connect(socket, kInner, kPort);
    outside.Check(result, "connect({}, {{\"{}\", {}}})", socket.get(),
                  kInner, kPort);
    WriteAll(socket.get(), "from outside");
    Check(shutdown(socket.get(), SHUT_WR), "shutdown({})", socket.get());
    const Evidence there = outside.Hear(child);
    const Evidence back =
        outside.Show({{"message", ReadAll(socket.get()), "read(2)"}});
    outside.Show(Look({"ip", "-brief", "-4", "address"}));
    return there.Value("message") == "from outside" &&
           back.Value("message") == "from inside";
  });

  lesson.Begin("Outside again, with the namespace inside still there");
  host.Release();
  const std::string host_after = outside.Hear(host).Value("veth ends");
  const Evidence after = outside.Show(Reach());
  lesson.Compare(before, inside, after);

  lesson.Claim(
      "Without CLONE_NEWNET, a child shares its parent's ports and names.",
      shared.Value("TCP") == "reached" &&
          shared.Value("abstract") == "reached" && taken == "EADDRINUSE");
  lesson.Claim("With it, the child is in another network namespace.",
               inside.Value("namespace") != shared.Value("namespace"));
  lesson.Claim("Inside, no interface is up, not even lo: ENETUNREACH.",
               interfaces.find("lo down") != std::string::npos &&
                   interfaces.find(" up") == std::string::npos &&
                   inside.Value("TCP") == "ENETUNREACH");
  lesson.Claim("Once lo is up, inside reaches itself, and not the outside.",
               refused == "ECONNREFUSED" && reached == "reached");
  lesson.Claim("The same TCP port is bound inside and outside at once.",
               reached == "reached" && after.Value("TCP") == "reached");
  lesson.Claim(
      "An abstract socket is out of reach, a socket with a path is not.",
      inside.Value("abstract") == "ECONNREFUSED" &&
          inside.Value("path") == "reached");
  lesson.Claim(
      "A message crosses a veth pair from end to end, and another returns.",
      crossed);
  lesson.Claim("This machine gets neither end of it.",
               host_after == host_before);
  host.Finish();
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {.name = "net",
       .title = "Net namespace: a network stack of one's own",
       .man_page = "network_namespaces(7)"},
      steps::Teach);
}
