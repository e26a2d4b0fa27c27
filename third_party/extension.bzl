"""What MODULE.bazel takes from the system. (Bazel 4 knows no extensions, and never loads this.)"""

load(":system.bzl", "system_libraries")

def _system_impl(_ctx):
    system_libraries(["libcap", "libmnl", "libseccomp"])

system = module_extension(implementation = _system_impl)
