#ifndef TESTS_SUPPORT_TEST_H_
#define TESTS_SUPPORT_TEST_H_

// What every test has at hand: GoogleTest and its matchers, the kernel's calls,
// and what common/kernel makes of them.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/kernel/call.h"
#include "common/kernel/descriptor.h"
#include "common/kernel/mounts.h"
#include "common/kernel/namespaces.h"
#include "common/kernel/probe.h"
#include "common/kernel/process.h"
#include "tests/support/program.h"
#include "tests/support/refusals.h"

namespace steps {

namespace fs = std::filesystem;

using testing::_;
using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::EndsWith;
using testing::Field;
using testing::FieldsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::Optional;
using testing::Pair;
using testing::Property;
using testing::SizeIs;
using testing::StartsWith;
using testing::Throws;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;
using testing::ValuesIn;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

using Words = std::vector<std::string>;
using Before = std::function<void()>;
using Text = testing::Matcher<const std::string&>;

/// That a program ended with this status, and what it wrote.
inline void ExpectExit(const Result& result, int status, const Text& output = _,
                       const Text& errors = _) {
  EXPECT_EQ(ExitStatus(result.status), status)
      << result.errors << result.output;
  EXPECT_THAT(result.output, output);
  EXPECT_THAT(result.errors, errors);
}

}  // namespace steps

#endif  // TESTS_SUPPORT_TEST_H_
