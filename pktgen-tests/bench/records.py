"""What a benchmark in Python found, as JSON: the same list as records.h writes."""
import json


def write(file, records):
    """One a line. Without a file's name nothing is written."""
    if file:
        with open(file, "w", encoding="utf-8") as out:
            out.write("[\n  " + ",\n  ".join(json.dumps(r) for r in records) + "\n]\n")
