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

def lesson(name, srcs = None, deps = []):
    """A cc_binary with its sources embedded, for common/source.h.

    Args:
      name: the lesson's name: lessons/NAME.cc is //lessons:NAME.
      srcs: its sources, where they are more than NAME.cc.
      deps: what it includes.
    """
    srcs = srcs or [name + ".cc"]
    listed = [src for src in srcs if src.endswith(".cc")]
    header = "common/show/source.h" if "//common/program" in deps else "common/source.h"
    native.genrule(
        name = name + "_source",
        srcs = listed,
        outs = [name + "_source.cc"],
        cmd = """(
          echo '#include "%s"'
          for file in $(SRCS); do
            echo "static const steps::EmbeddedSource $$(basename $$file .cc)_source("
            printf '"%%s", R"LESSON(' $$file
            cat $$file
            echo ')LESSON");'
          done
        ) >$@""" % header,
    )
    cc_binary(
        name = name,
        srcs = srcs + [":" + name + "_source"],
        deps = deps if "//common/program" in deps else deps + ["//common:source"],
    )
