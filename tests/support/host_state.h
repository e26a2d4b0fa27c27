#ifndef TESTS_SUPPORT_HOST_STATE_H_
#define TESTS_SUPPORT_HOST_STATE_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <random>
#include <string>

namespace steps {

/// Everything of a machine that a lesson could leave changed, and how it looks,
/// a line each. Only lines that `counts`, where it is given.
std::string LookAtHost(
    const std::function<bool(const std::string&)>& counts = {});

/// What came, "new: …", and what went, "gone: …", a line each; empty when
/// nothing did.
std::string Difference(const std::string& before, const std::string& after);

/// Strikes at random.
class Striker {
 public:
  unsigned seed() const { return seed_; }

  /// Lets a random part of `longest` go by.
  void Wait(std::chrono::nanoseconds longest);

  /// Kills one of the processes below this one, whatever is there now. Gives
  /// its PID, or -1.
  pid_t Strike();

 private:
  const unsigned seed_ = std::random_device()();
  std::mt19937 random_{seed_};
};

}  // namespace steps

#endif  // TESTS_SUPPORT_HOST_STATE_H_
