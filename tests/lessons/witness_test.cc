// An independent witness: the calls that a lesson shows are those that the
// kernel saw, as strace(1) tells, with the same arguments and results.

#include <cctype>

#include "tests/support/lessons.h"

namespace steps {
namespace {

// A call: its name, its arguments in pieces, what it returned.
struct Seen {
  std::string text;
  std::string name;
  std::multiset<std::string> pieces;  // Of "A | B, \"c\"": A, B and "c".
  std::string result;                 // "0", or "-1 EPERM".
  bool own_flags = false;             // Whether the C library adds the flags.

  // Of the flags nothing may be left out; of other arguments it may.
  std::set<std::string> Flags() const {
    std::set<std::string> flags;
    for (const std::string& piece : pieces) {
      if (piece.starts_with("CLONE_") || piece.starts_with("MS_")) {
        flags.insert(piece);
      }
    }
    return flags;
  }
};

Seen Parse(const std::string& text, const std::string& arguments,
           const std::string& result) {
  Seen seen = {text, text.substr(0, text.find('(')), {}, result, false};
  for (std::string piece :
       Matches(arguments, R"re(("(?:[^"\\]|\\.)*"|[^\s,|={}()"]+))re")) {
    // Where the kernel writes: strace(1) has what it wrote.
    if (piece.starts_with("&")) continue;
    if (piece.starts_with("0x") ||
        piece.find_first_not_of('0') == std::string::npos) {
      piece = std::to_string(std::stoull(piece, nullptr, 0));
    }
    seen.pieces.insert(piece);
  }
  return seen;
}

// What the lesson shows.
std::vector<Seen> Shown(const json& run) {
  std::vector<Seen> calls;
  for (const json& call : run["calls"]) {
    const std::string text = call["call"];
    std::string result = call["result"].dump();
    if (call.contains("errno"))
      result += " " + call["errno"].get<std::string>();
    calls.push_back(Parse(text, text.substr(text.find('(')), result));
    // As the C library makes them.
    static const std::map<std::string, std::string> kKernels = {
        {"accept", "accept4"}, {"fork", "clone"},     {"open", "openat"},
        {"send", "sendto"},    {"umount", "umount2"}, {"waitpid", "wait4"}};
    Seen& seen = calls.back();
    const auto kernels = kKernels.find(seen.name);
    if (kernels != kKernels.end()) seen.name = kernels->second;
    // Its function and its argument stay in the C library.
    seen.own_flags = text.starts_with("fork(");
    if (seen.name == "clone") {
      std::erase_if(seen.pieces, [](const std::string& piece) {
        return std::isupper(static_cast<unsigned char>(piece[0])) == 0 ||
               piece == "Child" || piece == "NULL";
      });
      // To clone(2) that flag is a part of the signal.
      if (seen.pieces.erase("CLONE_NEWTIME") > 0) {
        seen.pieces.erase("SIGCHLD");
        seen.pieces.insert(std::to_string(CLONE_NEWTIME | SIGCHLD));
      }
    }
    // The PID for the other end is a number in the message.
    if (text.starts_with("send(")) {
      std::erase_if(seen.pieces, [](const std::string& piece) {
        return piece.find_first_not_of("0123456789") == std::string::npos;
      });
    }
    // The C library keeps the slash.
    if (seen.name == "mq_open") {
      const std::string slash =
          text.substr(text.find('"'),
                      text.find('"', text.find('"') + 1) - text.find('"') + 1);
      seen.pieces.erase(slash);
      seen.pieces.insert("\"" + slash.substr(2));
    }
  }
  return calls;
}

// In a network namespace that is not its own, strace(1) does not know a netlink
// socket, and shows a message as bytes: here they are its type, RTM_NEWLINK,
// and every name in it.
std::string DecodeNetlink(std::string line) {
  const std::string type = "nlmsg_type=0x10 ";
  if (line.find(type) == std::string::npos) return line;
  static const std::regex kByte("\\\\x([0-9a-f]{2})");
  for (std::smatch byte; std::regex_search(line, byte, kByte);) {
    const auto value = static_cast<char>(std::stoi(byte[1], nullptr, 16));
    line.replace(byte.position(), 4,
                 std::isalnum(value) != 0 ? std::string(1, value) : "\" \"");
  }
  return line.replace(line.find(type), type.size(), "nlmsg_type=RTM_NEWLINK ");
}

// What strace saw: a file for each process, a line for each call.
std::vector<Seen> Witnessed(const fs::path& directory) {
  std::vector<Seen> calls;
  for (const auto& file : fs::directory_iterator(directory)) {
    for (const std::string& line : LinesOf(ReadFile(file.path()))) {
      const std::size_t begin = line.find('(');
      const std::size_t end = line.rfind(" = ");
      if (begin >= end || end == std::string::npos) continue;
      // An abstract name as the lesson writes it: "@name" instead of @"name".
      const std::string arguments =
          std::regex_replace(DecodeNetlink(line.substr(begin, end - begin)),
                             std::regex("@\""), "\"@");
      // "-1 EPERM" of "-1 EPERM (Operation not permitted)".
      const std::string result =
          Matches(line.substr(end), " = (\\S+( E[A-Z]+)?)").at(0);
      calls.push_back(Parse(line, arguments, result));
    }
  }
  return calls;
}

bool Agree(const Seen& shown, const Seen& witnessed) {
  return shown.name == witnessed.name && shown.result == witnessed.result &&
         (shown.own_flags || shown.Flags() == witnessed.Flags()) &&
         std::ranges::includes(witnessed.pieces, shown.pieces);
}

class WitnessTest : public LessonTest {};

INSTANTIATE_TEST_SUITE_P(Of, WitnessTest, ValuesIn(ForBothUsers(LessonNames())),
                         LessonName);

TEST_P(WitnessTest, KernelSawTheCallsThatTheLessonShows) {
  if (IsMissing(RunTool({"strace", "--version"}))) {
    GTEST_SKIP() << "strace is not installed";
  }
  const TemporaryDirectory directory;
  fs::permissions(directory.path(), fs::perms(0777));
  // Nobody may not walk to the lesson.
  const Descriptor program = Open(Lesson().program, O_PATH);
  const Result result = RunCommand({.function = [&] {
    const std::string path =
        fmt::format("/proc/self/fd/{}", dup(program.get()));
    MUST(chdir, directory.path().c_str());
    if (as_nobody() && IsRoot()) BecomeNobody();
    return execlp("strace", "strace", "-ff", "-qq", "-s4096", "-esignal=none",
                  "-ocalls", path.c_str(), "--json", nullptr);
  }});
  ASSERT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;

  const std::vector<Seen> shown = Shown(json::parse(result.output));
  std::vector<Seen> witnessed = Witnessed(directory.path());
  EXPECT_FALSE(shown.empty());
  for (const Seen& call : shown) {
    const auto match = std::ranges::find_if(
        witnessed, [&](const Seen& other) { return Agree(call, other); });
    if (match != witnessed.end()) {
      witnessed.erase(match);
      continue;
    }
    std::string alike;
    for (const Seen& other : witnessed) {
      if (other.name == call.name) alike += "\n  " + other.text;
    }
    ADD_FAILURE() << call.text << " = " << call.result
                  << "\nThe kernel saw:" << alike;
  }
}

}  // namespace
}  // namespace steps
