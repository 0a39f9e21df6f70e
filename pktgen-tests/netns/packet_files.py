"""Clients' packets for a VIP as a pcap file, and what a gateway in dsr-ipip must have made of them.

packet_files.py write IN VIP...       10 SYNs for port 80 of each VIP, and one for a port that is none
packet_files.py check IN OUT MAC SOURCE REAL...   each of IN's packets stands in OUT once, encapsulated, sent to MAC
"""
import ipaddress
import struct
import sys

MAGIC, ETHERNET = 0xA1B2C3D4, 1
CLIENT_MAC, GATEWAY_MAC = bytes.fromhex("0200000000c1"), bytes.fromhex("020000000001")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(vip, source_port, port):
    """The checksum of TCP isn't the gateway's to judge."""
    tcp = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 0x50, 2, 65000, 0, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 7, 0x4000, 63, 6, 0,
                       ipaddress.ip_address("203.0.113.9").packed, ipaddress.ip_address(vip).packed)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return GATEWAY_MAC + CLIENT_MAC + b"\x08\x00" + head + tcp


def write(path, vips):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 65535, ETHERNET))
        for vip in vips:
            for port in [80] * 10 + [81]:
                packet = syn(vip, 40000 + file.tell() % 10000, port)
                file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    packets, at = [], 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        packets.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return packets


def check(sent, got, mac, source, reals):
    expected = sorted(p[14:] for p in read(sent) if p[36:38] == b"\x00\x50")
    seen = []
    used = set()
    for p in read(got):
        assert p[:6] == bytes.fromhex(mac.replace(":", "")), f"sent to {p[:6].hex(':')}"
        assert p[12:15] == b"\x08\x00\x45" and p[23] == 4, "not IP in IP"
        assert checksum(p[14:34]) == 0, "a wrong checksum of the outer header"
        assert str(ipaddress.ip_address(p[26:30])) == source, "not from the encapsulation's source"
        used.add(str(ipaddress.ip_address(p[30:34])))
        seen.append(p[34:])
    assert sorted(seen) == expected, f"{len(expected)} packets were to come out, {len(seen)} did"
    assert used == set(reals), f"went to {used}"


if sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3:])
else:
    check(*sys.argv[2:6], sys.argv[6:])
