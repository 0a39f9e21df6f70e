#!/usr/bin/python3
"""`count_cases.py TESTLOG.json MESON_CODE`: how one of meson's tests ended, for tools/dev/test.sh.

Prints `RESULT PASSED FAILED SKIPPED`. Catch2's last line tells its cases; any other program counts as one.
"""
import json
import re
import sys


def catch_cases(text):
    all_passed = re.search(r"All tests passed \(.* in (\d+) test cases?\)", text)
    if all_passed:
        return int(all_passed[1]), 0
    line = re.search(r"^test cases: .*$", text, re.M)
    if not line:
        return None
    numbers = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed)", line[0])}
    return numbers.get("passed", 0), numbers.get("failed", 0)


def main():
    path, code = sys.argv[1], int(sys.argv[2])
    try:
        with open(path, encoding="utf-8") as log:
            record = json.loads(log.readlines()[-1])
    except (OSError, IndexError, ValueError):  # it was never run: it doesn't build
        return "FAILED 0 1 0"
    if record["result"] == "SKIP":
        return "skipped 0 0 1"
    failed = code != 0 or record["result"] not in ("OK", "EXPECTEDFAIL")
    passed_cases, failed_cases = catch_cases(record.get("stdout", "")) or (0, 0)
    if failed:
        return f"FAILED {passed_cases} {max(failed_cases, 1)} 0"
    return f"ok {max(passed_cases, 1)} 0 0"


if __name__ == "__main__":
    print(main())
