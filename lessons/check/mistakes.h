#ifndef LESSONS_CHECK_MISTAKES_H_
#define LESSONS_CHECK_MISTAKES_H_

#include <optional>
#include <string>
#include <vector>

#include "lessons/check/xray.h"

namespace steps {

/// A mistake that the evidence proves.
struct Mistake {
  std::string id;      // "host-renamed"
  std::string text;    // What happened, in a sentence or two.
  std::string mend;    // What to do instead.
  std::string man;     // "uts_namespaces(7): …", a line of that page.
  std::string lesson;  // "uts"
};

/// What one kind of evidence proves, if anything.
using Found = std::optional<Mistake>;

/// Those of the program, the gravest first.
std::vector<Mistake> FindMistakes(const XRay& xray);

}  // namespace steps

#endif  // LESSONS_CHECK_MISTAKES_H_
