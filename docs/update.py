#!/usr/bin/env python3
"""Puts the output of real runs into the pages, or only into those that are named: docs/update.py uts pid.

A comment names what stands in the block behind it: the opening of lesson X, its
step N, its end, what --shell adds, the last step as --markdown has it, the
first lines of what --cast writes, what the reader of --step sees around its question,
or the table with which the tour ends.

    <!-- run: X opening -->   <!-- run: X 3 -->   <!-- run: X end -->   <!-- run: X shell -->
    <!-- run: X markdown -->   <!-- run: X cast -->   <!-- run: X keys -->   <!-- run: tour table -->

    <!-- check: ARGUMENTS -->   <!-- check 3: ARGUMENTS -->

is what //lessons:check prints with these arguments, from its step 3 on.

With "refused" behind it, the run is one where no UTS namespace may be made.

    <!-- claims: X -->
    …
    <!-- /claims -->

What stands between these two is what lesson X claims.

X.svg, which the page of lesson X shows, is what that lesson draws.
"""

import functools
import json
import os
import pathlib
import pty
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DRAWING = re.compile(r"!\[[^]]*\]\((\w+)\.svg\)")
CLAIMS = re.compile(r"(<!-- claims: (\w+) -->\n).*?(<!-- /claims -->)", re.DOTALL)
BLOCK = re.compile(r"(<!-- run: (\w+) (\w+)( refused)? -->\n(```+)\w+\n).*?(\5\n)", re.DOTALL)
CHECK = re.compile(r"(<!-- check( \d)?: ([^\n]+) -->\n```\w+\n).*?(```\n)", re.DOTALL)
REFUSED = ["unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 >/proc/sys/user/max_uts_namespaces; exec "$0"']


@functools.cache  # One run, so that its numbers agree from block to block.
def output(lesson, *arguments, refused=False):
    return subprocess.run(
        [*(REFUSED if refused else []), ROOT / "bazel-bin/lessons" / lesson, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, check=not refused, text=True,
    ).stdout


def stepped(lesson):
    """The screen of --step --code from its question on, one page, and the answer to a wrong guess."""
    program = ROOT / "bazel-bin/lessons" / lesson
    pid, keyboard = pty.fork()
    if pid == 0:
        # Nothing is erased on a terminal that cannot.
        os.execve(program, [lesson, "--step", "--code", "--color=never"], {**os.environ, "TERM": "dumb"})
    pages = [b""]
    while b"     holds" not in b"".join(pages).partition(b"     answer")[2]:
        while not pages[-1].endswith(b"q Enter: quit]"):
            pages[-1] += os.read(keyboard, 4096)
        os.write(keyboard, b"1\n" if b"guess" in pages[-1] else b"\n")
        pages.append(b"")
    os.close(keyboard)
    os.waitpid(pid, 0)
    text = b"".join(pages).decode().replace("\r\n", "\n")
    asked = text.index("     question")
    answered = text.index("     answer")
    return text[asked:text.index("     holds", answered)]


def part(lesson, name, refused):
    if name == "keys":
        return stepped(lesson).rstrip("\n") + "\n"
    if name == "shell":
        text = output(lesson, "--shell")
        return text[text.index("A shell inside"):]
    if name == "markdown":
        text = output(lesson, "--markdown")
        return text[text.rindex("\n## ") + 1:]
    if name == "cast":
        with tempfile.NamedTemporaryFile("r") as file:
            output(lesson, "--cast", file.name)
            return "".join(file.readlines()[:5])
    text = output(lesson, refused=refused)
    if name == "table":
        return text[text.rindex("\n", 0, text.index(" what it is about ")) + 1:]
    steps = re.split(r"^(?=\d+  )", text, flags=re.MULTILINE)
    steps[-1], end = re.split(r"(?=^     remember |^\d+ of \d+ lessons run here)", steps[-1], flags=re.MULTILINE)
    parts = {"opening": steps[0], "end": end}
    parts.update((str(number), step) for number, step in enumerate(steps) if number > 0)
    return parts[name].rstrip("\n") + "\n"


def checked(number, arguments):
    text = subprocess.run(
        [ROOT / "bazel-bin/lessons/check", *shlex.split(arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, cwd=ROOT,
    ).stdout
    return text[text.index(f"\n{number.strip()}  ") + 1:] if number else text


def claims(lesson):
    document = json.loads(output(lesson, "--json"))
    return "".join(f"{number}. {claim['text']}\n" for number, claim in enumerate(document["claims"], 1))


def main():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if len(sys.argv) > 1 and page.stem not in sys.argv[1:]:
            continue
        text = page.read_text()
        for lesson in DRAWING.findall(text):
            (page.parent / f"{lesson}.svg").write_text(output(lesson, "--svg"))
        text = CLAIMS.sub(lambda block: block[1] + claims(block[2]) + block[3], text)
        text = CHECK.sub(lambda block: block[1] + checked(block[2], block[3]) + block[4], text)
        page.write_text(BLOCK.sub(lambda block: block[1] + part(block[2], block[3], bool(block[4])) + block[6], text))


if __name__ == "__main__":
    main()
