"""Where ./dev bench api loads the API of the lab's gateway (pktgen-tests/lab.sh): iperf3 sends datagrams at a fixed rate from
the client through a VIP to web1, and counted is what arrives. The whole lab shares the machine's cores with the load, so that
how much more it could carry would tell of them only; whether this rate stays tells of the gateway."""
import json
import pathlib
import socket
import subprocess
import time

VIP = "192.0.2.20"  # dsr-ipip in the lab, an address of its servers
PORT = 5201  # iperf3's
SINKS = (5202, 5203)  # where the connections to be listed go: nobody listens
SOURCE_PORTS = range(2_000, 52_000)  # theirs
OFFERED = 10_000  # datagrams a second
PAYLOAD = 64
ATTEMPTS = 20

OBJECTS = f"""
apiVersion: v1
kind: Service
metadata: {{name: forwarding, annotations: {{guideway.io/forwarding-mode: dsr-ipip}}}}
spec:
  type: LoadBalancer
  ports:
  - {{name: control, port: {PORT}, protocol: TCP}}
  - {{name: datagrams, port: {PORT}, protocol: UDP}}
  - {{name: sink1, port: {SINKS[0]}, protocol: UDP}}
  - {{name: sink2, port: {SINKS[1]}, protocol: UDP}}
status: {{loadBalancer: {{ingress: [{{ip: {VIP}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: forwarding-1, labels: {{kubernetes.io/service-name: forwarding}}}}
addressType: IPv4
endpoints: [{{addresses: [10.77.2.11]}}]
ports:
- {{name: control, port: {PORT}, protocol: TCP}}
- {{name: datagrams, port: {PORT}, protocol: UDP}}
- {{name: sink1, port: {SINKS[0]}, protocol: UDP}}
- {{name: sink2, port: {SINKS[1]}, protocol: UDP}}
"""


class Lab:
    unit = f"datagrams/s of {OFFERED:,}"

    def __init__(self, run, prefix):
        self.run, self.prefix = pathlib.Path(run), prefix
        self.server = f"unix:{run}/guideway.sock"
        # What is opened below is to stand until the end.
        with open(self.run / "manifests/gateway.yaml", "a", encoding="utf-8") as manifest:
            manifest.write("  idleTimeouts: {udp: 1h}\n")
        self.receiver = subprocess.Popen([*self.inside("web1"), "iperf3", "-s", "-B", VIP], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)

    def inside(self, space):
        return ["ip", "netns", "exec", f"{self.prefix}-{space}"]

    def close(self):
        self.receiver.terminate()
        self.receiver.wait()

    def logs(self):
        return (self.run / "log").glob("*.log")

    def connect(self, api):
        api.apply(OBJECTS)
        for _ in range(ATTEMPTS):  # nobody sends again what a full ring drops
            subprocess.run([*self.inside("client"), "/usr/bin/python3", "-B", __file__], check=True)
            time.sleep(1)
            if api.worker().connections_ipv4 >= len(SOURCE_PORTS) * len(SINKS):
                break

    def forward(self, api, seconds):
        del api
        words = ["-c", VIP, "-u", "-b", str(OFFERED * PAYLOAD * 8), "-l", str(PAYLOAD), "-t", str(seconds), "-J"]
        told = json.loads(subprocess.run([*self.inside("client"), "iperf3", *words], stdout=subprocess.PIPE, check=False).stdout)
        if "error" in told:
            raise SystemExit(f"api_load: iperf3: {told['error']}")
        total = told["end"]["sum"]
        return (total["packets"] - total["lost_packets"]) / total["seconds"]


def open_connections():
    for port in SOURCE_PORTS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("", port))
            for sink in SINKS:
                one.sendto(b"", (VIP, sink))


if __name__ == "__main__":  # in the client's namespace
    open_connections()
