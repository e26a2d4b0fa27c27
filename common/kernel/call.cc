#include "common/kernel/call.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <new>
#include <system_error>
#include <vector>

#include "common/kernel/namespaces.h"

#ifndef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 0
#endif

namespace steps {
namespace {

#if !__GLIBC_PREREQ(2, 32)
// What musl and older versions of glibc lack, for what a lesson may meet.

const char* NameIn(const std::map<int, const char*>& names, int number) {
  const auto name = names.find(number);
  return name == names.end() ? nullptr : name->second;
}

#define NAMED(error) \
  { error, #error }
const char* strerrorname_np(int error) {
  static const std::map<int, const char*> names = {
      {0, "0"},           NAMED(E2BIG),        NAMED(EACCES),
      NAMED(EAGAIN),      NAMED(EBADF),        NAMED(EBUSY),
      NAMED(ECHILD),      NAMED(ECONNREFUSED), NAMED(EEXIST),
      NAMED(EINTR),       NAMED(EINVAL),       NAMED(EIO),
      NAMED(EISDIR),      NAMED(ELOOP),        NAMED(EMFILE),
      NAMED(ENETUNREACH), NAMED(ENFILE),       NAMED(ENODEV),
      NAMED(ENOENT),      NAMED(ENOEXEC),      NAMED(ENOMEM),
      NAMED(ENOSPC),      NAMED(ENOSYS),       NAMED(ENOTDIR),
      NAMED(ENOTEMPTY),   NAMED(ENXIO),        NAMED(EOPNOTSUPP),
      NAMED(EOVERFLOW),   NAMED(EPERM),        NAMED(EPIPE),
      NAMED(ERANGE),      NAMED(EROFS),        NAMED(ESRCH),
      NAMED(ETIMEDOUT),   NAMED(EUSERS),       NAMED(EXDEV)};
  return NameIn(names, error);
}
#undef NAMED

#define NAMED(name) \
  { SIG##name, #name }
const char* sigabbrev_np(int signal) {
  static const std::map<int, const char*> names = {
      NAMED(ABRT), NAMED(ALRM), NAMED(BUS),   NAMED(CHLD), NAMED(CONT),
      NAMED(FPE),  NAMED(HUP),  NAMED(ILL),   NAMED(INT),  NAMED(KILL),
      NAMED(PIPE), NAMED(QUIT), NAMED(SEGV),  NAMED(STOP), NAMED(SYS),
      NAMED(TERM), NAMED(TRAP), NAMED(TSTP),  NAMED(TTIN), NAMED(TTOU),
      NAMED(USR1), NAMED(USR2), NAMED(WINCH), NAMED(XCPU)};
  return NameIn(names, signal);
}
#undef NAMED
#endif

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
