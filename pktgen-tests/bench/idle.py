"""What ./dev bench idle measures in the lab (pktgen-tests/lab.sh): how much of a core the engine takes without traffic, and
how long the first packet waits then. Pings of a VIP are answered by the worker itself.

`idle.py RUN PREFIX [--seconds S] [--json FILE]`"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import time

import records

VIP = "192.0.2.10"


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def round_trips(prefix, interval, count):
    """Microseconds."""
    told = subprocess.run(["ip", "netns", "exec", f"{prefix}-client", "ping", "-n", "-i", str(interval), "-c", str(count), VIP],
                          stdout=subprocess.PIPE, text=True, check=False).stdout
    times = [float(t) * 1000 for t in re.findall(r"time=([0-9.]+) ms", told)]
    if len(times) != count:
        raise SystemExit(f"idle: {count - len(times)} of {count} pings of {VIP} weren't answered")
    return times


def main():
    parser = argparse.ArgumentParser(prog="./dev bench idle")
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("prefix")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", help="write the records to this file too")
    options = parser.parse_args()
    pid = int((options.run / "pids/engine").read_text(encoding="ascii"))
    round_trips(options.prefix, 0.01, 50)  # neighbours are known then
    time.sleep(1)
    before, start = processor_seconds(pid), time.monotonic()
    time.sleep(options.seconds)
    share = (processor_seconds(pid) - before) / (time.monotonic() - start)
    print(f"without traffic the engine takes {100 * share:.2f} % of a core (all threads, {options.seconds:g} s)")
    busy = round_trips(options.prefix, 0.002, 1000)
    idle = round_trips(options.prefix, 0.1, 100)
    found = [{"scenario": "idle without traffic", "core_percent": 100 * share, "seconds": options.seconds}]
    for name, times in (("while it is awake, every 2 ms", busy), ("the first after 100 ms of silence", idle)):
        middle, p99 = statistics.median(times), sorted(times)[len(times) * 99 // 100 - 1]
        print(f"{name:36} {middle:7.0f} us there and back, p99 {p99:7.0f} us, of {len(times)} none lost")
        found.append({"scenario": f"idle {name}", "us": middle, "p99_us": p99, "pings": len(times)})
    print(f"ratio of the medians {statistics.median(idle) / statistics.median(busy):26.2f}")
    records.write(options.json, found)


if __name__ == "__main__":
    main()
