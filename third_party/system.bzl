"""Libraries that the system has, as external repositories: nothing is downloaded."""

# Each has the name and the targets that the Bazel Central Registry gives it, so that no BUILD file knows where it comes
# from: the header that is looked for, what to link for each target, and the packages that have it.
_LIBRARIES = {
    "cli11": struct(
        header = "CLI/CLI.hpp",
        targets = {"cli11": []},
        packages = {"Debian, Ubuntu": "libcli11-dev"},
    ),
    "fmt": struct(
        header = "fmt/format.h",
        targets = {"fmt": ["-lfmt"]},
        packages = {"Debian, Ubuntu": "libfmt-dev"},
    ),
    "google_benchmark": struct(
        header = "benchmark/benchmark.h",
        targets = {
            "benchmark": ["-lbenchmark", "-lpthread"],
            "benchmark_main": ["-lbenchmark_main", "-lbenchmark", "-lpthread"],
        },
        packages = {"Debian, Ubuntu": "libbenchmark-dev"},
    ),
    "googletest": struct(
        header = "gmock/gmock.h",
        targets = {
            "gtest": ["-lgmock", "-lgtest", "-lpthread"],
            "gtest_main": ["-lgmock_main", "-lgmock", "-lgtest", "-lpthread"],
        },
        packages = {"Debian, Ubuntu": "libgmock-dev"},
    ),
    "libcap": struct(
        header = "sys/capability.h",
        targets = {"libcap": ["-lcap"]},
        packages = {
            "Arch": "libcap",
            "Debian, Ubuntu": "libcap-dev",
            "Fedora, openSUSE": "libcap-devel",
        },
    ),
    "libmnl": struct(
        header = "libmnl/libmnl.h",
        targets = {"libmnl": ["-lmnl"]},
        packages = {
            "Arch": "libmnl",
            "Debian, Ubuntu": "libmnl-dev",
            "Fedora, openSUSE": "libmnl-devel",
        },
    ),
    "libseccomp": struct(
        header = "seccomp.h",
        targets = {"libseccomp": ["-lseccomp"]},
        packages = {
            "Arch": "libseccomp",
            "Debian, Ubuntu": "libseccomp-dev",
            "Fedora, openSUSE": "libseccomp-devel",
        },
    ),
    "nlohmann_json": struct(
        header = "nlohmann/json.hpp",
        targets = {"json": []},
        packages = {"Debian, Ubuntu": "nlohmann-json3-dev"},
    ),
    "valijson": struct(
        header = "valijson/validator.hpp",
        targets = {"valijson": []},
        packages = {"Debian, Ubuntu": "libvalijson-dev"},
    ),
}

def _system_library_impl(ctx):
    found = [
        directory
        for directory in ["/usr/include", "/usr/local/include"]
        if ctx.path("%s/%s" % (directory, ctx.attr.header)).exists
    ]
    if not found:
        fail("\n\n<%s> is missing: `make setup` installs it. Its package:\n" % ctx.attr.header + "".join([
            "  %s: %s\n" % package
            for package in ctx.attr.packages.items()
        ]))

    # The compiler and the linker look there by themselves.
    ctx.file("BUILD", "load(\"@rules_cc//cc:defs.bzl\", \"cc_library\")\n" + "".join([
        "cc_library(name = \"%s\", linkopts = %r, visibility = [\"//visibility:public\"])\n" % target
        for target in ctx.attr.targets.items()
    ]))

_system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "header": attr.string(),
        "packages": attr.string_dict(),
        "targets": attr.string_list_dict(),
    },
    local = True,
)

def system_libraries(names = _LIBRARIES.keys()):
    """An external repository for each library.

    Args:
      names: which; all that are known if none is named.
    """
    for name in names:
        library = _LIBRARIES[name]
        _system_library(
            name = name,
            header = library.header,
            packages = library.packages,
            targets = library.targets,
        )
