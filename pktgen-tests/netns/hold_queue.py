#!/usr/bin/python3
"""Binds an AF_XDP socket to the first queue of an interface, says so, and keeps it until it is ended.

  hold_queue.py IFNAME

As a program would that isn't ours; see the kernel's Documentation/networking/af_xdp.rst.
"""
import ctypes
import mmap
import os
import signal
import socket
import struct
import sys

AF_XDP, SOL_XDP = 44, 283
XDP_RX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 2, 4, 5, 6
XDP_COPY = 1 << 1
FRAME, FRAMES = 4096, 64

holder = socket.socket(AF_XDP, socket.SOCK_RAW)
memory = mmap.mmap(-1, FRAME * FRAMES)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
holder.setsockopt(SOL_XDP, XDP_UMEM_REG, struct.pack("=QQIIII", address, FRAME * FRAMES, FRAME, 0, 0, 0))
for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
    holder.setsockopt(SOL_XDP, ring, struct.pack("=I", FRAMES))
to = struct.pack("=HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(sys.argv[1]), 0, 0)
libc = ctypes.CDLL(None, use_errno=True)
if libc.bind(holder.fileno(), to, len(to)) != 0:
    sys.exit(f"{sys.argv[1]}: {os.strerror(ctypes.get_errno())}")
print("bound", flush=True)
signal.pause()
