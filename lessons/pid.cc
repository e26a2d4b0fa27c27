// PID namespace: process numbers of one's own.            pid_namespaces(7)
//
// A child in a PID namespace of its own is PID 1 there, with the privilege
// and the duty of PID 1; outside it is ordinary. The lesson claims:
//
//   1. Without CLONE_NEWPID, a child has one PID.
//   2. With it, it has two: 1 inside, with PPID 0, and one outside.
//   3. Inside, /proc still has the PIDs of the outside.
//   4. Namespaces nest: in the third level a process has three PIDs.
//   5. An outer level sees inward, an inner one does not see out.
//   6. From inside, what ends any other process does not end PID 1.
//   7. PID 1 adopts an orphan, which is a zombie until it is reaped.
//   8. From outside, SIGKILL ends PID 1, and with it all inside.
//
// Needed: CAP_SYS_ADMIN. An ordinary user gets it in a user namespace.
//
//   bazel run //lessons:pid                the lesson
//   bazel run //lessons:pid -- --shell     and a shell inside
//   bazel run //lessons:pid -- --help      all options

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "common/call_error.h"
#include "common/child.h"
#include "common/evidence.h"
#include "common/lesson.h"
#include "common/namespaces.h"
#include "common/program.h"

namespace steps {
namespace {

Finding Status(const std::string& field,
               const std::string& process = "self") {
  return FromField(field, "/proc/" + process + "/status");
}

// The evidence: the numbers of the process that asks, and `more`.
Evidence Ask(std::vector<Finding> more = {}) {
  more.insert(more.begin(),
              {{"PID", fmt::to_string(getpid()), "getpid(2)"},
               {"PPID", fmt::to_string(getppid()), "getppid(2)"},
               Status("NSpid")});
  return Evidence(more);
}

Finding Namespace() { return FromLink("namespace", "/proc/self/ns/pid"); }

// Signal 0 is never sent: it asks whether a process has this number.
Finding Find(Side& side, pid_t pid) {
  const int error = side.Try(kill(pid, 0), "kill({}, 0)", pid);
  return {"errno", ErrnoName(error), "kill(2)"};
}

// The act: it ends any ordinary process.
void Strike(Side& side, pid_t pid) {
  side.Check(kill(pid, SIGTERM), "kill({}, SIGTERM)", pid);
  side.Check(kill(pid, SIGKILL), "kill({}, SIGKILL)", pid);
}

// Starts a child, in a PID namespace of its own or without one.
void Clone(Side& side, Child& child, int flags) {
  const pid_t pid = clone(Child::Main, child.stack_top(), flags, &child);
  side.Check(child.Started(pid), "clone({})", CloneFlags(flags));
}

// The experiment. For ps(1) it takes the numbers that /proc has for this
// process and for its parent.
void Inside(Line& line) {
  const Finding self = FromLink("in /proc", "/proc/self");
  const std::string pids = Status("PPid").value + "," + self.value;
  // A tool is a child, and ps(1) looks itself up in /proc by its PID
  // inside. In a namespace of its own that is 1, which every /proc has.
  Check(unshare(CLONE_NEWPID), "unshare(CLONE_NEWPID)");
  const Finding ps =
      FromTool({"ps", "-o", "pid,ppid,pidns", "-p", pids}, self);
  // PID 1 will adopt what the shell of --shell leaves behind. The kernel
  // reaps the children of a process that ignores SIGCHLD.
  std::signal(SIGCHLD, SIG_IGN);
  Side("inside", line).Show(Ask({Namespace(), self, ps}));
  line.Checkpoint();
}

// PID 1 of a namespace in the namespace.
void Inner(Line& line) {
  // Every Child is killed when its parent ends; here the kernel must do it.
  Check(prctl(PR_SET_PDEATHSIG, 0), "prctl(PR_SET_PDEATHSIG, 0)");
  Side inner("inner", line);
  const Finding parent = Status("PPid");
  inner.Show(Ask({parent, Find(inner, std::stoi(parent.value))}));
  pause();
}

// Strikes PID 1, its parent, and will leave an orphan.
void Parent(Line& line) {
  Side side("child", line);
  Strike(side, 1);
  side.Show(Ask());
  Child orphan([&](Line& to_parent) {
    Check(prctl(PR_SET_PDEATHSIG, 0), "prctl(PR_SET_PDEATHSIG, 0)");
    to_parent.Checkpoint();  // Its parent tells of it first.
    Side itself("orphan", line);
    itself.Show(Ask());
    line.Checkpoint();
    itself.Show(Ask());
  });
  Clone(side, orphan, SIGCHLD);
  orphan.Release();
  orphan.Receive();  // Stays: of the two, the orphan is to live longer.
}

// Another PID 1.
void Init(Line& line) {
  Side inside("inside", line);
  Child inner(Inner);
  Clone(inside, inner, CLONE_NEWPID | SIGCHLD);
  inside.Hear(inner);

  Strike(inside, 1);
  Child child(Parent);
  Clone(inside, child, SIGCHLD);
  inside.Hear(child);

  const pid_t orphan = std::stoi(inside.Hear(child).Value("PID"));
  Strike(inside, child.pid());
  inside.Show({{"child", DescribeStatus(child.Wait()), "waitpid(2)"}});
  child.Release();  // The orphan, which has the child's line.
  // Awaits its end, and leaves the zombie as it is.
  Check(waitid(P_PID, orphan, nullptr, WEXITED | WNOWAIT), "waitid()");
  inside.Hear(child);
  line.Checkpoint();
  // Any child that has ended: only the orphan, for the inner one lives on.
  const pid_t reaped = wait4(-1, nullptr, 0, nullptr);
  inside.Check(reaped, "wait4(-1, NULL, 0, NULL)");
  inside.Show({Find(inside, orphan)});
  line.Checkpoint();
}

void Teach(Lesson& lesson) {
  Side& outside = lesson.outside();

  lesson.Begin("Outside: the number of this process");
  const Evidence before = outside.Show(Ask({Namespace()}));

  lesson.Begin("Control: without CLONE_NEWPID a child has one number");
  Child plain(
      [](Line& line) { Side("child", line).Show(Ask({Namespace()})); });
  Clone(outside, plain, SIGCHLD);
  const Evidence control = outside.Hear(plain);
  plain.Finish();
  lesson.Predict(
      "Next, a child in a new PID namespace asks getppid(2) for the PID of "
      "its parent, this process. What is the answer?",
      {fmt::to_string(getpid()), "0", ErrnoName(ESRCH)});

  lesson.Begin("Inside: with CLONE_NEWPID it has two, and inside it is 1");
  lesson.Note(
      "`ps` reads /proc, which is still the outside's: lesson mount "
      "mends it.");
  Child child(Inside);
  Clone(outside, child, CLONE_NEWPID | SIGCHLD);
  const Evidence inside = outside.Hear(child);
  const std::string pid = fmt::to_string(child.pid());
  const Evidence seen = outside.Show({Status("NSpid", pid)});
  lesson.Answer(inside.Value("PPID"),
                "A process of the outside has no number inside.");

  lesson.Begin("A namespace in a namespace: one number in each level");
  Child init(Init);
  Clone(outside, init, CLONE_NEWPID | SIGCHLD);
  const Evidence inner = outside.Hear(init);
  const pid_t inner_pid = std::stoi(inner.Value("NSpid"));
  const Evidence inward = outside.Show({Find(outside, inner_pid)});

  lesson.Begin("PID 1 is shielded: from inside no signal ends it");
  const Evidence shielded = outside.Hear(init);

  lesson.Begin("PID 1 adopts orphans, and has to reap them");
  const int orphan = std::stoi(outside.Hear(init).Value("NSpid"));
  const Evidence struck = outside.Hear(init);
  const Evidence later = outside.Hear(init);
  const Evidence dead =
      outside.Show({Status("State", fmt::to_string(orphan))});
  init.Release();
  const Evidence reaped = outside.Hear(init);

  lesson.Begin(
      "From outside PID 1 can be ended, and all inside ends with it");
  outside.Check(kill(init.pid(), SIGKILL), "kill({}, SIGKILL)", init.pid());
  const std::string end = DescribeStatus(init.Wait());
  outside.Show({{"inside", end, "waitpid(2)"}});
  const Evidence gone = outside.Show({Find(outside, inner_pid)});

  lesson.Begin("Outside again, with the first child still there");
  lesson.Compare(before, inside, outside.Show(Ask({Namespace()})));

  lesson.Claim("Without CLONE_NEWPID, a child has one PID.",
               control.Value("NSpid") == control.Value("PID"));
  lesson.Claim(
      "With it, it has two: 1 inside, with PPID 0, and one outside.",
      inside.Value("PID") == "1" && inside.Value("PPID") == "0" &&
          seen.Value("NSpid") == pid + " 1");
  lesson.Claim("Inside, /proc still has the PIDs of the outside.",
               inside.Value("in /proc") == pid);
  lesson.Claim(
      "Namespaces nest: in the third level a process has three PIDs.",
      inner.Value("NSpid") == fmt::to_string(inner_pid) + " 2 1");
  lesson.Claim(
      "An outer level sees inward, an inner one does not see out.",
      inward.Value("errno") == "0" && inner.Value("errno") == "ESRCH");
  lesson.Claim(
      "From inside, what ends any other process does not end PID 1.",
      struck.Value("child").starts_with("killed") &&
          shielded.Value("PPID") == "1");
  lesson.Claim(
      "PID 1 adopts an orphan, which is a zombie until it is reaped.",
      later.Value("PPID") == "1" && reaped.Value("errno") == "ESRCH" &&
          dead.Value("State") == "Z (zombie)");
  lesson.Claim(
      "From outside, SIGKILL ends PID 1, and with it all inside.",
      end == "killed by SIGKILL" && gone.Value("errno") == "ESRCH");
  lesson.Keep(std::move(child));
}

}  // namespace
}  // namespace steps

int main(int argc, char** argv) {
  return steps::RunLesson(
      argc, argv,
      {.name = "pid",
       .title = "PID namespace: process numbers of one's own",
       .man_page = "pid_namespaces(7)"},
      steps::Teach);
}
