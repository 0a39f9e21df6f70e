#!/usr/bin/python3
"""Tells of ICMP that says "too big" and leaves by an interface: `too_big.py NAME...` prints the interface's name, the
error's destination, the destination port of the TCP segment that it quotes, and the MTU. It only listens.
"""
import select
import socket
import struct
import sys

ETH_P_ALL = 3


def too_big(packet):
    """(destination, quoted port, MTU) of an IPv4 fragmentation-needed or IPv6 packet-too-big, or None."""
    if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_ICMP:
        icmp = packet[(packet[0] & 15) * 4:]
        if icmp[:2] == b"\x03\x04":
            tcp = icmp[8 + (icmp[8] & 15) * 4:]
            return socket.inet_ntop(socket.AF_INET, packet[16:20]), port(tcp), struct.unpack_from("!H", icmp, 6)[0]
    if packet[0] >> 4 == 6 and packet[6] == socket.IPPROTO_ICMPV6 and packet[40] == 2:
        return socket.inet_ntop(socket.AF_INET6, packet[24:40]), port(packet[88:]), struct.unpack_from("!I", packet, 44)[0]
    return None


def port(tcp):
    return struct.unpack_from("!H", tcp, 2)[0]


def main():
    poll = select.epoll()
    sockets = {}
    for name in sys.argv[1:]:
        one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        one.bind((name, ETH_P_ALL))
        sockets[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fileno, _ in poll.poll():
            packet, (name, _, kind, *_) = sockets[fileno].recvfrom(2048)
            found = too_big(packet) if kind == socket.PACKET_OUTGOING else None
            if found:
                print(name, *found, flush=True)


if __name__ == "__main__":
    main()
