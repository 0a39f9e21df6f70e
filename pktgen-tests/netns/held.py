#!/usr/bin/python3
"""Connections that a client holds.

  held.py ADDRESS COUNT    opens them, asks / on each, and prints which server has how many; then asks again for each line of
                           standard input, and prints how many of those that stood broke.
"""
import asyncio
import collections
import sys

WAIT = 10.0


async def ask(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nHost: held\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head)
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return (await asyncio.wait_for(reader.readexactly(length), WAIT)).decode().strip()


async def main(address, count):
    held = [await asyncio.open_connection(address, 80) for _ in range(count)]
    servers = await asyncio.gather(*(ask(*one) for one in held))
    print(*(f"{n} {server}" for server, n in sorted(collections.Counter(servers).items())), sep=", ", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        answers = await asyncio.gather(*(ask(*one) for one in held), return_exceptions=True)
        broken = [i for i, answer in enumerate(answers) if answer != servers[i]]
        for i in broken:
            held[i][1].close()
        held = [one for i, one in enumerate(held) if i not in broken]
        servers = [server for i, server in enumerate(servers) if i not in broken]
        print(len(broken), flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
