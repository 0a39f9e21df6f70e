#!/usr/bin/python3
"""The man page of a program, made of what it says itself: its --help, and that of its subcommands.

usage: man_page.py NAME SECTION VERSION PROGRAM     (the page goes to standard output)

CLI11 prints the help: a sentence, "Usage: …", then parts such as "Options:", whose entries begin in the third column and
have their text in the 31st, on the same line or the next. Parts that it doesn't know (exit codes, files) become sections.
"""
import re
import subprocess
import sys

TEXT_COLUMN = 30
# "-o,--output FORMAT:{table,json}=table ... REQUIRED (Env:OUTPUT) Needs: --all Excludes: --count"
OPTION = re.compile(
    r"(?P<names>\S+)(?: (?!Excludes:|Needs:|REQUIRED|\(Env:|\.\.\.)(?P<type>[^=]*?)(?:=(?P<default>\S*))?)?"
    r"(?P<many> \.\.\.)?(?P<required> REQUIRED)?(?: \(Env:(?P<env>\w+)\))?"
    r"(?: Needs: (?P<needs>.*?))?(?: Excludes: (?P<excludes>.*?))?$"
)
CHOICE = re.compile(r":\{(?P<words>.*)\}$|:(?P<range>[\d.]+ to [\d.]+)$")


def help_of(program, words):
    """What it is, how it is used, and its parts: [(title, [(left, text)])]."""
    out = subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout
    what, usage, parts = [], "", []
    lines = out.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("Usage: "):
            usage = line.removeprefix("Usage: ")
        elif re.fullmatch(r"[A-Z].*:", line) and usage:
            parts.append((line[:-1], []))
        elif re.match(r"  \S", line) and parts:
            below = number + 1 < len(lines) and lines[number + 1].startswith(" " * TEXT_COLUMN)
            alone = below or line[TEXT_COLUMN - 1 : TEXT_COLUMN] != " "
            left, text = (line, "") if alone else (line[:TEXT_COLUMN], line[TEXT_COLUMN:])
            parts[-1][1].append([left.strip(), text.strip()])
        elif line.startswith(" " * TEXT_COLUMN) and parts:
            parts[-1][1][-1][1] = f"{parts[-1][1][-1][1]} {line.strip()}".strip()
        elif line and not usage:
            what.append(line)
        elif line:
            raise SystemExit(f"{program} --help: no place for the line '{line}'")
    return " ".join(what), usage, parts


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"\S{40,}", lambda long: re.sub(r"(?<=[,/])", r"\\:", long[0]), text)  # where it may be broken
    text = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)
    return "\\&" + text if text.startswith((".", "'")) else text


def sentence(text, choices=()):
    """What the user types keeps its case."""
    word = re.match(r"[^\s,]*", text)[0]
    if word.isalpha() and word not in choices:
        text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".?!" else text + "."


def option(left, text):
    """Names in bold, the value in italics; what CLI11 puts beside them in words."""
    m = OPTION.fullmatch(left)
    if not m:
        raise SystemExit(f"an option that can't be read: '{left}'")
    kind = m["type"] or ""
    choice = CHOICE.search(kind)
    if choice:
        kind = kind[: choice.start()]
    head = ", ".join(f"\\fB{roff(name)}\\fR" for name in m["names"].split(","))
    if kind:
        head += f" \\fI{roff(kind)}\\fR"
    words = choice["words"].split(",") if choice and choice["words"] else []
    told = [sentence(text, words)]
    if choice and choice["range"]:
        told.append(f"{choice['range']}.")
    if any(word not in text for word in words):
        told.append(f"One of {', '.join(words)}.")
    if m["default"]:
        told.append(f"Default: {m['default']}.")
    if m["env"]:
        told.append(f"If it isn't given, {m['env']} of the environment is taken.")
    if m["required"]:
        told.append("Required.")
    if m["excludes"]:
        told.append(f"Not together with {m['excludes'].strip()}.")
    if m["needs"]:
        told.append(f"Only together with {m['needs'].strip()}.")
    return f".TP\n{head}\n{roff(' '.join(told))}"


def entries(title, items):
    if title in ("Options", "Positionals"):
        return "\n".join(option(left, text) for left, text in items if not left.startswith("-h,"))
    return "\n".join(
        f".TP\n\\fB{roff(left)}\\fR\n{roff(sentence(text))}" if text else f".PP\n{roff(left)}" for left, text in items
    )


def synopsis(name, words, parts):
    """From the parts: CLI11's own usage line leaves out the subcommand's values."""
    known = dict(parts)
    out = f"\\fB{roff(' '.join([name, *words]))}\\fR"
    if "Options" in known:
        out += " [\\fIoptions\\fR]"
    for left, _ in known.get("Positionals", []):
        m = OPTION.fullmatch(left)
        value = CHOICE.sub("", m["type"] or m["names"])
        out += f" \\fI{roff(value)}\\fR" if m["required"] else f" [\\fI{roff(value)}\\fR]"
    if "Subcommands" in known:
        out += " \\fIcommand\\fR ..." if not words else " [\\fIcommand\\fR ...]"
    return out


def commands(program, name, words, parts, inherited):
    """Every subcommand with its own options, and those below it."""
    out = []
    for left, _ in dict(parts).get("Subcommands", []):
        path = [*words, left]
        what, _, own = help_of(program, path)
        out.append(f".SS {roff(' '.join(path))}\n{synopsis(name, path, own)}\n.PP\n{roff(sentence(what))}")
        for title, items in own:
            if title in ("Options", "Positionals"):
                text = entries(title, [i for i in items if i not in inherited])
                out += [text] if text else []
        out += commands(program, name, path, own, inherited)
    return out


def page(name, section, version, program):
    what, _, parts = help_of(program, [])
    first = re.split(r"(?<=[.:])\s", what)[0].rstrip(".:")
    if not first.startswith("Guideway"):
        first = first[:1].lower() + first[1:]
    out = [
        f'.TH {name.upper()} {section} "" "Guideway {version}" "Guideway"',
        f".SH NAME\n{roff(name)} \\- {roff(first)}",
        f".SH SYNOPSIS\n{synopsis(name, [], parts)}",
        f".SH DESCRIPTION\n{roff(sentence(what))}",
    ]
    for title, items in parts:
        if title == "Subcommands":
            out += [".SH COMMANDS", *commands(program, name, [], parts, [])]
        else:
            out += [f".SH {roff(title.upper())}", entries(title, items)]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    print(page(*sys.argv[1:5]), end="")
