#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

constexpr double kLine = 0.15;  // Seconds from one line to the next.
constexpr double kRest = 3;     // To read what stands above a step.

class CastRenderer {
 public:
  std::string operator()(const Event& event) {
    std::string cast;
    if (const auto* opening = std::get_if<Opening>(&event)) {
      lesson_ = opening->lesson;
      cast = ordered_json({{"version", 2},
                           {"width", 80},
                           {"height", 24},
                           {"title", opening->title},
                           {"env", {{"TERM", "xterm-256color"}}}})
                 .dump() +
             "\n";
    } else if (const auto* step = std::get_if<Step>(&event)) {
      time_ += kRest;
      cast = Entry("m", fmt::format("{}. {}", step->number, step->title));
    }
    std::string text = text_(event);
    const auto* verdict = std::get_if<Verdict>(&event);
    // A terminal shows what goes to stderr, too.
    if (verdict != nullptr && !verdict->error.empty()) {
      text += Report(lesson_, *verdict);
    }
    // Each line at its time, and ended as by a terminal's driver.
    for (const std::string_view line : Lines(text)) {
      cast += Entry("o", fmt::format("{}\r\n", line));
      time_ += kLine;
    }
    return cast;
  }

 private:
  std::string Entry(std::string_view kind, const std::string& data) const {
    return fmt::format("[{:.3f}, \"{}\", {}]\n", time_, kind,
                       ordered_json(data).dump());
  }

  Renderer text_ = MakeTextRenderer(true);
  std::string lesson_;
  double time_ = 0;
};

}  // namespace

Renderer MakeCastRenderer() { return CastRenderer(); }

}  // namespace steps
