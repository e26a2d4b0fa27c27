"""The rules for tests: a source file each."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def unit_tests(directory, tags = {}):
    """A cc_test for each file of a directory, for what is in common/ under the same name.

    Args:
      directory: "kernel": its X_test.cc becomes the test X_test.
      tags: those of a test, by its name.
    """
    for src in native.glob([directory + "/*_test.cc"]):
        name = src.split("/")[1][:-len(".cc")]
        cc_test(
            name = name,
            size = "small",
            srcs = [src],
            tags = tags.get(name, []),
            deps = [
                ":support",
                "//common/program",
                "@googletest//:gtest_main",
            ],
        )

def program_test(name, data, size = "medium", tags = [], directory = "lessons"):
    """A cc_test that runs programs. It sees the machine itself: Bazel's sandbox maps one user only.

    Args:
      name: DIRECTORY/NAME.cc is its source.
      data: the programs, and what else it reads.
      size: as that of cc_test.
      tags: further ones.
      directory: where its source is.
    """
    cc_test(
        name = name,
        size = size,
        srcs = ["%s/%s.cc" % (directory, name)],
        data = data + ["//docs:schemas"],
        tags = tags + ["no-sandbox"],
        deps = [
            ":support",
            "//common/program",
            "@googletest//:gtest_main",
        ],
    )
