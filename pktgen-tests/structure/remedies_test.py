#!/usr/bin/python3
"""Fails on an error without its remedy:

    a line of the log that warns or complains and isn't of log/trouble.h, which asks for a remedy;
    a status of the engine that isn't of log::failure or log::system_failure, which give it one.

Tests may do as they like. `--self-test` alone shows that it can fail; it runs before every check too.
"""
import os
import re
import sys
import tempfile

from tree import sources

SOURCE = re.compile(r"(?<!_test)\.(cc|h)$")
COMMENT = re.compile(r"//.*")
LINE = re.compile(r"\bspdlog::(warn|error|critical)\(")
# What is compared with another isn't made to be told.
STATUS = re.compile(r"(?<![=!]= )\babsl::(?:[A-Z]\w*Error|ErrnoToStatus)\(")
OF_STATUSES = ("xdp/", "dataplane/")

# Whose statuses are answers, which who asked takes further: why.
ANSWERS = {
    "dataplane/control/connection_list.cc": "to a filter of guidewayd's, which names what is wrong with it",
    "dataplane/control/contract/framing.cc": "about a peer's bytes: the server says what it closed",
    "dataplane/control/contract/state.cc": "about a message, or a file's bytes: the server and load_file() say the rest",
    "dataplane/control/succession.cc": "another engine's refusal, in its words, which end with the remedy",
    "dataplane/control/synthetic_packet.cc": "to who traces a packet: the field and its reason",
    "dataplane/control/tracing.cc": "likewise",
}


def without_remedy(source, line):
    """What of the line lacks a remedy, as (what, instead)."""
    code = COMMENT.sub("", line)
    if not source.startswith("log/") and (found := LINE.search(code)):
        return found[0], "log::warn or log::error of log/trouble.h"
    if source.startswith(OF_STATUSES) and source not in ANSWERS and (found := STATUS.search(code)):
        return found[0], "log::failure or log::system_failure"
    return None


def check(root):
    """The violations, as sentences, and how many files were read."""
    wrong, count = [], 0
    for source in sorted(sources(root, SOURCE)):
        count += 1
        with open(os.path.join(root, source), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if found := without_remedy(source, line):
                    wrong.append(f"{source}:{number}: {found[0]}...) has no remedy: use {found[1]}")
    return wrong, count


def outdated(root):
    """Of ANSWERS, as sentences: what isn't there, or has no such status any more."""
    for source in sorted(ANSWERS):
        path = os.path.join(root, source)
        if not os.path.exists(path):
            yield f"{source} is excepted and isn't there"
            continue
        with open(path, encoding="utf-8") as text:
            if not STATUS.search(text.read()):
                yield f"{source} is excepted and needs it no more"


FORBIDDEN = [
    ("dataplane/control/a.cc", 'spdlog::warn("no room");'),
    ("mgmt/a.cc", '  if (bad) spdlog::error("{}", why);'),
    ("lb/a.h", 'spdlog::critical("the end");'),
    ("xdp/a.cc", 'return absl::NotFoundError("no interface");'),
    ("xdp/a.h", 'return absl::ErrnoToStatus(errno, "can\'t write");'),
    ("dataplane/a.cc", 'if (a == b) return absl::InternalError("worker");'),
    ("dataplane/control/routing/a.cc", "s.Update(absl::ResourceExhaustedError(text));"),
]
ALLOWED = [
    ("log/a.cc", 'spdlog::warn("no room");'),
    ("mgmt/a_test.cc", 'spdlog::warn("no room");'),
    ("mgmt/a.cc", 'spdlog::info("running");'),
    ("mgmt/a.cc", 'log::warn({"memory", "too little", "free some"});'),
    ("mgmt/a.cc", 'return absl::NotFoundError("no service");'),
    ("xdp/a_test.cc", 'return absl::NotFoundError("no interface");'),
    ("xdp/a.cc", 'return log::failure(absl::StatusCode::kNotFound, "no interface", "see `ip link`");'),
    ("xdp/a.cc", "if (absl::IsNotFound(s)) return s;  // not absl::NotFoundError(), as ever"),
    ("xdp/a.cc", 'if (s == absl::NotFoundError("x")) return;'),
    ("dataplane/control/tracing.cc", 'refuse(absl::InvalidArgumentError("port"));'),
]


def self_test():
    for cases, expected in ((FORBIDDEN, 1), (ALLOWED, 0)):
        for path, line in cases:
            with tempfile.TemporaryDirectory() as root:
                os.makedirs(os.path.dirname(f"{root}/{path}"))
                with open(f"{root}/{path}", "w", encoding="utf-8") as source:
                    source.write(f"// a line before\n{line}\n")
                wrong, count = check(root)
                read = 0 if path.endswith("_test.cc") else 1
                assert (len(wrong), count) == (expected, read), f"{path}: {line}: {wrong}"
    with tempfile.TemporaryDirectory() as root:
        assert len(list(outdated(root))) == len(ANSWERS)
        os.makedirs(f"{root}/dataplane/control")
        with open(f"{root}/dataplane/control/tracing.cc", "w", encoding="utf-8") as source:
            source.write('refuse(absl::InvalidArgumentError("port"));\n')
        assert len(list(outdated(root))) == len(ANSWERS) - 1


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    wrong, count = check(root)
    wrong += outdated(root)
    print("\n".join(wrong) or f"{count} files, every error with its remedy")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
