#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <memory>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/process.h"
#include "tests/support/lessons.h"
#include "tests/support/refusals.h"

namespace steps {
namespace {

// What the lesson takes that refusal for: it comes when the namespace has
// ended, and not as long as a descriptor holds it.
TEST(MqueueMount, RefusesANewQueueOnceItsNamespaceHasEnded) {
  InChild([] {
    EnterPrivateMounts();
    MountTmpfs("/tmp");
    Process self = Process::Quiet();
    auto member = std::make_unique<Process>(self.Clone("", CLONE_NEWIPC));
    member->Run([] { MUST(mount, "mqueue", "/tmp", "mqueue", 0, nullptr); });
    Descriptor held = Open(fmt::format("/proc/{}/ns/ipc", member->pid()), 0);
    member.reset();
    EXPECT_EQ(TRY(open, "/tmp/held", O_CREAT, 0600), 0);
    held.Close();
    EXPECT_EQ(TRY(open, "/tmp/ended", O_CREAT, 0600), EACCES);
    EXPECT_EQ(TRY(open, "/tmp/held", O_CREAT, 0600), 0) << "is left";
  });
}

}  // namespace
}  // namespace steps
