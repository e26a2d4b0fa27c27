"""The rule for tests: a source file each."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def test(src, data = [], size = "medium", tags = []):
    """A cc_test. It sees the machine itself: Bazel's sandbox maps one user only.

    Args:
      src: "kernel/call_test.cc": the test is call_test.
      data: the programs that it runs, and what else it reads.
      size: as that of cc_test.
      tags: further ones.
    """
    cc_test(
        name = src.split("/")[1][:-len(".cc")],
        size = size,
        srcs = [src],
        data = data + (["//docs:schemas"] if data else []),
        tags = tags + ["no-sandbox"],
        deps = [
            ":support",
            "//common/program",
            "@googletest//:gtest_main",
        ],
    )
