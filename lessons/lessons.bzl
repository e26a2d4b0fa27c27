"""The lessons, and the rule that makes a program of each."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

# In the order of the tour: each builds on those before it.
LESSONS = [
    "inspect",
    "clone",
    "unshare",
    "setns",
    "uts",
    "ipc",
    "pid",
    "mount",
    "chroot",
    "user",
    "net",
    "cgroup",
    "time",
    "leaks",
    "container",
]

def lessons(deps):
    """A program for each of LESSONS, with its sources embedded: common/show/show.h.

    The sources of NAME are NAME.cc and NAME_*, or those in the directory NAME.

    Args:
      deps: the libraries that a lesson needs beside common/.
    """
    for name in LESSONS:
        files = native.glob(
            [name + ".cc", name + "_*", name + "/*"],
            allow_empty = True,
        )
        native.genrule(
            name = name + "_source",
            srcs = [file for file in files if file.endswith(".cc")],
            outs = [name + "_source.cc"],
            cmd = """(
              echo '#include "common/show/show.h"'
              for file in $(SRCS); do
                echo "static const steps::EmbeddedSource $$(basename $$file .cc)_source("
                printf '"%s", R"LESSON(' $$file
                cat $$file
                echo ')LESSON");'
              done
            ) >$@""",
        )
        cc_binary(
            name = name,
            srcs = files + [name + "_source.cc"],
            deps = ["//common/program"] + deps.get(name, []),
        )
