#include "tests/support/host_state.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <sstream>
#include <string>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "common/kernel/user_namespace.h"
#include "tests/support/program.h"

namespace steps {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Looks at the host before and after `change`, in throwaway namespaces.
void ExpectDifference(const std::string& difference,
                      const std::function<void()>& change) {
  InChild([&] {
    EnterUserNamespaceAsRoot();
    const int flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
    Check(unshare(flags), "unshare({:#x})", flags);
    Check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
          "mount(MS_PRIVATE)");
    for (const char* folder : {"/tmp", "/dev/shm"}) {
      Check(mount("tmpfs", folder, "tmpfs", 0, nullptr), "mount({})", folder);
    }
    const HostState before = LookAtHost();
    EXPECT_THAT(Difference(before, LookAtHost()), IsEmpty());
    change();
    EXPECT_THAT(Difference(before, LookAtHost()), HasSubstr(difference));
  });
}

TEST(HostState, SeesAHostname) {
  ExpectDifference("changed: hostname: ",
                   [] { Check(sethostname("new", 3), "sethostname()"); });
}

TEST(HostState, SeesADomainName) {
  ExpectDifference("changed: domain name: ",
                   [] { Check(setdomainname("new", 3), "setdomainname()"); });
}

TEST(HostState, SeesAMount) {
  ExpectDifference("new: /proc/self/mountinfo ", [] {
    Check(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr), "mount()");
  });
}

TEST(HostState, SeesAMountThatIsGone) {
  ExpectDifference("gone: /proc/self/mountinfo ",
                   [] { Check(umount2("/tmp", MNT_DETACH), "umount2()"); });
}

TEST(HostState, SeesAMountThatIsSharedNow) {
  ExpectDifference("shared:", [] {
    Check(mount(nullptr, "/tmp", nullptr, MS_SHARED, nullptr), "mount()");
  });
}

TEST(HostState, SeesIpcObjects) {
  ExpectDifference("new: /proc/sysvipc/msg ",
                   [] { Check(msgget(IPC_PRIVATE, 0600), "msgget()"); });
  ExpectDifference("new: /proc/sysvipc/sem ",
                   [] { Check(semget(IPC_PRIVATE, 1, 0600), "semget()"); });
  ExpectDifference("new: /proc/sysvipc/shm ",
                   [] { Check(shmget(IPC_PRIVATE, 1, 0600), "shmget()"); });
}

TEST(HostState, SeesALink) {
  ExpectDifference("new: /proc/self/net/dev left0:", [] {
    RunTool({"ip", "link", "add", "left0", "type", "veth", "peer", "right0"});
  });
}

TEST(HostState, SeesACgroup) {
  // None can be made that is not the machine's: a tmpfs stands in for the file
  // system, on the folder where that is mounted.
  std::istringstream mounts(ReadFile("/proc/self/mounts"));
  std::string folder;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device;
    std::string mount_point;
    std::string type;
    fields >> device >> mount_point >> type;
    if (type.starts_with("cgroup")) folder = mount_point;
  }
  if (folder.empty()) GTEST_SKIP() << "no cgroup file system is mounted";
  InChild([&] {
    EnterUserNamespaceAsRoot();
    Check(unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
    Check(mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr), "mount()");
    const HostState before = LookAtHost();
    Check(mkdir((folder + "/steps-left").c_str(), 0700), "mkdir()");
    EXPECT_THAT(Difference(before, LookAtHost()),
                HasSubstr("new: cgroup " + folder + "/steps-left\n"));
  });
}

TEST(HostState, SeesAProcess) {
  const HostState before = LookAtHost();
  {
    const Process child = Process::Quiet().Clone("child", 0);
    EXPECT_THAT(Difference(before, LookAtHost()), HasSubstr("new: process "));
  }
  EXPECT_THAT(Difference(before, LookAtHost()), IsEmpty());
}

TEST(HostState, SeesFiles) {
  for (const char* path : {"/tmp/left", "/dev/shm/left"}) {
    ExpectDifference(std::string("new: ") + path,
                     [&] { Open(path, O_CREAT | O_WRONLY, 0600); });
  }
}

}  // namespace
}  // namespace steps
