// An independent witness: the calls that a lesson shows are those that the
// kernel saw, as strace(1) tells, with the same arguments and results.

#include <cctype>
#include <iterator>

#include "tests/support/lessons.h"

namespace steps {
namespace {

// A call: its name, its arguments in pieces, what it returned.
struct Seen {
  std::string text;
  std::string name;
  std::multiset<std::string> pieces;  // Of "A | B, \"c\"": A, B and "c".
  std::string result;                 // "0", or "-1 EPERM".
};

Seen Parse(const std::string& text, const std::string& arguments,
           const std::string& result) {
  Seen seen = {text, text.substr(0, text.find('(')), {}, result};
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

std::string Replace(
    std::string text,
    const std::vector<std::pair<std::string, std::string>>& replacements) {
  for (const auto& [regex, stands] : replacements) {
    text = std::regex_replace(text, std::regex(regex), stands);
  }
  return text;
}

// A call that a lesson shows, as the C library makes it.
Seen Parse(const json& call) {
  const std::string text = call["call"];
  std::string result = call["result"].dump();
  if (call.contains("errno")) result += " " + call["errno"].get<std::string>();
  const std::string made = Replace(
      text, {{"^accept\\(", "accept4("},
             {"^fork\\(", "clone("},
             {"^open\\(", "openat("},
             {"^send\\(", "sendto("},
             {"^umount\\(", "umount2("},
             {"^waitpid\\(", "wait4("},
             // The slash, the function and its argument stay in the C library.
             {"^mq_open\\(\"/", "mq_open(\""},
             {"^clone\\(Child, top, (.*), NULL", "clone($1"},
             // To clone(2) that flag is a part of the signal.
             {"^clone\\(CLONE_NEWTIME \\| SIGCHLD",
              fmt::format("clone({}", CLONE_NEWTIME | SIGCHLD)},
             // These are numbers in the message.
             {"^(sendto\\([0-9]+, RTM_.*), [0-9]+", "$1"}});
  Seen seen = Parse(made, made.substr(made.find('(')), result);
  seen.text = text;
  return seen;
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
      const std::string arguments = Replace(
          DecodeNetlink(line.substr(begin, end - begin)), {{"@\"", "\"@"}});
      // "-1 EPERM" of "-1 EPERM (Operation not permitted)".
      const std::string result =
          Matches(line.substr(end), " = (\\S+( E[A-Z]+)?)").at(0);
      calls.push_back(Parse(line, arguments, result));
    }
  }
  return calls;
}

// Of the flags nothing may be left out, but for those that fork(3) adds; of
// other arguments it may.
bool Agree(const Seen& shown, const Seen& witnessed) {
  std::vector<std::string> left_out;
  std::ranges::set_difference(witnessed.pieces, shown.pieces,
                              std::back_inserter(left_out));
  return shown.name == witnessed.name && shown.result == witnessed.result &&
         std::ranges::includes(witnessed.pieces, shown.pieces) &&
         std::ranges::none_of(left_out, [](const std::string& piece) {
           return piece.starts_with("MS_") ||
                  (piece.starts_with("CLONE_") &&
                   !piece.starts_with("CLONE_CHILD_"));
         });
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
  const Descriptor lesson = Open(program(), O_PATH);
  const Result result =
      RunCommand({.program = FindProgram("strace"),
                  .arguments = {"-ff", "-qq", "-s4096", "-esignal=none",
                                "-ocalls", "/proc/self/fd/9", "--json"},
                  .as_nobody = as_nobody(),
                  .before = [&] {
                    MUST(dup2, lesson.get(), 9);
                    MUST(chdir, directory.path().c_str());
                  }});
  ASSERT_EQ(DescribeStatus(result.status), "exit status 0") << result.errors;

  const json run = json::parse(result.output);
  EXPECT_FALSE(run["calls"].empty());
  std::vector<Seen> witnessed = Witnessed(directory.path());
  for (const json& shown : run["calls"]) {
    const Seen call = Parse(shown);
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
