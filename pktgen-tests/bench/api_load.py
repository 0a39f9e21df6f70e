"""./dev bench api: what the API costs the packets. The real engine forwards what a pcap file holds, over and over, on a core
of its own; daemon and clients share the others. In turns nothing is asked of the API, 1,000 changes a second are made
(nine weights of backends, then a Service and its EndpointSlice), and 100,000 connections are listed page by page. Packets
are told by second of the worker's own time, so that other programs on its core don't count. Run with a build directory and
the directory of the stubs that protoc generated; prints medians and their ratios, and says if the changes were fewer than
they should be. It fails where a call does."""
import argparse
import os
import pathlib
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import grpc

SERVICES = 50
CONNECTIONS = 100_000
RATE = 1_000  # changes a second
ENOUGH = 0.95  # of it
APPLY_EVERY = 10  # changes, one of objects
WRITERS = 8
NEXT_HOP = "02:00:00:00:00:fe"

GATEWAY = """
apiVersion: guideway.io/v1alpha1
kind: GatewayConfig
metadata: {name: gateway}
spec:
  encapsulation: {sourceIPv4: 198.51.100.1}
  floodGuard: {newFlowsPerSecond: 100000000}
"""
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: s%(i)d, annotations: {guideway.io/forwarding-mode: dsr-ipip, change: "%(change)d"}}
spec:
  type: LoadBalancer
  ports: [{name: http, port: 80, protocol: TCP}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.%(vip)d}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s%(i)d-1, labels: {kubernetes.io/service-name: s%(i)d}}
addressType: IPv4
endpoints: [%(endpoints)s]
ports: [{name: http, port: 80, protocol: TCP}]
"""
BACKENDS = 10


def backend(service, n):
    return f"10.1.{service}.{n + 1}"


def service(i, change=0):
    """With one backend more after each second change."""
    endpoints = ", ".join("{addresses: [%s]}" % backend(i, n) for n in range(BACKENDS + change % 2))
    return SERVICE % {"i": i, "vip": i + 1, "endpoints": endpoints, "change": change}


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


SYN, ACK = 2, 16


def frame(flow, flags):
    """64 bytes with the frame's check sequence: a TCP packet of a client's to one of the VIPs."""
    source = (10 << 24) + (2 << 16) + flow // 50_000
    vip = (192 << 24) + (2 << 8) + flow % SERVICES + 1
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 6, 0, source, vip)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tcp = struct.pack("!HHIIBBHHH", 10_000 + flow % 50_000, 80, 1, 1, 0x50, flags, 1000, 0, 0)
    return bytes.fromhex("020000000001" "020000000002" "0800") + ip + tcp + bytes(6)


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for f in frames:
            file.write(struct.pack("<IIII", 0, 0, len(f), len(f)) + f)


class Site:
    """Engine and daemon in a directory of their own."""

    def __init__(self, build, directory):
        self.build, self.directory = pathlib.Path(build), pathlib.Path(directory)
        (self.directory / "manifests").mkdir()
        (self.directory / "manifests/gateway.yaml").write_text(GATEWAY, encoding="utf-8")
        write_pcap(self.directory / "open.pcap", (frame(f, flags) for f in range(CONNECTIONS) for flags in (SYN, ACK)))
        write_pcap(self.directory / "loop.pcap", (frame(f, ACK) for f in range(1_000)))
        self.server = f"unix:{self.directory}/guideway.sock"
        self.running = []

    def start(self, name, *words):
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.running.append(process)
        return process

    def start_daemon(self):
        return self.start("daemon", self.build / "mgmt/guidewayd", "--manifests", self.directory / "manifests",
                          "--state-dir", self.directory / "daemon", "--engine", self.directory / "engine.sock",
                          "--listen", self.server, "--log-level", "warn")

    def start_engine(self, *devices):
        ports = [word for d in devices for word in ("--port", f"dpdk:{d}@{NEXT_HOP}")]
        return self.start("engine", self.build / "dataplane/guideway-engine", *ports, "--socket",
                          self.directory / "engine.sock", "--state-dir", self.directory / "engine")

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait()
        self.running.remove(process)

    def close(self):
        for process in list(self.running):
            self.end(process)


class Api:
    def __init__(self, site, stubs):
        sys.path.insert(0, stubs)
        from mgmt.api import appliance_pb2, appliance_pb2_grpc
        self.messages = appliance_pb2
        self.server, self.make = site.server, appliance_pb2_grpc.ApplianceStub
        self.stub = self.connect()

    def apply_all(self):
        text = "".join(service(i) for i in range(SERVICES))
        self.stub.ApplyObjects(self.messages.ApplyObjectsRequest(manifests=text), wait_for_ready=True)

    def connect(self):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        return self.make(grpc.insecure_channel(self.server, options))

    def worker(self):
        return self.stub.GetStatus(self.messages.GetStatusRequest(), wait_for_ready=True).engine.status.workers[0]

    def wait(self, until):
        for _ in range(600):
            try:
                if until():
                    return
            except (grpc.RpcError, IndexError):
                pass
            time.sleep(0.1)
        raise SystemExit("api_load: engine and daemon don't come to the state that is to be measured")

    def change(self, stop, counts, index):
        """Services in turn, at its share of the rate; late ones are made up for."""
        stub, start, done = self.connect(), time.monotonic(), 0
        mine = range(index, SERVICES, WRITERS)
        while not stop.is_set():
            i = mine[done % len(mine)]
            if done % APPLY_EVERY == 0:
                stub.ApplyObjects(self.messages.ApplyObjectsRequest(manifests=service(i, done // APPLY_EVERY)))
            else:
                stub.SetBackendWeight(self.messages.SetBackendWeightRequest(
                    name=f"s{i}", address=backend(i, done % BACKENDS), weight=1 + done % 3))
            done += 1
            counts[index] = done
            stop.wait(max(0.0, start + done * WRITERS / RATE - time.monotonic()))

    def list(self, stop, counts, index):
        stub, token = self.connect(), ""
        while not stop.is_set():
            page = stub.ListConnections(self.messages.ListConnectionsRequest(page_size=1_000, page_token=token))
            token = page.next_page_token
            counts[index] += len(page.connections)


def thread_times(process):
    """Seconds that each thread of a process has run."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task")
    return {t.name: int((t / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9 for t in tasks.iterdir()}


def measure(api, engine, seconds, work, workers):
    """Packets sent while `work` runs, by second of the worker's time, and what it did a second."""
    stop, counts, failed = threading.Event(), [0] * max(workers, 1), []

    def run(index):
        try:
            work(stop, counts, index)
        except Exception as error:  # whatever it is, the figures would be wrong
            failed.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(workers)]
    for t in threads:
        t.start()
    time.sleep(0.2)
    times, before, start, done = thread_times(engine), api.worker().sent, time.monotonic(), sum(counts)
    time.sleep(seconds)
    end_times, after, end, all_done = thread_times(engine), api.worker().sent, time.monotonic(), sum(counts)
    worked = max(end_times[t] - times[t] for t in times if t in end_times)  # the worker's never rests
    stop.set()
    for t in threads:
        t.join()
    if failed:
        first = failed[0].details() if isinstance(failed[0], grpc.RpcError) else repr(failed[0])
        raise SystemExit(f"api_load: {len(failed)} of {workers} clients failed; the first: {first}")
    return (after - before) / worked, (all_done - done) / (end - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("stubs")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    # In memory: each change waits for the disk, and a slow one would make the load smaller.
    directory = tempfile.mkdtemp(prefix="guideway-api-load-", dir="/dev/shm")
    site = Site(options.build, directory)
    try:
        site.start_daemon()
        api = Api(site, options.stubs)
        # Its state is saved, so that it is in force before the first packet.
        first = site.start_engine("net_null0")
        api.apply_all()
        api.wait(lambda: api.stub.GetStatus(api.messages.GetStatusRequest()).engine.status.services == SERVICES)
        api.wait(lambda: os.path.getsize(f"{directory}/engine/snapshot"))
        site.end(first)
        engine = site.start_engine(f"net_pcap0,rx_pcap={directory}/loop.pcap,infinite_rx=1",
                                   f"net_pcap1,rx_pcap={directory}/open.pcap")
        api.wait(lambda: api.worker().connections_ipv4 == CONNECTIONS)
        phases = {"at rest": (None, 0), "objects changed": (api.change, WRITERS), "connections listed": (api.list, 1)}
        sent = {name: [] for name in phases}
        did = {name: [] for name in phases}
        for _ in range(options.runs):
            for name, (work, workers) in phases.items():
                rate, done = measure(api, engine, options.seconds, work, workers)
                sent[name].append(rate)
                did[name].append(done)
        print(f"{'':20}{'packets/s':>14}{'(min to max)':>26}{'done a second':>16}")
        for name in phases:
            print(f"{name:20}{statistics.median(sent[name]):14,.0f}"
                  f"{min(sent[name]):13,.0f} to{max(sent[name]):10,.0f}{statistics.median(did[name]):16,.0f}")
        for name in list(phases)[1:]:
            ratio = statistics.median(a / b for a, b in zip(sent[name], sent["at rest"]))
            print(f"{name}: {ratio:.3f} of the rate at rest")
        changed = statistics.median(did["objects changed"])
        if changed < ENOUGH * RATE:
            print(f"THE LOAD IS TOO SMALL: {changed:,.0f} changes a second, not {RATE:,}; the figures are those of it")
    except BaseException:
        for log in ("engine", "daemon"):
            if os.path.exists(f"{directory}/{log}.log"):
                sys.stderr.write(pathlib.Path(f"{directory}/{log}.log").read_text(encoding="utf-8")[-2_000:])
        raise
    finally:
        site.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
