#include "common/kernel/call.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>
#include <vector>

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

// Takes from `texts` the first argument: what stands before a comma that is in
// no brackets and no quotes.
std::string TakeArgument(std::string_view& texts) {
  int depth = 0;
  bool quoted = false;
  std::size_t end = 0;
  for (; end < texts.size(); ++end) {
    const char c = texts[end];
    if (c == '"' && (end == 0 || texts[end - 1] != '\\')) quoted = !quoted;
    if (quoted) continue;
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ',' && depth == 0) break;
  }
  std::string argument(texts.substr(0, end));
  texts.remove_prefix(
      std::min(texts.find_first_not_of(", \n", end), texts.size()));
  return argument;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return quoted + "\"";
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

std::optional<CallError> AsCallError(const std::exception& error) {
  if (const auto* call = dynamic_cast<const CallError*>(&error)) return *call;
  if (const auto* file =
          dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    return CallError(file->code().value(),
                     fmt::format("open(\"{}\")", file->path1().native()));
  }
  if (const auto* thread = dynamic_cast<const std::system_error*>(&error)) {
    return CallError(thread->code().value(), "pthread_create()");
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return CallError(ENOMEM, "malloc()");
  }
  return std::nullopt;
}

void ObserveCalls(CallObserver observer) { Observer() = std::move(observer); }

void TellCall(const Call& call) { Observer()(call); }

Call DescribeCall(const char* name, std::string_view texts,
                  std::initializer_list<Argument> arguments) {
  Call call;
  const bool moves =
      std::string_view("unshare setns").find(name) != std::string_view::npos;
  std::vector<std::string> shown;
  for (const Argument& argument : arguments) {
    const std::string source = TakeArgument(texts);
    if (const auto* text = std::get_if<std::string>(&argument)) {
      shown.push_back(Quoted(*text));
    } else if (const auto* number = std::get_if<long>(&argument)) {
      const bool is_flags = source.find("CLONE_") != std::string::npos ||
                            (moves && source.find("flag") != std::string::npos);
      const int flags = is_flags ? static_cast<int>(*number) : 0;
      call.namespaces |= flags & AllFlags();
      shown.push_back(ReadsByItself(source) ? source
                      : is_flags            ? CloneFlags(flags)
                                            : fmt::to_string(*number));
    } else {
      const bool null = std::holds_alternative<std::nullptr_t>(argument);
      shown.push_back(null ? "NULL" : source);
    }
  }
  call.text = fmt::format("{}({})", name, fmt::join(shown, ", "));
  return call;
}

}  // namespace steps
