#include "common/kernel/call.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "common/kernel/namespaces.h"

namespace steps {
namespace {

CallObserver& Observer() {
  static CallObserver observer = [](const Call&) {};
  return observer;
}

// Whether this is a number, or flags by their names: "MS_REC | MS_PRIVATE".
bool ReadsByItself(std::string_view text) {
  return std::ranges::none_of(
      text, [](unsigned char c) { return std::islower(c) != 0 && c != 'x'; });
}

// What stands before the next comma that is in no brackets and no quotes.
std::string_view FirstArgument(std::string_view texts) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const char c = texts[i];
    if (c == '"' && (i == 0 || texts[i - 1] != '\\')) quoted = !quoted;
    if (quoted) continue;
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ',' && depth == 0) return texts.substr(0, i);
  }
  return texts;
}

std::string NameOf(const std::string& text) {
  return text.substr(0, text.find('('));
}

}  // namespace

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : name;
}

CallError::CallError(Call call)
    : std::runtime_error(fmt::format("{}: {} ({})", call.text,
                                     strerror(call.error),
                                     ErrnoName(call.error))),
      call_(std::move(call)) {}

CallError::CallError(int error, const std::string& text,
                     std::vector<std::string> strings)
    : CallError(Call{.name = NameOf(text),
                     .text = text,
                     .strings = std::move(strings),
                     .result = -1,
                     .error = error}) {}

void ObserveCalls(CallObserver observer) { Observer() = std::move(observer); }

void TellCall(const Call& call) { Observer()(call); }

std::string CallWriter::NextText() const {
  return std::string(FirstArgument(texts_));
}

void CallWriter::AddShown(std::string_view shown) {
  if (!call_.text.ends_with('(')) call_.text += ", ";
  call_.text += shown;
  texts_.remove_prefix(FirstArgument(texts_).size());
  texts_.remove_prefix(
      std::min(texts_.find_first_not_of(", \n"), texts_.size()));
}

void CallWriter::Add(const char* value) {
  if (value == nullptr) return AddShown("NULL");
  call_.strings.emplace_back(value);
  std::string quoted = "\"";
  for (const char* c = value; *c != '\0'; ++c) {
    quoted += *c == '\n' ? std::string("\\n") : std::string(1, *c);
  }
  AddShown(quoted + "\"");
}

void CallWriter::AddNumber(long value) {
  call_.numbers.push_back(value);
  const std::string text = NextText();
  const bool moves = call_.name == "unshare" || call_.name == "setns";
  const bool is_flags = text.find("CLONE_") != std::string::npos ||
                        (moves && text.find("flag") != std::string::npos);
  if (is_flags) call_.namespaces |= static_cast<int>(value) & AllFlags();
  if (ReadsByItself(text)) {
    AddShown(text);
  } else {
    AddShown(is_flags ? CloneFlags(static_cast<int>(value))
                      : fmt::to_string(value));
  }
}

Call CallWriter::Done(long result, int error) {
  call_.text += ")";
  call_.result = result;
  call_.error = error;
  return std::move(call_);
}

}  // namespace steps
