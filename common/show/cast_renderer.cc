#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/show/printable.h"
#include "common/show/renderer.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

constexpr double kLine = 0.15;  // Seconds from one line to the next.
constexpr double kRest = 3;     // To read what stands above a step.

class CastRenderer : public Renderer {
 public:
  explicit CastRenderer(Write write)
      : write_(std::move(write)),
        text_(MakeTextRenderer([this](std::string_view text) { Show(text); },
                               true)) {}

  void Render(const Event& event) override {
    if (const auto* opening = std::get_if<Opening>(&event)) {
      lesson_ = opening->lesson;
      write_(ordered_json({{"version", 2},
                           {"width", 80},
                           {"height", 24},
                           {"title", opening->title},
                           {"env", {{"TERM", "xterm-256color"}}}})
                 .dump() +
             "\n");
    } else if (const auto* step = std::get_if<Step>(&event)) {
      time_ += kRest;
      Add("m", fmt::format("{}. {}", step->number, step->title));
    }
    text_->Render(event);
    const auto* verdict = std::get_if<Verdict>(&event);
    // A terminal shows what goes to stderr, too.
    if (verdict != nullptr && !verdict->error.empty()) {
      Show(Report(lesson_, *verdict));
    }
  }

 private:
  // Each line at its time, and ended as by a terminal's driver.
  void Show(std::string_view text) {
    for (const std::string_view line : Lines(text)) {
      Add("o", std::string(line.substr(0, line.size() - 1)) + "\r\n");
      time_ += kLine;
    }
  }

  void Add(std::string_view kind, const std::string& data) {
    write_(fmt::format("[{:.3f}, \"{}\", {}]\n", time_, kind,
                       ordered_json(data).dump()));
  }

  Write write_;
  std::unique_ptr<Renderer> text_;
  std::string lesson_;
  double time_ = 0;
};

}  // namespace

std::unique_ptr<Renderer> MakeCastRenderer(Write write) {
  return std::make_unique<CastRenderer>(std::move(write));
}

}  // namespace steps
