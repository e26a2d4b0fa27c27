// Whatever a program does, and if check is killed: the machine is as it was.

#include <chrono>

#include "tests/support/host_state.h"
#include "tests/support/lessons.h"

namespace steps {
namespace {

struct Hostile {
  std::string name;
  Words program;
  std::string says;
  bool slow = false;  // It takes ten seconds: as nobody only.
};

Words Shell(const std::string& script) { return {"sh", "-c", script}; }

Words Perl(const std::string& script) {
  return {"perl", "-MPOSIX", "-MSocket", "-e", script};
}

// What none of them may make.
const char* const kTargets =
    "/usr/hostile /etc/hostile /bin/hostile /opt/hostile /hostile";

const char* const kNothingNew = "None of its processes is in a new namespace.";
const char* const kRestless = "not at rest after 10 seconds";

const std::vector<Hostile> kHostile = {
    {"WritesToTheReadersFiles", Shell(fmt::format("touch {}; cat", kTargets)),
     kNothingNew},
    {"ForkBomb", Perl("fork while 1"), "had more than 50 processes"},
    {"ForkBombThatIgnoresErrors", Shell("f() { f | f & }; f; cat"), ""},
    {"ClosesEverything", Perl("POSIX::close($_) for 0 .. 1023; sleep"),
     kNothingNew},
    {"IgnoresSignals",
     Perl("$SIG{$_} = 'IGNORE' for keys %SIG; setsid(); sleep"), kNothingNew},
    {"Daemonises", Perl("exit if fork; setsid(); exit if fork; sleep"),
     "nobody waits for it"},
    {"StopsItself", Shell("kill -STOP $$"), kNothingNew},
    {"KillsEverything", Shell("kill -9 1; kill -9 -1; cat"), ""},
    {"RenamesTheHost", Shell("hostname hostile; domainname hostile; cat"),
     "The host is renamed, too: hostile was host."},
    {"MountsOverTheRoot", Shell("mount -t tmpfs tmpfs /; cat"),
     "on the host, too: tmpfs on /."},
    {"UnmountsEverything",
     Shell("umount -l /proc; umount -l /proc; umount -al; umount -l /; cat"),
     "The host has lost mounts"},
    {"WritesMuch", Shell("head -c 100000000 /dev/zero; cat"),
     "wrote more than 1 MiB"},
    {"FillsTheDisk",
     Shell("cat /dev/zero >/tmp/zero; cat /dev/zero >/dev/shm/zero; cat"),
     kNothingNew},
    {"MakesIpcObjects", Shell("ipcmk -Q; ipcmk -M 4096; ipcmk -S 1; cat"),
     "1 queue, 1 semaphore set, 1 shared memory"},
    {"MakesInterfaces",
     Shell("ip link add hostile0 type veth peer name hostile1; cat"), ""},
    {"NestsNamespaces",
     Shell("i=0; while [ $((i = i + 1)) -lt 30 ]; do "
           "unshare -Urmpf true; done; exec unshare -Urmpf cat"),
     ""},
    {"ChangesItsUser",
     Perl("POSIX::setuid(65534); POSIX::setgid(65534); $< = $> = 1; sleep"),
     kNothingNew},
    {"MakesASetuidProgram",
     Shell("cp /bin/sh /tmp/sh; chmod 6755 /tmp/sh; su nobody -s /bin/sh -c "
           "id; /tmp/sh -c cat"),
     kNothingNew},
    {"ReadsPidOne", Shell("cat /proc/1/mem /proc/1/environ /proc/1/fd/*; cat"),
     kNothingNew},
    {"WritesForPidOne", Shell("echo 0 >/proc/1/fd/3; echo >/proc/1/mem; cat"),
     ""},
    {"HidesProc",
     Shell("mount -t tmpfs tmpfs /proc; mkdir /proc/self; exec unshare -p "
           "--fork cat"),
     "on the host, too: tmpfs on /proc"},
    {"ThreadsOfAChild",
     Perl("for (1 .. 40) { fork or do { 1 while 1 } } 1 while 1"), kRestless,
     true},
    {"EndlessLoop", Perl("1 while 1"), kRestless, true},
    {"SleepsForLong", Shell("sleep 1000"), kRestless, true}};

class HostileTest : public LessonFolderTest {
 protected:
  void ExpectUnchanged() {
    EXPECT_THAT(Survivors(), IsEmpty());
    const std::string now = LookAtHost();
    EXPECT_EQ(Difference(before_, now), "") << "seed " << striker_.seed();
    for (const std::string& target : Matches(kTargets, "(\\S+)")) {
      EXPECT_FALSE(fs::exists(target)) << target;
    }
    before_ = now;
  }

  std::string before_ = LookAtHost();
  Striker striker_;
};

INSTANTIATE_TEST_SUITE_P(Is, HostileTest, ValuesIn(ForBothUsers({"check"})),
                         LessonName);

TEST_P(HostileTest, LeavesTheMachineAsItWas) {
  for (const auto& [name, program, says, slow] : kHostile) {
    if (slow && !as_nobody()) continue;
    SCOPED_TRACE(name);
    const auto start = std::chrono::steady_clock::now();
    const Result result = Run(program, {}, 1);
    const auto time = std::chrono::steady_clock::now() - start;
    EXPECT_THAT(std::regex_replace(result.output, std::regex("\n {14}"), " "),
                HasSubstr(says));
    EXPECT_LT(time, std::chrono::seconds(60));
    ExpectUnchanged();
  }
}

TEST_P(HostileTest, LeavesTheMachineAsItWasWhenCheckIsKilled) {
  for (const Words& program :
       {Perl("fork and sleep; setsid(); fork; fork; 1 while 1"),
        Shell("unshare -muinpf --mount-proc sh -c 'ipcmk -Q; sleep 1000 & "
              "sleep 1000'")}) {
    for (int i = 0; i < 20 && !HasFailure(); ++i) {
      Program check(Lesson(program));
      striker_.Wait(std::chrono::milliseconds(300));
      kill(check.pid(), i % 2 == 0 ? SIGKILL : SIGINT);
      EXPECT_THAT(
          DescribeStatus(check.Await().status),
          AnyOf("killed by SIGKILL", "killed by SIGINT", "exit status 130"));
      ExpectUnchanged();
    }
  }
}

// The jail and the host are processes as well. The signal may come too late.
TEST_P(HostileTest, EndsWithAnyProcessOfCheck) {
  for (int i = 0; i < 20 && !HasFailure(); ++i) {
    Program check(Lesson(Shell("unshare -muinpf --mount-proc cat")));
    striker_.Wait(std::chrono::milliseconds(100));
    striker_.Strike();
    EXPECT_THAT(DescribeStatus(check.Await().status),
                AnyOf("killed by SIGKILL", "exit status 1", "exit status 0"));
    ExpectUnchanged();
  }
}

}  // namespace
}  // namespace steps
