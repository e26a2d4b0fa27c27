#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "common/show/show.h"

namespace steps {

Renderer MakeCastRenderer() {
  return [text_of = MakeTextRenderer(true),
          time = 0.0](const Event& event) mutable {
    using Json = nlohmann::ordered_json;
    const auto entry = [&time](const char* kind, const std::string& data) {
      return fmt::format("[{:.3f}, \"{}\", {}]\n", time, kind,
                         Json(data).dump());
    };
    std::string cast;
    std::string text = text_of(event);
    if (const auto* opening = std::get_if<Opening>(&event)) {
      const Json header = {{"version", 2},
                           {"width", 80},
                           {"height", 24},
                           {"title", opening->title},
                           {"env", {{"TERM", "xterm-256color"}}}};
      cast = header.dump() + "\n";
    } else if (const auto* step = std::get_if<Step>(&event)) {
      time += 3;  // Seconds, to read what stands above.
      cast = entry("m", fmt::format("{}. {}", step->number, step->title));
    } else if (const auto* verdict = std::get_if<Verdict>(&event)) {
      // A terminal shows what goes to stderr, too.
      if (!verdict->error.empty()) text += Report(*verdict);
    }
    // Each line at its time, and ended as by a terminal's driver.
    for (const std::string_view line : Lines(text)) {
      cast += entry("o", fmt::format("{}\r\n", line));
      time += 0.15;
    }
    return cast;
  };
}

}  // namespace steps
