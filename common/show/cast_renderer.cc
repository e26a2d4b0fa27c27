#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/show/renderer.h"
#include "common/show/wording.h"

namespace steps {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr milliseconds kLine(150);   // From one line to the next.
constexpr milliseconds kRest(3000);  // To read what stands above a step.

std::string Json(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

class CastRenderer : public Renderer {
 public:
  explicit CastRenderer(Write write)
      : write_(std::move(write)),
        text_(MakeTextRenderer([this](std::string_view text) { Show(text); },
                               true)) {}

  void Render(const Event& event) override {
    if (const auto* opening = std::get_if<Opening>(&event)) {
      lesson_ = opening->lesson;
      write_(Json({{"version", 2},
                   {"width", 80},
                   {"height", 24},
                   {"title", opening->title},
                   {"env", {{"TERM", "xterm-256color"}}}}) +
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
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      Add("o", std::string(text.substr(0, end)) + "\r\n");
      time_ += kLine;
      text.remove_prefix(end + 1);
    }
  }

  void Add(std::string_view kind, const std::string& data) {
    write_(fmt::format("[{}.{:03}, \"{}\", {}]\n", time_.count() / 1000,
                       time_.count() % 1000, kind, Json(data)));
  }

  Write write_;
  std::unique_ptr<Renderer> text_;
  std::string lesson_;
  milliseconds time_{0};
};

}  // namespace

std::unique_ptr<Renderer> MakeCastRenderer(Write write) {
  return std::make_unique<CastRenderer>(std::move(write));
}

}  // namespace steps
