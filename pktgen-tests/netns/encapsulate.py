#!/usr/bin/python3
"""A gateway of one rule, for testing the lab without the engine: `encapsulate.py TUN REAL`.

What the kernel routes to TUN leaves towards REAL inside another IP header. It balances nothing and is slow.
"""
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def main():
    name, real = sys.argv[1:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    family = socket.AF_INET6 if ":" in real else socket.AF_INET
    # A raw socket's protocol is the outer header's next header: 4 for IPv4 inside, 41 for IPv6.
    outer = {version: socket.socket(family, socket.SOCK_RAW, protocol) for version, protocol in ((4, 4), (6, 41))}
    print("ready", flush=True)
    while True:
        packet = os.read(tun, 2048)
        version = packet[0] >> 4
        if version in outer:
            outer[version].sendto(packet, (real, 0))


if __name__ == "__main__":
    main()
