#!/usr/bin/python3
"""The man pages hold every option and command that the programs have, and groff finds no fault with them.

usage: man_page_test.py PROGRAM... PAGE...     (as many of the one as of the other)
"""
import os
import re
import subprocess
import sys

WORDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "configs/completions/words.sh")


def rendered(page):
    command = ["groff", "-ww", "-man", "-Tascii", "-P-cbou", "-rLL=200n", page]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not ran.stderr, f"{page}: {ran.stderr}"
    return ran.stdout


def words(program, *commands):
    """As the completions read them: not by the page's own reader."""
    out = subprocess.run(["sh", WORDS, program, *commands], capture_output=True, text=True, check=True).stdout
    return [line.split("\t")[0] for line in out.splitlines()]


def lacking_options(text, found):
    options = [word for word in found if word.startswith("-") and word not in ("-h", "--help")]
    return [o for o in options if not re.search(rf"^ +(-\w, )?{o}( |$)|^ +{o},", text, re.M)]


def part_of(text, heading):
    """What stands below a command's heading, up to the next."""
    found = re.search(rf"^   {re.escape(heading)}\n(?P<part>(?:\n| {{4,}}.*\n)*)", text, re.M)
    return found and found["part"]


def lacking(text, program, commands=()):
    """What the page lacks of the program, or of one of its commands."""
    found = words(program, *commands)
    part = part_of(text, " ".join(commands)) if commands else text
    if part is None:
        return [" ".join(commands)]
    out = [" ".join([*commands, option]) for option in lacking_options(part, found)]
    for word in found:
        path = (*commands, word)
        if not word.startswith("-") and words(program, *path) != found:  # else it is a value
            out += lacking(text, program, path)
    return out


def main():
    arguments = sys.argv[1:]
    half = len(arguments) // 2
    assert half and len(arguments) == 2 * half, __doc__
    for program, page in zip(arguments[:half], arguments[half:]):
        text = rendered(page)
        missing = lacking(text, program)
        assert not missing, f"{page} lacks {missing}"
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"):
            assert re.search(rf"^{section}$", text, re.M), f"{page} has no {section}"
        print(f"{page}: {len(text.splitlines())} lines, nothing is missing")


main()
