#!/usr/bin/env python3
"""Runs `bazel test` with the given arguments and counts its test cases.

The last line is `N passed, N failed, N skipped`. The exit status is bazel's, and
never 0 when a case has failed.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import xml.etree.ElementTree


def cases(path):
    """Yields (name, outcome, reason) for each case of a GoogleTest report."""
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None or case.get("status") == "notrun":
            # The message is a place in the source, and on the next line the reason.
            message = "disabled" if skipped is None else skipped.get("message", "")
            yield name, "skipped", message.strip().rpartition("\n")[2]
        else:
            yield name, "passed", ""


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    reasons = collections.Counter()
    with tempfile.NamedTemporaryFile("r") as log:
        bazel = subprocess.run(
            [os.environ.get("BAZEL", "bazel"), "test", f"--build_event_json_file={log.name}", *sys.argv[1:]], check=False
        )
        events = [json.loads(line) for line in log]

    for event in events:
        result = event.get("testResult")
        if result is None:
            continue
        failed = counts["failed"]
        for output in result.get("testActionOutput", []):
            if output["name"] != "test.xml":
                continue
            for name, outcome, reason in cases(urllib.parse.urlparse(output["uri"]).path):
                counts[outcome] += 1
                if outcome == "failed":
                    print(f"failed: {name}")
                elif outcome == "skipped":
                    reasons[reason] += 1
        # A test that crashed or ran out of time has no case to show for it.
        if result["status"] != "PASSED" and counts["failed"] == failed:
            counts["failed"] += 1
            print(f"failed: {event['id']['testResult']['label']} {result['status']}")

    for reason, count in reasons.items():
        print(f"{count} skipped: {reason}")

    # What does not even build is not a pass.
    if bazel.returncode != 0 and counts["failed"] == 0:
        counts["failed"] = 1
    sys.stdout.flush()
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return bazel.returncode or (1 if counts["failed"] else 0)


if __name__ == "__main__":
    sys.exit(main())
