#include "common/guardian.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>

#include "common/call_error.h"
#include "common/child.h"
#include "common/user_namespace.h"
#include "tests/process.h"

namespace steps {
namespace {

int MakeQueue() {
  return Check(msgget(IPC_PRIVATE, 0600), "msgget(IPC_PRIVATE, 0600)");
}

void RemoveQueue(int id) {
  Check(msgctl(id, IPC_RMID, nullptr), "msgctl({}, IPC_RMID)", id);
}

bool QueueExists(int id) {
  msqid_ds queue = {};
  return msgctl(id, IPC_STAT, &queue) != -1;
}

// Runs `body` where queues are nobody else's.
void InOwnIpcNamespace(const std::function<void()>& body) {
  const Ids ids = Ids::OfCaller();
  InChild(
      [&] {
        MapToRoot(ids);
        Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl()");
        body();
      },
      CLONE_NEWUSER | CLONE_NEWIPC);
}

// A lesson with a queue that its guardian keeps; it waits to be ended.
struct GuardedLesson {
  GuardedLesson()
      : process([](Line& line) {
          const Guardian queue(MakeQueue, RemoveQueue);
          line.Send(std::to_string(queue.id()));
          line.Checkpoint();
        }) {
    process.Fork();
    id = std::stoi(process.Receive().value());
  }

  Child process;
  int id;
};

TEST(Guardian, RemovesWhatItMadeAtTheEndOfItsScope) {
  InOwnIpcNamespace([] {
    int id = -1;
    {
      const Guardian queue(MakeQueue, RemoveQueue);
      id = queue.id();
      EXPECT_TRUE(QueueExists(id));
    }
    EXPECT_FALSE(QueueExists(id));
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1) << "it is reaped";
  });
}

TEST(Guardian, RemovesWhatItMadeWhenItsLessonIsKilled) {
  InOwnIpcNamespace([] {
    GuardedLesson lesson;
    EXPECT_TRUE(QueueExists(lesson.id));
    kill(lesson.process.pid(), SIGKILL);
    EXPECT_EQ(DescribeStatus(lesson.process.Wait()), "killed by SIGKILL");
    // The guardian is this process's child now, and ends when it is done.
    EXPECT_GT(waitpid(-1, nullptr, 0), 0);
    EXPECT_FALSE(QueueExists(lesson.id));
  });
}

TEST(Guardian, OutlivesSignalsThatEndItsLesson) {
  InOwnIpcNamespace([] {
    GuardedLesson lesson;
    const pid_t guardian = ChildrenOf(lesson.process.pid()).at(0);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      kill(guardian, signal);
    }
    EXPECT_NE(getpgid(guardian), getpgid(lesson.process.pid()))
        << "Ctrl-C reaches a process group";
    kill(lesson.process.pid(), SIGKILL);
    EXPECT_EQ(DescribeStatus(lesson.process.Wait()), "killed by SIGKILL");
    int status = 0;
    EXPECT_EQ(waitpid(guardian, &status, 0), guardian);
    EXPECT_EQ(DescribeStatus(status), "exit status 0");
    EXPECT_FALSE(QueueExists(lesson.id));
  });
}

TEST(Guardian, LeavesItsWorkToTheLessonWhenItIsKilledItself) {
  InOwnIpcNamespace([] {
    GuardedLesson lesson;
    kill(ChildrenOf(lesson.process.pid()).at(0), SIGKILL);
    lesson.process.Finish();
    EXPECT_FALSE(QueueExists(lesson.id));
  });
}

TEST(Guardian, KeepsAFolderAsACgroupIsOne) {
  const std::string folder = testing::TempDir() + "guarded";
  {
    const Guardian guardian(
        [&] { return Check(mkdir(folder.c_str(), 0700), "mkdir()"); },
        [&](int) { Check(rmdir(folder.c_str()), "rmdir()"); });
    EXPECT_TRUE(std::filesystem::exists(folder));
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Guardian, ThrowsWhatMadeItsThingImpossible) {
  try {
    const Guardian guardian(
        [] { return Check(mkdir("/nonexistent/x", 0700), "mkdir(\"x\")"); },
        [](int) {});
    FAIL();
  } catch (const CallError& error) {
    EXPECT_EQ(error.call(), "mkdir(\"x\")");
    EXPECT_EQ(error.error(), ENOENT);
  }
}

TEST(Guardian, ThrowsFromFinishWhatItCouldNotRemove) {
  Guardian guardian([] { return 1; },
                    [](int) { throw CallError(EBUSY, "rmdir(\"x\")"); });
  EXPECT_THROW(guardian.Finish(), CallError);
}

TEST(Guardian, ReportsInItsDestructorWhatItCouldNotRemove) {
  testing::internal::CaptureStderr();
  {
    const Guardian guardian(
        [] { return 1; }, [](int) { throw CallError(EBUSY, "rmdir(\"x\")"); });
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("not removed: rmdir(\"x\"): Device or"));
}

}  // namespace
}  // namespace steps
