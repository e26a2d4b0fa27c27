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


def outcome(case):
    """What became of a case in a GoogleTest report, and why if it was skipped."""
    skipped = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed", ""
    if skipped is not None:
        # The message is a place in the source, and on the next line the reason.
        return "skipped", skipped.get("message", "").strip().rpartition("\n")[2]
    return ("skipped", "disabled") if case.get("status") == "notrun" else ("passed", "")


def main():
    with tempfile.NamedTemporaryFile("r") as log:
        bazel = [os.environ.get("BAZEL", "bazel"), "test", f"--build_event_json_file={log.name}"]
        status = subprocess.run(bazel + sys.argv[1:], check=False).returncode
        events = [json.loads(line) for line in log]

    counts = collections.Counter()
    reasons = collections.Counter()
    for event in events:
        result = event.get("testResult", {"status": "PASSED"})
        failed = counts["failed"]
        for output in result.get("testActionOutput", []):
            if output["name"] != "test.xml":
                continue
            report = xml.etree.ElementTree.parse(urllib.parse.urlparse(output["uri"]).path)
            for case in report.iter("testcase"):
                what, why = outcome(case)
                counts[what] += 1
                if what == "failed":
                    print(f"failed: {case.get('classname')}.{case.get('name')}")
                elif what == "skipped":
                    reasons[why] += 1
        # A test that crashed or ran out of time has no case to show for it.
        if result["status"] != "PASSED" and counts["failed"] == failed:
            counts["failed"] += 1
            print(f"failed: {event['id']['testResult']['label']} {result['status']}")

    for reason, count in reasons.items():
        print(f"{count} skipped: {reason}")
    # What does not even build is not a pass.
    if status != 0 and counts["failed"] == 0:
        counts["failed"] = 1
    print(", ".join(f"{counts[what]} {what}" for what in ("passed", "failed", "skipped")), flush=True)
    return status or min(counts["failed"], 1)


if __name__ == "__main__":
    sys.exit(main())
