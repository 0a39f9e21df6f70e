#!/usr/bin/python3
"""UDP in fragments of its own making: `fragments.py ADDRESS PORT COUNT SIZE in-order|reversed|shuffled|headless` sends COUNT
datagrams of SIZE bytes, each from a port of its own, its fragments in that order, and prints the answers counted as
`echo.py ask` does. `headless` leaves the first fragment out, so that no answer is right. Code 1 if one doesn't come within
two seconds; nothing is sent twice. Needs root, for raw sockets.
"""
import collections
import itertools
import random
import socket
import struct
import sys
import time

WAIT = 2.0
FORGOTTEN = 1.2  # seconds after which the gateway knows no fragments any more
PIECE = 1400  # of a datagram, a multiple of 8


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def datagram(source, destination, source_port, port, payload):
    length = 8 + len(payload)
    header = struct.pack("!4H", source_port, port, length, 0)
    pseudo = source + destination + struct.pack("!II", length, socket.IPPROTO_UDP)
    return struct.pack("!4H", source_port, port, length, checksum(pseudo + header + payload)) + payload


def ipv4(source, destination, identity, offset, more, data):
    field = offset // 8 | (0x2000 if more else 0)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), identity & 0xFFFF or 1, field, 64, socket.IPPROTO_UDP, 0) + \
        source + destination + data  # the kernel makes the checksum


def ipv6(source, destination, identity, offset, more, data):
    fragment = struct.pack("!BBHI", socket.IPPROTO_UDP, 0, offset | int(more), identity)
    return struct.pack("!IHBB", 6 << 28, len(fragment) + len(data), 44, 64) + source + destination + fragment + data


# One after the other, as a host counts them: at random two of some hundred are the same within the gateway's memory.
identities = itertools.count(random.getrandbits(31))


def fragments(family, source, destination, whole):
    identity = next(identities)
    wrap = ipv6 if family == socket.AF_INET6 else ipv4
    return [wrap(source, destination, identity, at, at + PIECE < len(whole), whole[at:at + PIECE])
            for at in range(0, len(whole), PIECE)]


def ordered(packets, order):
    return {"in-order": packets, "reversed": packets[::-1], "headless": packets[1:],
            "shuffled": random.sample(packets, len(packets))}[order]


def main():
    address, port, count, size, order = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if family == socket.AF_INET:
        time.sleep(FORGOTTEN)  # ids of 16 bits might be those of the kernel's own fragments, just sent
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    destination = socket.inet_pton(family, address)
    answers = collections.Counter()
    for _ in range(int(count)):
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.connect((address, int(port)))
        one.settimeout(WAIT)
        source, source_port = one.getsockname()[:2]
        whole = datagram(socket.inet_pton(family, source), destination, source_port, int(port), b"?" * int(size))
        for packet in ordered(fragments(family, socket.inet_pton(family, source), destination, whole), order):
            raw.sendto(packet, (address, 0))
        try:
            text = one.recv(65536)
            answers[text.split(b"\n")[0].decode() + ("" if len(text) == int(size) else f" cut to {len(text)} bytes")] += 1
        except OSError as error:
            answers[f"no answer: {error}"] += 1
            break
        one.close()
    for answer, times in sorted(answers.items()):
        print(times, answer)
    return 1 if any("no answer" in a or "cut" in a for a in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
