#include "common/kernel/call.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>

#include "common/kernel/namespaces.h"

namespace steps {

static std::function<void(const Call&)> observe = [](const Call&) {};

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : name;
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal)
                         : fmt::format("SIG{}", name);
}

CallError::CallError(Call call)
    : std::runtime_error(fmt::format("{}: {} ({})", call.text,
                                     strerror(call.error),
                                     ErrnoName(call.error))),
      call_(std::move(call)) {}

std::optional<CallError> AsCallError(const std::exception& error) {
  if (const auto* call = dynamic_cast<const CallError*>(&error)) return *call;
  using FileError = std::filesystem::filesystem_error;
  if (const auto* file = dynamic_cast<const FileError*>(&error)) {
    return CallError(file->code().value(),
                     fmt::format("open({})", ShowText(file->path1().native())));
  }
  if (const auto* thread = dynamic_cast<const std::system_error*>(&error)) {
    return CallError(thread->code().value(), "pthread_create()");
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return CallError(ENOMEM, "malloc()");
  }
  return std::nullopt;
}

void ObserveCalls(std::function<void(const Call&)> observer) {
  observe = std::move(observer);
}

void TellCall(const Call& call) { observe(call); }

long Check(long result, const char* call,
           std::initializer_list<std::string_view> texts) {
  const int error = errno;
  if (result != -1) return result;
  std::vector<std::string> arguments;
  for (const std::string_view text : texts) arguments.push_back(ShowText(text));
  throw CallError(error,
                  fmt::format("{}({})", call, fmt::join(arguments, ", ")));
}

// It ends at a comma that is in no brackets and no quotes, with a space behind.
std::string_view TakeArgument(std::string_view& sources) {
  int depth = 0;
  bool quoted = false;
  std::size_t end = 0;
  for (; end < sources.size(); ++end) {
    const char c = sources[end];
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (c == ',' && depth == 0) break;
  }
  const std::string_view argument = sources.substr(0, end);
  sources.remove_prefix(std::min(end + 2, sources.size()));
  return argument;
}

std::string ShowText(std::string_view text) {
  return fmt::format("{:?}", text);
}

std::string ShowNumber(std::string_view source, long number) {
  // A number, or flags by their names, read by themselves: "MS_REC | 0x10".
  constexpr const char* kSmall = "abcdefghijklmnopqrstuvwyz";  // But for x.
  const bool is_itself = source.find_first_of(kSmall) == std::string::npos;
  if (is_itself) return std::string(source);
  const bool is_flags = source.find("CLONE_") != std::string::npos ||
                        source.find("flag") != std::string::npos;
  return is_flags ? CloneFlags(static_cast<int>(number))
                  : fmt::to_string(number);
}

void EndCall(CallMode mode, const char* name,
             const std::vector<std::string>& arguments, long result, int error,
             Place place) {
  const Call call = {fmt::format("{}({})", name, fmt::join(arguments, ", ")),
                     result, error, place};
  if (mode != CallMode::kQuiet) TellCall(call);
  if (mode != CallMode::kErrno && error != 0) throw CallError(call);
}

}  // namespace steps
