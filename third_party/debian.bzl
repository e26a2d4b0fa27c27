"""The external repositories of this workspace, all of them Debian packages.

Nothing is downloaded. Each repository has the name that the Bazel Central Registry gives it, so that only this file
changes when the libraries come from there.
"""

def _rules_cc_impl(ctx):
    # rules_cc 0.0.4 loads a function that Bazel 4.2.3, packaged beside it, does not have yet. What the function returns
    # is the toolchain type.
    ctx.execute(["cp", "-r", "/usr/share/bazel/rules/cc/.", "."])
    for name in ["cc_flags_supplier", "compiler_flag"]:
        path = "cc/private/rules_impl/%s.bzl" % name
        text = ctx.read(path)
        text = text.replace(", \"use_cpp_toolchain\"", "")
        text = text.replace("use_cpp_toolchain()", "[\"@bazel_tools//tools/cpp:toolchain_type\"]")
        ctx.file(path, text)

_rules_cc = repository_rule(implementation = _rules_cc_impl, local = True)

# Library: the folder that its package installs. The linker finds the libraries themselves.
_LIBRARIES = {
    "cli11": "/usr/include/CLI",
    "fmt": "/usr/include/fmt",
    "google_benchmark": "/usr/include/benchmark",
    "googletest": "/usr/include/gtest",
    "libcap": "/usr/include/sys",
    "libmnl": "/usr/include/libmnl",
    "libseccomp": "/usr/include",
    "nlohmann_json": "/usr/include/nlohmann",
    "valijson": "/usr/include/valijson",
}

def debian_repositories():
    _rules_cc(name = "rules_cc")
    native.local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
    native.local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    native.local_repository(name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    for name, path in _LIBRARIES.items():
        native.new_local_repository(name = name, path = path, build_file = "//third_party:%s.BUILD" % name)

    # `bazel test` asks for this target even when no coverage is collected.
    native.new_local_repository(
        name = "remote_coverage_tools",
        path = "/usr/share/bazel/tools/skylib/rules",
        build_file_content = "filegroup(name = \"coverage_report_generator\", visibility = [\"//visibility:public\"])",
    )
