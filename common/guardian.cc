#include "common/guardian.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "common/call_error.h"

namespace steps {
namespace {

// Puts this process out of reach of what ends its parent: the parent-death
// signal, Ctrl-C in the terminal, the end of the session.
void Outlive() {
  Check(prctl(PR_SET_PDEATHSIG, 0), "prctl(PR_SET_PDEATHSIG, 0)");
  Check(setsid(), "setsid()");
  for (const int signal : {SIGHUP, SIGINT, SIGPIPE, SIGTERM}) {
    std::signal(signal, SIG_IGN);
  }
}

}  // namespace

Guardian::Guardian(const Make& make, Remove remove)
    : remove_(std::move(remove)), process_([this, &make](Line& line) {
        Outlive();
        const int id = make();
        try {
          line.Send(std::to_string(id));
          line.Checkpoint();
        } catch (const CallError&) {
          // The parent has ended: what it would wait for is due now.
        }
        remove_(id);
      }) {
  process_.Fork();
  const std::optional<std::string> id = process_.Receive();
  if (!id) process_.Finish();
  id_ = std::stoi(id.value());
}

Guardian::~Guardian() {
  try {
    Finish();
  } catch (const std::exception& error) {
    fmt::print(stderr, "not removed: {}\n", error.what());
  }
}

void Guardian::Finish() {
  if (id_ == -1) return;
  const int id = std::exchange(id_, -1);
  try {
    process_.Finish();
  } catch (const ChildError&) {
    remove_(id);
  }
}

}  // namespace steps
