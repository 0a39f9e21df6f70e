#!/usr/bin/python3
"""What a client notices while engine and daemon come and go.

  outages.py stream STOP ADDRESS...        downloads of known content, on one connection to each address, until the file
                                           STOP is there. Code 1 if a connection broke or content was another.
  outages.py probe STOP LOG ADDRESS        a datagram each millisecond of one flow to port 7, likewise; what was sent when,
                                           and whether it was answered, goes to LOG.
  outages.py report EVENTS NAME=LOG...     the longest gap after each event ("TIME TEXT" lines), as its probes saw it: from
                                           the first datagram that wasn't answered to the next that was.
"""
import hashlib
import http.client
import json
import os
import select
import socket
import statistics
import sys
import threading
import time

SIZE = 1000000  # of /steady
WAIT = 20.0  # TCP sends again after 0.2, 0.4, 0.8… seconds
PERIOD = 0.001


def steady():
    return b"".join(b"%d\n" % n for n in range(1000000, 1000000 + SIZE // 8))


def stream(stop, address, results):
    want = hashlib.sha256(steady()).digest()
    connection = http.client.HTTPConnection(address, 80, timeout=WAIT)
    times = 0
    try:
        connection.connect()
        before = connection.sock.getsockname()
        while not os.path.exists(stop):
            connection.request("GET", "/steady")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or hashlib.sha256(body).digest() != want:
                raise ValueError(f"status {answer.status}, {len(body)} bytes that are others")
            if connection.sock is None or connection.sock.getsockname() != before:
                raise ValueError("the server closed it")
            times += 1
        results[address] = (times, None)
    except (OSError, ValueError, http.client.HTTPException) as error:
        results[address] = (times, f"{type(error).__name__}: {error}")


def streams(stop, addresses):
    results = {}
    threads = [threading.Thread(target=stream, args=(stop, a, results)) for a in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    broken = {a: error for a, (_, error) in results.items() if error}
    for address, error in sorted(broken.items()):
        print(f"the connection to {address} broke after {results[address][0]} downloads: {error}")
    print(f"{sum(times for times, _ in results.values())} downloads on {len(addresses)} connections, {len(broken)} broken")
    return 1 if broken else 0


def probe(stop, log, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.connect((address, 7))
    one.setblocking(False)
    sent, answered = [], set()
    until = None
    due = time.monotonic()
    while until is None or time.monotonic() < until:
        if until is None and os.path.exists(stop):
            until = time.monotonic() + 1.0
        if until is None and time.monotonic() >= due:
            due = max(due + PERIOD, time.monotonic() - 10 * PERIOD)
            sent.append(time.time())
            try:
                # The answer has as many bytes as were asked with, and begins with how many: the length says which it was.
                one.send(b"?" * (64 + len(sent) % 1000))
            except OSError:
                pass  # an ICMP error about an earlier one
        select.select([one], [], [], max(0.0, min(due - time.monotonic(), PERIOD)))
        while True:
            try:
                length = len(one.recv(2048))
            except BlockingIOError:
                break
            except OSError:
                continue
            # The latest that it can be an answer to.
            last = len(sent)
            answered.add(last - (last - (length - 64)) % 1000)
    with open(log, "w", encoding="utf-8") as file:
        json.dump([[at, n + 1 in answered] for n, at in enumerate(sent)], file)
    return 0


def gaps(events, probes):
    """Of each event, in seconds; what was lost before the first is nobody's."""
    longest = [0.0] * len(events)
    first = None  # that wasn't answered
    for at, answered in probes:
        if not answered:
            first = at if first is None else first
        elif first is not None:
            # That of the last event before it began, or just as it did.
            of = max((i for i, (when, _) in enumerate(events) if when <= first + 0.05), default=None)
            if of is not None:
                longest[of] = max(longest[of], at - first)
            first = None
    return longest


def report(path, logs):
    with open(path, encoding="utf-8") as file:
        events = [(float(time_), text) for time_, text in (line.rstrip("\n").split(" ", 1) for line in file)]
    kinds = sorted({text for _, text in events})
    for name, log in (item.split("=", 1) for item in logs):
        with open(log, encoding="utf-8") as file:
            probes = json.load(file)
        lost = sum(not answered for _, answered in probes)
        print(f"{name}: {len(probes)} datagrams, {lost} lost")
        longest = gaps(events, probes)
        for kind in kinds:
            of = [gap * 1000 for gap, (_, text) in zip(longest, events) if text == kind]
            print(f"  {kind} ({len(of)}): longest gap {statistics.median(of):.0f} ms (median), {max(of):.0f} ms (worst)")
        if lost == len(probes):
            print(f"{name}: nothing was answered")
            return 1
    return 0


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "stream":
        sys.exit(streams(rest[0], rest[1:]))
    elif what == "probe":
        sys.exit(probe(*rest))
    else:
        sys.exit(report(rest[0], rest[1:]))
