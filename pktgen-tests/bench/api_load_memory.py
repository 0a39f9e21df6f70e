"""Where ./dev bench api loads the API at full rate: engine and daemon in a directory of their own, on this host. The engine
forwards what a pcap file holds, over and over, on a core of its own, and packets are told by second of the worker's own
time, so that other programs on its core don't count."""
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

NEXT_HOP = "02:00:00:00:00:fe"
GATEWAY = """
apiVersion: guideway.io/v1alpha1
kind: GatewayConfig
metadata: {name: gateway}
spec:
  encapsulation: {sourceIPv4: 198.51.100.1}
  floodGuard: {newFlowsPerSecond: 100000000}
"""


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


SYN, ACK = 2, 16


def frame(flow, vips, flags):
    """64 bytes with the frame's check sequence: a TCP packet of a client's to one of the VIPs."""
    source = bytes((10, 2, 0, flow // 50_000))
    vip = bytes(int(number) for number in vips[flow % len(vips)].split("."))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 46, 0, 0, 64, 6, 0) + source + vip
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tcp = struct.pack("!HHIIBBHHH", 10_000 + flow % 50_000, 80, 1, 1, 0x50, flags, 1000, 0, 0)
    return bytes.fromhex("020000000001" "020000000002" "0800") + ip + tcp + bytes(6)


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for f in frames:
            file.write(struct.pack("<IIII", 0, 0, len(f), len(f)) + f)


class Memory:
    unit = "packets/s of worker's time"

    def __init__(self, build, vips, connections):
        self.build = pathlib.Path(build)
        # In memory: each change waits for the disk, and a slow one would make the load smaller.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="guideway-api-load-", dir="/dev/shm"))
        (self.directory / "manifests").mkdir()
        (self.directory / "manifests/gateway.yaml").write_text(GATEWAY, encoding="utf-8")
        opening = (frame(f, vips, flags) for f in range(connections) for flags in (SYN, ACK))
        write_pcap(self.directory / "open.pcap", opening)
        write_pcap(self.directory / "loop.pcap", (frame(f, vips, ACK) for f in range(1_000)))
        self.server = f"unix:{self.directory}/guideway.sock"
        self.running = []
        self.start("daemon", self.build / "mgmt/guidewayd", "--manifests", self.directory / "manifests",
                   "--state-dir", self.directory / "daemon", "--engine", self.directory / "engine.sock",
                   "--listen", self.server, "--log-level", "warn")
        self.engine = self.start_engine("net_null0")

    def start(self, name, *words):
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.running.append(process)
        return process

    def start_engine(self, *devices):
        ports = [word for d in devices for word in ("--port", f"dpdk:{d}@{NEXT_HOP}")]
        return self.start("engine", self.build / "dataplane/guideway-engine", *ports, "--socket",
                          self.directory / "engine.sock", "--state-dir", self.directory / "engine", "--table-dir",
                          self.directory / "tables")

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait()
        self.running.remove(process)

    def close(self):
        for process in list(self.running):
            self.end(process)
        shutil.rmtree(self.directory)

    def logs(self):
        return self.directory.glob("*.log")

    def connect(self, api):
        """A new engine, which has the objects in force before the first packet."""
        api.wait(lambda: os.path.getsize(self.directory / "engine/snapshot"))
        self.end(self.engine)
        self.engine = self.start_engine(f"net_pcap0,rx_pcap={self.directory}/loop.pcap,infinite_rx=1",
                                        f"net_pcap1,rx_pcap={self.directory}/open.pcap")

    def forward(self, api, seconds):
        times, before = self.thread_times(), api.worker().sent
        time.sleep(seconds)
        end_times, after = self.thread_times(), api.worker().sent
        worked = max(end_times[t] - times[t] for t in times if t in end_times)  # the worker's never rests
        return (after - before) / worked

    def thread_times(self):
        """Seconds that each of the engine's threads has run."""
        tasks = pathlib.Path(f"/proc/{self.engine.pid}/task")
        return {t.name: int((t / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9 for t in tasks.iterdir()}
