"""The external repositories of WORKSPACE, all of them Debian packages."""

load(":system.bzl", "system_libraries")

def _rules_cc_impl(ctx):
    # rules_cc 0.0.4 loads a function that Bazel 4.2.3, packaged beside it, does not have yet. What the function returns
    # is the toolchain type. Later packages have neither the files nor the trouble.
    ctx.execute(["cp", "-r", "/usr/share/bazel/rules/cc/.", "."])
    for name in ["cc_flags_supplier", "compiler_flag"]:
        path = "cc/private/rules_impl/%s.bzl" % name
        if not ctx.path(path).exists:
            continue
        text = ctx.read(path)
        text = text.replace(", \"use_cpp_toolchain\"", "")
        text = text.replace("use_cpp_toolchain()", "[\"@bazel_tools//tools/cpp:toolchain_type\"]")
        ctx.file(path, text)

_rules_cc = repository_rule(implementation = _rules_cc_impl, local = True)

def debian_repositories():
    _rules_cc(name = "rules_cc")
    for name, path in {
        "bazel_skylib": "tools/skylib",
        "rules_java": "rules/java",
        "rules_proto": "rules/proto",
        "rules_python": "rules/python",
    }.items():
        native.local_repository(name = name, path = "/usr/share/bazel/" + path)
    system_libraries()

    # `bazel test` asks for this target even when no coverage is collected.
    native.new_local_repository(
        name = "remote_coverage_tools",
        path = "/usr/share/bazel/tools/skylib/rules",
        build_file_content = "filegroup(name = \"coverage_report_generator\", visibility = [\"//visibility:public\"])",
    )
