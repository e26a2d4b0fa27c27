#include "lessons/tour/visit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "common/kernel/descriptor.h"
#include "common/kernel/process.h"
#include "common/program/command_line.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

void GoOutOfSight() {
  const Descriptor nowhere = Open("/dev/null", O_WRONLY);
  MUST(dup2, nowhere.get(), STDOUT_FILENO);
  MUST(dup2, nowhere.get(), STDERR_FILENO);
}

// The child that becomes the program. Where it cannot, it sends the errno;
// it dies with this process.
pid_t Start(const std::vector<std::string>& argv, bool seen,
            const Descriptor& errors) {
  const pid_t pid = MUST(fork);
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGINT, SIG_DFL);
  int error = 0;
  try {
    if (!seen) GoOutOfSight();
    execv(argv[0].c_str(), ExecArguments(argv).data());
    error = errno;
  } catch (const CallError& refused) {
    error = refused.error();
  }
  [[maybe_unused]] const ssize_t sent =
      write(errors.get(), &error, sizeof error);
  _exit(EXIT_FAILURE);
}

// While it lives, what is typed on the terminal is for the lesson that is
// seen there: Ctrl-C ends that one, as with system(3).
class KeysForTheLesson {
 public:
  explicit KeysForTheLesson(bool seen) : seen_(seen) {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    if (seen_) MUST(sigaction, SIGINT, &ignore, &before_);
  }
  KeysForTheLesson(const KeysForTheLesson&) = delete;
  KeysForTheLesson& operator=(const KeysForTheLesson&) = delete;
  ~KeysForTheLesson() {
    if (seen_) sigaction(SIGINT, &before_, nullptr);
  }

 private:
  bool seen_;
  struct sigaction before_ = {};
};

int Await(pid_t pid) {
  int status = 0;
  MUST(waitpid, pid, &status, 0);
  return status;
}

// The lesson writes its document to a file beside the screen.
Visit Take(const std::string& lesson, std::vector<std::string> argv,
           bool seen) {
  const auto start = std::chrono::steady_clock::now();
  const Descriptor document(MUST(memfd_create, "document", 0));
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / lesson;
  argv.insert(argv.begin(), program);
  argv.insert(argv.end(),
              {"--save", fmt::format("/proc/self/fd/{}", document.get())});
  std::array<int, 2> ends = {};
  MUST(pipe2, ends.data(), O_CLOEXEC);
  const Descriptor error_of_exec(ends[0]);
  Descriptor errors(ends[1]);
  Visit visit;
  try {
    const KeysForTheLesson keys(seen);
    const pid_t pid = Start(argv, seen, errors);
    errors.Close();
    int error = 0;
    const bool failed =
        read(error_of_exec.get(), &error, sizeof error) == sizeof error;
    const int status = Await(pid);
    if (failed) {
      throw CallError(error, fmt::format("execv(\"{}\")", program));
    }
    // Nobody reads any more: to go on would be to no purpose.
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) raise(SIGPIPE);
    visit.exit_status = ExitStatus(status);
  } catch (const CallError& error) {
    visit.error = error;
    visit.exit_status = kFailed;
  }
  MUST(lseek, document.get(), 0, SEEK_SET);
  visit.document =
      ordered_json::parse(ReadAll(document.get()), nullptr, false);
  visit.time = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  return visit;
}

}  // namespace

std::string Visit::Text(const char* member) const {
  return HasDocument() ? document.value(member, "") : "";
}

Visit Take(const std::string& lesson, std::vector<std::string> arguments) {
  return Take(lesson, std::move(arguments), true);
}

Visit TakeUnseen(const std::string& lesson) {
  return Take(lesson, {}, false);
}

std::string Summary(const Visit& visit) {
  if (visit.exit_status == kCannotRun) return "cannot run here";
  if (!visit.HasDocument() || visit.document.contains("error")) {
    return fmt::format("failed with {}", visit.exit_status);
  }
  int held = 0;
  int skipped = 0;
  for (const ordered_json& claim : visit.document["claims"]) {
    if (claim["holds"].is_null()) {
      ++skipped;
    } else if (claim["holds"].get<bool>()) {
      ++held;
    }
  }
  const std::size_t tried = visit.document["claims"].size() - skipped;
  return fmt::format("{} of {}", held, tried) +
         (skipped == 0 ? "" : fmt::format(", {} skipped", skipped));
}

}  // namespace steps
