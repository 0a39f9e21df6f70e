#!/usr/bin/python3
"""Whether what stands in two files is the same, once as JSON and once as YAML: `same_content.py JSON YAML`. Ends with 1 and
says what differs. Times of samples are left out.

The YAML is what the command line writes, a small part of the language: blocks, a scalar a line, strings plain or in quotes
of either kind. It is read here by other rules than those that wrote it; what doesn't belong to that part is refused.
"""
import json
import re
import sys

KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(?: (.+))?")
NO_STRING = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # to YAML 1.1
SAMPLED = {"time", "seconds"}


class Yaml:
    def __init__(self, text):
        self.lines = [(len(line) - len(line.lstrip(" ")), line.lstrip(" ")) for line in text.splitlines()]
        if self.lines[0] == (0, "---"):
            self.lines.pop(0)
        self.value = self.node()
        if self.lines:
            raise ValueError(f"'{self.lines[0][1]}' belongs to nothing")

    def node(self):
        indent, text = self.lines[0]
        if text.startswith("- "):
            items = []
            while self.lines and self.lines[0][0] == indent and self.lines[0][1].startswith("- "):
                self.lines[0] = indent + 2, self.lines[0][1][2:]
                items.append(self.node())
            return items
        if not KEY.fullmatch(text):
            self.lines.pop(0)
            return scalar(text)
        fields = {}
        while self.lines and self.lines[0][0] == indent and (found := KEY.fullmatch(self.lines[0][1])):
            self.lines.pop(0)
            name, rest = found.groups()
            if name in fields:
                raise ValueError(f"{name} stands twice")
            if rest is None and self.lines[0][0] < indent + (not self.lines[0][1].startswith("- ")):
                raise ValueError(f"{name} has no value")
            fields[name] = self.node() if rest is None else scalar(rest)
        return fields


def scalar(text):
    if re.fullmatch(r"[A-Za-z/].*", text):
        if text in ("true", "false", "null"):
            return json.loads(text)
        if text.lower() in NO_STRING or ": " in text or " #" in text or text.endswith(":"):
            raise ValueError(f"'{text}' is no string without quotes")
        return text
    if re.fullmatch(r"'([^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    try:
        return json.loads(text)  # a number, a string in double quotes, [] or {}
    except json.JSONDecodeError:
        raise ValueError(f"{text} can't be read") from None


def without_times(value):
    if isinstance(value, list):
        return [without_times(v) for v in value]
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in SAMPLED}
    return value


def main():
    texts = [open(name, encoding="utf-8").read() for name in sys.argv[1:]]
    try:
        as_json, as_yaml = without_times(json.loads(texts[0])), without_times(Yaml(texts[1]).value)
    except ValueError as wrong:
        sys.exit(f"{wrong}: {texts}")
    if json.dumps(as_json, sort_keys=True) != json.dumps(as_yaml, sort_keys=True):  # 1 is another than true and 1.0
        sys.exit(f"JSON has {as_json}, YAML has {as_yaml}")


if __name__ == "__main__":
    main()
