#ifndef COMMON_RENDERER_H_
#define COMMON_RENDERER_H_

#include <memory>
#include <stdexcept>
#include <string_view>

#include "common/event.h"

namespace steps {

/// The output could not be written: a full disk, a closed pipe.
class OutputError : public std::runtime_error {
 public:
  explicit OutputError(int error);
  int error() const { return error_; }

 private:
  int error_;
};

/// Turns the events of one lesson into output on a descriptor. Render throws
/// OutputError.
class Renderer {
 public:
  virtual ~Renderer() = default;
  virtual void Render(const Event& event) = 0;
};

/// For people: at most 80 columns, each event written as it comes.
std::unique_ptr<Renderer> MakeTextRenderer(int fd, bool color);

/// For programs: one JSON document, written with the verdict. Its schema is
/// docs/lesson.schema.json. Bytes that are not UTF-8 become U+FFFD.
std::unique_ptr<Renderer> MakeJsonRenderer(int fd);

/// Writes all of `text`. Throws OutputError.
void WriteOutput(int fd, std::string_view text);

}  // namespace steps

#endif  // COMMON_RENDERER_H_
