#!/usr/bin/python3
"""Reads every #include in the tree and fails on an arrow that isn't in the picture of the design:

    floor 4   mgmt                     sees net, the pure types of lb and policy, and dataplane/engine.proto
    floor 3   dataplane/control ──► dataplane/path
    floor 2   xdp     lb     policy     crypto        none of them sees another
    floor 1   net    log                       what a worker runs doesn't see log
              pktgen-tests sees everything; nothing sees pktgen-tests

Includes in quotes are written from the repository's root and name a file that is there or is generated. `--self-test`
alone shows that it can fail; it runs before every check too.
"""
import os
import re
import sys
import tempfile

from tree import sources

SOURCE = re.compile(r"\.(c|cc|h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
GENERATED = re.compile(r"\.(pb\.h|skel\.h)$")
CONTRACT = "dataplane/engine.pb.h"
PURE = {"net", "lb", "policy", "crypto"}

# What a folder may see beside itself.
ARROWS = {
    "net": set(),
    "log": set(),
    "lb": {"net"},
    "policy": {"net"},
    "crypto": {"net"},
    "xdp": {"net", "log"},
    "dataplane/path": PURE | {"xdp"},
    "dataplane/control": PURE | {"log", "xdp", "dataplane/path"},
    "dataplane": PURE | {"log", "xdp", "dataplane/path", "dataplane/control"},
    "mgmt": {"log", "net", "lb", "policy"},
}

# Headers of the system that belong to some folders only: pattern, folders, why.
SYSTEM = [
    (re.compile(r"^rte_"), ("dataplane", "pktgen-tests"), "DPDK stays under dataplane/"),
    (re.compile(r"^(bpf|xdp)/"), ("xdp", "dataplane", "pktgen-tests"), "BPF stays with the engine"),
    (re.compile(r"^libmnl/|^linux/(rt)?netlink"), ("dataplane", "xdp", "mgmt/cli", "pktgen-tests"),
     "netlink stays with the engine, and with doctor, which looks at the host"),
    (re.compile(r"^grpc"), ("mgmt", "pktgen-tests"), "gRPC stays with the daemon"),
]


def folder(path):
    parts = path.split("/")
    if parts[0] == "dataplane" and parts[1] in ("path", "control"):
        return "/".join(parts[:2])
    return parts[0]


def wrong_arrow(source, target):
    """Why `source` may not include `target`, or None."""
    own, other = folder(source), folder(target)
    if own == "pktgen-tests" or own == other:
        return None
    if other == "pktgen-tests":
        return "nothing sees pktgen-tests"
    if target == CONTRACT:
        return None if own in ("mgmt", "dataplane/control") else "the contract is control's and mgmt's"
    if own not in ARROWS:
        return f"{own}/ isn't in the picture"
    return None if other in ARROWS[own] else f"{own} doesn't see {other}"


def wrong_include(root, source, quote, target):
    if quote == '"':
        if not (GENERATED.search(target) or os.path.exists(os.path.join(root, target))):
            return "isn't written from the repository's root"
        return wrong_arrow(source, target)
    for pattern, folders, why in SYSTEM:
        if pattern.search(target) and not source.startswith(tuple(f"{f}/" for f in folders)):
            return why
    return None


def check(root):
    """The violations, as sentences, and how many files were read."""
    wrong, count = [], 0
    for source in sorted(sources(root, SOURCE)):
        count += 1
        with open(os.path.join(root, source), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                found = INCLUDE.match(line)
                why = found and wrong_include(root, source, *found.groups())
                if why:
                    wrong.append(f"{source}:{number}: includes {found[2]}: {why}")
    return wrong, count


FORBIDDEN = [
    ("net/a.h", '#include "lb/a.h"'),
    ("lb/a.h", '#include "policy/a.h"'),
    ("lb/a_test.cc", '#include "pktgen-tests/a.h"'),
    ("xdp/a.bpf.c", '#include "lb/a.h"'),
    ("dataplane/path/a.cc", '#include "dataplane/control/a.h"'),
    ("dataplane/path/a.cc", '#include "dataplane/engine.pb.h"'),
    ("dataplane/path/a.cc", '#include "log/a.h"'),
    ("lb/a.cc", '#include "log/a.h"'),
    ("dataplane/control/a.cc", '#include "mgmt/a.h"'),
    ("mgmt/api/a.cc", '#include "dataplane/path/a.h"'),
    ("mgmt/api/a.cc", '#include "crypto/a.h"'),
    ("mgmt/api/a.cc", '#include "xdp/a.h"'),
    ("mgmt/api/a.cc", "#include <rte_mbuf.h>"),
    ("lb/a.cc", "  #  include <rte_hash.h>"),
    ("mgmt/a.cc", "#include <bpf/bpf.h>"),
    ("mgmt/api/a.cc", "#include <libmnl/libmnl.h>"),
    ("lb/a.cc", '#include "a.h"'),
]
ALLOWED = [
    ("lb/a.cc", '#include "net/a.h"'),
    ("dataplane/control/a.cc", '#include "dataplane/engine.pb.h"'),
    ("dataplane/path/a.cc", "#include <rte_mbuf.h>"),
    ("dataplane/main.cc", '#include "dataplane/control/a.h"'),
    ("dataplane/control/a.cc", '#include "log/a.h"'),
    ("xdp/a.cc", '#include "log/a.h"'),
    ("mgmt/compile/a.cc", '#include "dataplane/engine.pb.h"'),
    ("mgmt/compile/a.cc", '#include "lb/a.h"'),
    ("pktgen-tests/a.cc", '#include "dataplane/control/a.h"'),
]


def self_test():
    for cases, expected in ((FORBIDDEN, 1), (ALLOWED, 0)):
        for path, line in cases:
            with tempfile.TemporaryDirectory() as root:
                for name in list(ARROWS) + ["pktgen-tests"]:
                    os.makedirs(f"{root}/{name}", exist_ok=True)
                    open(f"{root}/{name}/a.h", "w").close()
                os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
                with open(f"{root}/{path}", "w", encoding="utf-8") as source:
                    source.write(f"// a line before\n{line}\n")
                wrong, _ = check(root)
                assert len(wrong) == expected, f"{path}: {line}: {wrong}"


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    wrong, count = check(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    print("\n".join(wrong) or f"{count} files, every include as drawn")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
