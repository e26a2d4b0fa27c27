#ifndef COMMON_KERNEL_PROBE_H_
#define COMMON_KERNEL_PROBE_H_

#include <sys/types.h>
#include <sys/utsname.h>

#include <concepts>
#include <stdexcept>
#include <string>
#include <vector>

namespace steps {

/// A fact to look at, and how it is read:
///
///     const Probe kHostname{"hostname", "uname(2)", [] { return … }};
///
/// Process::Ask has a process read it. `read` returns text or a number; what it
/// captures travels to that process as bytes: numbers and addresses of
/// literals.
template <std::invocable Read>
struct Probe {
  std::string label;
  std::string source;
  Read read;
};
template <typename Read>
Probe(std::string, std::string, Read) -> Probe<Read>;

/// A value as a probe gives it.
inline std::string TextOf(std::string text) { return text; }
inline std::string TextOf(std::integral auto number) {
  return std::to_string(number);
}

/// What a process read, and where.
struct Finding {
  std::string label;   // "hostname"
  std::string value;   // It may have several lines.
  std::string source;  // "uname(2)"

  bool operator==(const Finding&) const = default;
};

/// What one process saw at one moment, by probe: `before[kHostname]`.
struct Evidence {
  std::vector<Finding> findings;  // In the order in which they were read.

  /// Throws std::out_of_range for a probe that was not asked.
  template <typename Read>
  const std::string& operator[](const Probe<Read>& probe) const {
    for (const Finding& finding : findings) {
      if (finding.label == probe.label) return finding.value;
    }
    throw std::out_of_range("a probe not asked");
  }

  bool operator==(const Evidence&) const = default;
};

/// The path of a file about a process: "/proc/4711/ns/uts". proc(5).
std::string ProcPath(pid_t pid, const std::string& file);

// Readers for probes. Each throws CallError.

/// The contents of a file, without the last newline.
std::string ReadText(const std::string& path);

/// The target of a symbolic link. readlink(2).
std::string ReadLink(const std::string& path);

/// A field of a file such as /proc/self/status: of "NSpid:\t4711\t1" it is
/// "4711 1". Throws std::out_of_range where there is no such field.
std::string ReadField(const std::string& path, const std::string& field);

/// The first word of each line of a table but its heading, as of
/// /proc/sysvipc/msg: "1 2", or "none".
std::string ReadColumn(const std::string& path);

/// The names of this machine, as this process sees them. uname(2).
utsname Uname();

/// Probes for what a file holds, for a field of it, and for where a symbolic
/// link leads.
inline auto FileProbe(const char* label, const char* path) {
  return Probe{label, path, [path] { return ReadText(path); }};
}
inline auto FieldProbe(const char* label, const char* path, const char* field) {
  return Probe{label, std::string(field) + " in " + path,
               [path, field] { return ReadField(path, field); }};
}
inline auto LinkProbe(const char* label, const char* path) {
  return Probe{label, path, [path] { return ReadLink(path); }};
}

/// A probe for a field of /proc/PID/status: its label is the field's name.
inline auto StatusOf(pid_t pid, const char* field) {
  return Probe{field, ProcPath(pid, "status"),
               [=] { return ReadField(ProcPath(pid, "status"), field); }};
}

/// The output of a tool, without the last newline and with none of its
/// complaints; where there is none, "(ps is not installed)" or "(ps failed)",
/// which IsMissing knows. The tool sees an English locale and no input, and
/// ends with the caller. execvp(3).
std::string RunTool(const std::vector<std::string>& argv);
bool IsMissing(const std::string& output);

/// What is left of the table that a tool printed: no empty line, and of each
/// line `columns`.
std::string TrimTable(const std::string& table, std::size_t columns);

/// Where execvp(3) finds the program; "" where there is none in PATH.
std::string FindProgram(const std::string& name);

/// A tool as a source: "hostname(1)", or "no hostname(1)" where it is not
/// installed.
std::string ToolSource(const std::string& tool);

/// The value on which several sources agree, or "a / b" where they do not. A
/// tool that is missing is left out.
std::string Agreed(const std::vector<std::string>& values);

}  // namespace steps

#endif  // COMMON_KERNEL_PROBE_H_
