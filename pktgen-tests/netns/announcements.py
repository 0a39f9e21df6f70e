"""Prints who announces an address on the link, unasked, until it is ended: "10.77.1.50 02:...", a line a message."""
import ipaddress
import socket
import sys

ETH_P_ALL = 3


def announcement(frame):
    """The address and MAC address of a gratuitous ARP request or an unsolicited neighbour advertisement, or None."""
    kind, body = frame[12:14], frame[14:]
    if kind == b"\x08\x06" and body[14:18] == body[24:28]:
        return ipaddress.ip_address(body[14:18]), body[8:14]
    if kind == b"\x86\xdd" and body[6] == 58 and body[40] == 136 and not body[44] & 0x40:
        return ipaddress.ip_address(body[48:64]), body[66:72]
    return None


def main():
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.bind((sys.argv[1], 0))
    while True:
        frame, source = link.recvfrom(2048)
        seen = announcement(frame) if source[2] != socket.PACKET_OUTGOING else None
        if seen:
            print(seen[0], seen[1].hex(":"), flush=True)


main()
