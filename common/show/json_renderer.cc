#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/kernel/call.h"
#include "common/show/show.h"

namespace steps {
namespace {

using nlohmann::ordered_json;

// The move of ordered_json is noexcept, and calls what is not declared so.
class JsonRenderer {  // NOLINT(bugprone-exception-escape)
 public:
  std::string operator()(const Event& event) {
    // A second verdict is that of a write that failed after the first.
    const bool is_over = document_.contains("verdict");
    std::visit([this](const auto& one) { Add(one); }, event);
    if (is_over || !std::holds_alternative<Verdict>(event)) return "";
    return document_.dump(2, ' ', false,
                          ordered_json::error_handler_t::replace) +
           "\n";
  }

 private:
  void Add(const Opening& opening) {
    document_ = {
        {"lesson", opening.lesson},     {"title", opening.title},
        {"man_page", opening.man_page}, {"kernel", opening.kernel},
        {"uid", opening.uid},           {"privilege", opening.privilege}};
    for (const char* list : {"steps", "questions", "calls", "evidence",
                             "comparison", "tables", "claims"}) {
      document_[list] = ordered_json::array();
    }
  }

  void Add(const Step& step) {
    step_ = step.number;
    document_["steps"].push_back(
        {{"number", step.number}, {"title", step.title}, {"what", step.what}});
  }

  void Add(const Question& question) {
    document_["questions"].push_back(
        {{"text", question.text}, {"answers", question.answers}});
  }

  void Add(const Answer& answer) {
    document_["questions"].back().update(
        {{"found", answer.found}, {"reason", answer.reason}});
  }

  void Add(const Called& called) {
    const Call& call = called.call;
    ordered_json entry = {{"event", ++event_},
                          {"step", step_},
                          {"process", called.process},
                          {"call", call.text},
                          {"result", call.result}};
    if (call.error != 0) entry["errno"] = ErrnoName(call.error);
    document_["calls"].push_back(std::move(entry));
  }

  void Add(const Shown& shown) {
    ++event_;
    for (const Finding& finding : shown.evidence.findings) {
      document_["evidence"].push_back({{"event", event_},
                                       {"step", step_},
                                       {"process", shown.process},
                                       {"probe", finding.label},
                                       {"value", finding.value},
                                       {"source", finding.source}});
    }
  }

  void Add(const Table& table) {
    if (!table.compares) {
      document_["tables"].push_back(
          {{"step", step_}, {"header", table.header}, {"rows", table.rows}});
      return;
    }
    for (const std::vector<std::string>& row : table.rows) {
      document_["comparison"].push_back({{"probe", row[0]},
                                         {"outside_before", row[1]},
                                         {"inside", row[2]},
                                         {"outside_after", row[3]},
                                         {"verdict", row[4]}});
    }
  }

  void Add(const Item& item) {
    if (item.word == "remember") {
      document_["remember"] = item.text;
    } else if (!item.word.empty()) {
      ordered_json claim = {{"step", step_}, {"text", item.text}};
      claim["holds"] = item.good ? ordered_json(*item.good) : ordered_json();
      if (!item.good) claim["reason"] = item.reason;
      document_["claims"].push_back(std::move(claim));
    }
  }

  void Add(const Verdict& verdict) {
    document_["verdict"] = verdict.outcome;
    document_["exit_status"] = verdict.exit_status;
    if (!verdict.error.empty()) document_["error"] = verdict.error;
    if (verdict.advice) {
      document_["cause"] = verdict.advice->cause;
      document_["remedy"] = verdict.advice->remedy;
    }
  }

  // The rest is for people.
  template <typename Other>
  void Add(const Other&) {}

  int step_ = 0;
  int event_ = 0;  // Calls and evidence are counted together.
  ordered_json document_;
};

}  // namespace

Renderer MakeJsonRenderer() { return JsonRenderer(); }

}  // namespace steps
