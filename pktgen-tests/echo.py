#!/usr/bin/python3
"""UDP for the lab: `echo.py serve NAME PORT,PORT ADDRESS...` answers each datagram with "NAME LENGTH CLIENT" and with as
many bytes as came; `echo.py ask ADDRESS PORT COUNT SIZE` sends COUNT datagrams of SIZE bytes, each from a socket of its own
(a flow of its own), and prints the answers counted. Code 1 if one doesn't come within two seconds; nothing is sent twice.
"""
import collections
import select
import socket
import sys
import time

WAIT = 2.0
AT_ONCE = 50  # sockets' buffers are small
AT_ONCE_BYTES = 40000  # in fragments they take twice their size


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(name, ports, addresses):
    poll = select.epoll()
    sockets = {}
    for address in addresses:
        for port in ports.split(","):
            one = socket.socket(family(address), socket.SOCK_DGRAM)
            one.bind((address, int(port)))
            sockets[one.fileno()] = one
            poll.register(one, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fileno, _ in poll.poll():
            text, sender = sockets[fileno].recvfrom(65536)
            answer = f"{name} {len(text)} {sender[0]}\n".encode()
            sockets[fileno].sendto(answer.ljust(len(text), b"."), sender)


def ask(address, port, count, size):
    answers = collections.Counter()
    at_once = AT_ONCE if size <= 1500 else max(1, AT_ONCE_BYTES // size)
    while count > 0:
        answers.update(ask_some(address, int(port), min(count, at_once), size))
        count -= at_once
    for answer, times in sorted(answers.items()):
        print(times, answer)
    return 1 if any("no answer" in a or "cut" in a for a in answers) else 0


def ask_some(address, port, count, size):
    sockets = [socket.socket(family(address), socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.connect((address, port))
        one.send(b"?" * size)
    deadline = time.monotonic() + WAIT
    for one in sockets:
        one.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            text = one.recv(65536)
            whole = "" if len(text) == max(size, len(text.split(b"\n")[0]) + 1) else f" cut to {len(text)} bytes"
            yield text.split(b"\n")[0].decode() + whole
        except OSError as error:
            yield f"no answer: {error}"
        one.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
