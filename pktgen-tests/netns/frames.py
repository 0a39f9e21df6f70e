#!/usr/bin/python3
"""Whole frames on a link: `frames.py send NAME` sends those that stand on standard input, a line of hex each;
`frames.py catch NAME` prints, after "ready", each that comes in by the link.
"""
import socket
import sys

ETH_P_ALL = 3

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
link.bind((sys.argv[2], ETH_P_ALL))
if sys.argv[1] == "send":
    for line in sys.stdin:
        link.send(bytes.fromhex(line))
else:
    print("ready", flush=True)
    while True:
        frame, (_, _, kind, *_) = link.recvfrom(65536)
        if kind != socket.PACKET_OUTGOING:
            print(frame.hex(), flush=True)
