"""Plays the cluster's endpoint controller: rewrites a server's conditions in all EndpointSlices of a directory.

Knows the layout of configs/lab/ only; it is no YAML parser.
"""
import glob
import os
import re


class Endpoints:
    def __init__(self, directory):
        self.directory = directory

    def set(self, server, **conditions):
        for path in sorted(glob.glob(f"{self.directory}/*.yaml")):
            with open(path, encoding="utf-8") as file:
                before = file.read()
            after = with_conditions(before, server, conditions)
            if after != before:
                replace(path, after)


def with_conditions(text, server, conditions):
    lines = "".join(f"    {name}: {str(value).lower()}\n" for name, value in conditions.items())
    return re.sub(rf"(  conditions:\n)(?:    \w+: \w+\n)+(  nodeName: {server}\n)",
                  lambda found: found[1] + lines + found[2], text)


def replace(path, text):
    """Whole files only: written beside, under a name that isn't read, then renamed."""
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(beside, path)
