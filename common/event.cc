#include "common/event.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace steps {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Finding, probe, value, source)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Place, file, line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Call, side, text, result, error, place)

// CBOR, because a hostname may hold any bytes and JSON text only UTF-8.
std::string Encode(const Event& event) {
  nlohmann::json json;
  if (const auto* call = std::get_if<Call>(&event)) {
    json = {{"call", *call}};
  } else if (const auto* shown = std::get_if<Shown>(&event)) {
    json = {{"side", shown->side},
            {"shown", shown->evidence.findings()},
            {"place", shown->place}};
  } else {
    throw std::logic_error("an event that no child makes");
  }
  std::string bytes;
  nlohmann::json::to_cbor(json, bytes);
  return bytes;
}

Event Decode(std::string_view bytes) {
  const nlohmann::json json = nlohmann::json::from_cbor(bytes);
  if (json.contains("call")) return json.at("call").get<Call>();
  return Shown{json.at("side"),
               Evidence(json.at("shown").get<std::vector<Finding>>()),
               json.at("place").get<Place>()};
}

}  // namespace steps
