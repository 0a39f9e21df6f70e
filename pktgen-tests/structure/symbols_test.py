#!/usr/bin/python3
"""Looks at the symbols of what a worker runs (build/dataplane/path/libpath.a) and fails on malloc, locks, stdio, throw.

`symbols_test.py [ARCHIVE]`. Before the archive, it compiles violations of its own and must find each. What it sees is
what an object refers to, so a call is found wherever it stands in the file; what DPDK does inside is DPDK's matter.
"""
import os
import re
import subprocess
import sys
import tempfile

FORBIDDEN = [
    ("allocation", re.compile(r"^(malloc|calloc|realloc|reallocarray|free|strdup|posix_memalign|aligned_alloc)$")),
    ("allocation", re.compile(r"^operator (new|delete)\b")),
    ("allocation by DPDK", re.compile(r"^rte_(malloc|zmalloc|calloc|realloc|free)")),
    ("lock", re.compile(r"^(pthread_(mutex|cond|rwlock|spin)\w*|sem_(wait|timedwait)|std::(mutex|condition_variable)\b.*)$")),
    ("stdio", re.compile(r"^_{0,2}v?[fsd]?n?(printf|scanf)(_chk)?$|^_{0,2}v?sn?printf(_chk)?$|^f?puts$|^f?putc(har)?$|^perror$")),
    ("stdio", re.compile(r"^f(open|close|write|read|flush|dopen)$|^std(out|err|in)$|^rte_v?log$")),
    ("throw", re.compile(r"^__cxa_(throw|rethrow|allocate_exception)$|^std::__throw_")),
    ("string", re.compile(r"^std::(__cxx11::)?basic_string<|^std::basic_\w*stream|^std::(operator<<|cout|cerr|ios_base)")),
]


def referred(archive):
    """(object, symbol) of everything that the archive's objects refer to and don't define."""
    listing = subprocess.run(["nm", "--undefined-only", "--print-file-name", "--demangle", archive],
                             check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        where, _, symbol = line.partition(": ")
        found = re.match(r"\s*[A-Za-z]\s+(.*)", symbol)
        if found:
            yield os.path.basename(where.split(":")[-1]), re.sub(r"@.*", "", found[1])


def check(archive):
    wrong, seen = [], 0
    for where, symbol in referred(archive):
        seen += 1
        for what, pattern in FORBIDDEN:
            if pattern.search(symbol):
                wrong.append(f"{where}: refers to {symbol}: {what}")
                break
    return wrong, seen


VIOLATIONS = {
    "malloc": "#include <cstdlib>\nvoid* f(unsigned n) { return malloc(n); }",
    "new": "struct A { long x[9]; };\nA* f() { return new A; }",
    "delete": "struct A { long x[9]; };\nvoid f(A* a) { delete a; }",
    "vector": "#include <vector>\nvoid f(std::vector<int>& v) { v.push_back(1); }",
    "mutex": "#include <mutex>\nstd::mutex m;\nvoid f() { std::lock_guard<std::mutex> l(m); }",
    "condition": "#include <condition_variable>\nvoid f(std::condition_variable& c) { c.notify_one(); }",
    "printf": '#include <cstdio>\nvoid f(int x) { printf("%d", x); }',
    "fortified": '#include <cstdio>\nvoid f(char* b, int x) { snprintf(b, 9, "%d", x); }',
    "fputs": '#include <cstdio>\nvoid f(const char* s) { fputs(s, stderr); }',
    "throw": "void f(int x) { if (x) throw x; }",
    "library throw": "#include <vector>\nint f(std::vector<int>& v) { return v.at(7); }",
    "string": "#include <string>\nvoid f(std::string& s) { s += \"abc\"; }",
    "stream": "#include <iostream>\nvoid f(int x) { std::cout << x; }",
}
CLEAN = "#include <array>\n#include <cstring>\nvoid f(std::array<char, 64>& a, const char* b) { memcpy(a.data(), b, 64); }"


def archive_of(directory, source):
    with open(f"{directory}/a.cc", "w", encoding="utf-8") as file:
        file.write(source + "\n")
    for command in (["g++", "-std=c++20", "-O2", "-D_FORTIFY_SOURCE=2", "-c", "a.cc"], ["ar", "rcs", "a.a", "a.o"]):
        subprocess.run(command, check=True, cwd=directory)
    return f"{directory}/a.a"


def self_test():
    for name, source in VIOLATIONS.items():
        with tempfile.TemporaryDirectory() as directory:
            assert check(archive_of(directory, source))[0], f"a violation isn't found: {name}"
    with tempfile.TemporaryDirectory() as directory:
        wrong, _ = check(archive_of(directory, CLEAN))
        assert not wrong, wrong


def main():
    self_test()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    archive = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "build/dataplane/path/libpath.a")
    if archive == "--self-test":
        return 0
    if not os.path.exists(archive):
        print(f"{archive} isn't there: run './dev build'")
        return 1
    wrong, seen = check(archive)
    print("\n".join(wrong) or f"{seen} symbols referred to, none forbidden")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
