// Runs a program to which the kernel lies once, in a stand-in for this machine:
//
//     bazel run //tests:sabotage_run -- LIE PROGRAM [ARGUMENT…]
//
// A LIE is CALL[:N][-FLAG…][=ANSWER][@PATH], as in tests/support/sabotage.h;
// PROGRAM is a path.

#include <fmt/core.h>

#include <cstdio>
#include <exception>

#include "common/kernel/process.h"
#include "tests/support/sabotage.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} LIE PROGRAM [ARGUMENT…]\n", argv[0]);
    return 2;
  }
  try {
    const steps::LieResult result = steps::RunWithLie(
        {.program = argv[2], .arguments = {argv + 3, argv + argc}},
        steps::ParseLie(argv[1]));
    fmt::print("{}", result.output);
    std::fflush(stdout);
    fmt::print(stderr, "{}{}: {}, {}\n", result.errors, argv[1],
               result.told ? "told" : "NOT told",
               steps::DescribeStatus(result.status));
    if (!result.hung.empty()) fmt::print(stderr, "hung: {}", result.hung);
    return steps::ExitStatus(result.status);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
