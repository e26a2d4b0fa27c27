#!/usr/bin/env python3
"""Puts the output of real runs into the pages.

A comment names what stands in the block behind it: the opening of lesson X, its
step N, its end, what --shell adds, or the table with which the tour ends.

    <!-- run: X opening -->   <!-- run: X 3 -->   <!-- run: X end -->   <!-- run: X shell -->
    <!-- run: tour table -->
"""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- run: (\w+) (\w+) -->\n```text\n).*?(```\n)", re.DOTALL)


@functools.cache  # One run, so that its numbers agree from block to block.
def output(lesson, *arguments):
    return subprocess.run(
        [ROOT / "bazel-bin/lessons" / lesson, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True,
    ).stdout


def part(lesson, name):
    if name == "shell":
        text = output(lesson, "--shell")
        return text[text.index("A shell inside"):]
    text = output(lesson)
    if name == "table":
        return text[text.rindex("\n  lesson ") + 1:]
    steps = re.split(r"^(?=\d+  )", text, flags=re.MULTILINE)
    steps[-1], end = steps[-1].rsplit("\n\n", 1)
    parts = {"opening": steps[0], "end": end}
    parts.update((str(number), step) for number, step in enumerate(steps) if number > 0)
    return parts[name].rstrip("\n") + "\n"


def main():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text()
        page.write_text(BLOCK.sub(lambda block: block[1] + part(block[2], block[3]) + block[4], text))


if __name__ == "__main__":
    main()
