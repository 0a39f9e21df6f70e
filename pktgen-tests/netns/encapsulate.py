#!/usr/bin/python3
"""A gateway of one rule, for testing the lab without the engine: `encapsulate.py TUN REAL ipip|gue`.

What the kernel routes to TUN leaves towards REAL inside another IP header, or inside UDP to port 6080 (GUE, variant 1).
It balances nothing and is slow. `gue-wrong` spoils the UDP checksum, for the receiver to see.
"""
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
GUE_PORT = 6080


def ipip(family, real):
    # A raw socket's protocol is the outer header's next header: 4 for IPv4 inside, 41 for IPv6.
    outer = {version: socket.socket(family, socket.SOCK_RAW, protocol) for version, protocol in ((4, 4), (6, 41))}
    return lambda packet: outer[packet[0] >> 4].sendto(packet, (real, 0))


def gue(family, real):
    outer = socket.socket(family, socket.SOCK_DGRAM)
    return lambda packet: outer.sendto(packet, (real, GUE_PORT))


def gue_wrong(family, real):
    outer = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    return lambda packet: outer.sendto(struct.pack("!4H", 50000, GUE_PORT, 8 + len(packet), 1) + packet, (real, 0))


def main():
    name, real, kind = sys.argv[1:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    family = socket.AF_INET6 if ":" in real else socket.AF_INET
    send = {"ipip": ipip, "gue": gue, "gue-wrong": gue_wrong}[kind](family, real)
    print("ready", flush=True)
    while True:
        packet = os.read(tun, 2048)
        if packet[0] >> 4 in (4, 6):
            send(packet)


if __name__ == "__main__":
    main()
