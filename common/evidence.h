#ifndef COMMON_EVIDENCE_H_
#define COMMON_EVIDENCE_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace steps {

/// One fact, and who said it.
struct Finding {
  std::string probe;   // What was asked: "hostname".
  std::string value;   // The answer, as it came; it may have several lines.
  std::string source;  // Who was asked: "uname(2)", "$ hostname", "/proc/…".
};

/// What one side found at one moment, in the order in which it asked. Several
/// sources may answer the same probe; the one that decides stands first.
class Evidence {
 public:
  Evidence() = default;
  Evidence(std::initializer_list<Finding> findings) : findings_(findings) {}
  explicit Evidence(std::vector<Finding> findings)
      : findings_(std::move(findings)) {}

  const std::vector<Finding>& findings() const { return findings_; }

  /// The first answer to `probe`. Throws std::out_of_range when nobody asked.
  const std::string& Value(std::string_view probe) const;

  /// Whether every source answers `probe` with `value`. Throws as Value.
  bool AllSay(std::string_view probe, std::string_view value) const;

 private:
  std::vector<Finding> findings_;
};

// Probes. Each reads one fact and prints nothing.

/// What the file at `path` holds, without the last newline. Throws CallError.
Finding FromFile(std::string probe, const std::string& path);

/// What the line `field` says in the file at `path`, such as /proc/meminfo or a
/// /proc/PID/status: of "NSpid:\t4711\t1" it is "4711 1". Throws CallError, and
/// std::out_of_range when there is no such line.
Finding FromField(std::string field, const std::string& path);

/// Where the link at `path` leads. Throws CallError. readlink(2).
Finding FromLink(std::string probe, const std::string& path);

/// Where the links of the process `pid`, or "self", lead: one for each kind of
/// namespace that this kernel has. Throws CallError. namespaces(7).
Evidence FromLinks(const std::string& pid);

/// Where the link at `path`, /proc/PID/ns/pid_for_children, leads, or "ENOENT"
/// before the first child is there. Throws CallError. namespaces(7).
Finding FromLinkForChildren(std::string probe, const std::string& path);

/// The names in the folder at `path`, sorted, with spaces between them. Throws
/// std::filesystem::filesystem_error.
Finding FromFolder(std::string probe, const std::string& path);

/// The user namespace that owns the namespace at `path`, "user:[4026531837]",
/// or "EPERM": the kernel names an owner to its members and to its ancestors'.
/// Throws CallError. ioctl_ns(2).
Finding FromOwner(std::string probe, const std::string& path);

/// What the tool `argv` prints; when it is not installed or fails, what was
/// found `instead` for the same probe, and its source says so. Throws CallError
/// when it cannot be run.
Finding FromTool(const std::vector<std::string>& argv, Finding instead);

/// A table that a tool has printed, as far as a screen of 80 columns has room
/// for it: 66 columns of each line, no empty line, no blanks at an end.
Finding Cut(Finding table);

}  // namespace steps

#endif  // COMMON_EVIDENCE_H_
