"""./dev bench api: what the API costs the packets. The real engine forwards, in memory as fast as it can (api_load_memory) or
a fixed rate in the lab (api_load_lab). In turns nothing is asked of the API, 1,000 changes a second are made (nine weights of
backends, then a Service and its EndpointSlice), and 100,000 connections are listed page by page. Prints medians and their
ratios, and says if the changes were fewer than they should be. It fails where a call does."""
import argparse
import statistics
import sys
import threading
import time

import grpc

import api_load_lab
import api_load_memory
import records

CONNECTIONS = 100_000
RATE = 1_000  # changes a second
ENOUGH = 0.95  # of it
LEAST = 0.9  # of the rate at rest
APPLY_EVERY = 10  # changes, one of objects
WRITERS = 16  # each waits some 10 ms for its answer

SERVICES = 50
BACKENDS = 10
VIPS = [f"192.0.2.{101 + i}" for i in range(SERVICES)]
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: s%(i)d, annotations: {guideway.io/forwarding-mode: dsr-ipip, change: "%(change)d"}}
spec:
  type: LoadBalancer
  ports: [{name: http, port: 80, protocol: TCP}]
status: {loadBalancer: {ingress: [{ip: %(vip)s}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s%(i)d-1, labels: {kubernetes.io/service-name: s%(i)d}}
addressType: IPv4
endpoints: [%(endpoints)s]
ports: [{name: http, port: 80, protocol: TCP}]
"""


def backend(service, n):
    return f"10.1.{service}.{n + 1}"


def service(i, change=0):
    """With one backend more after each second change."""
    endpoints = ", ".join("{addresses: [%s]}" % backend(i, n) for n in range(BACKENDS + change % 2))
    return SERVICE % {"i": i, "vip": VIPS[i], "endpoints": endpoints, "change": change}


class Api:
    def __init__(self, server, stubs):
        sys.path.insert(0, stubs)
        from mgmt.api import appliance_pb2, appliance_pb2_grpc
        self.messages = appliance_pb2
        self.server, self.make = server, appliance_pb2_grpc.ApplianceStub
        self.stub = self.connect()

    def apply(self, manifests):
        self.stub.ApplyObjects(self.messages.ApplyObjectsRequest(manifests=manifests), wait_for_ready=True)

    def connect(self):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        return self.make(grpc.insecure_channel(self.server, options))

    def status(self):
        return self.stub.GetStatus(self.messages.GetStatusRequest(), wait_for_ready=True).engine.status

    def worker(self):
        return self.status().workers[0]

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


def measure(place, api, seconds, work, workers):
    """What is forwarded a second while `work` runs, and what that did a second."""
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
    start, done = time.monotonic(), sum(counts)
    rate = place.forward(api, seconds)
    end, all_done = time.monotonic(), sum(counts)
    stop.set()
    for t in threads:
        t.join()
    if failed:
        first = failed[0].details() if isinstance(failed[0], grpc.RpcError) else repr(failed[0])
        raise SystemExit(f"api_load: {len(failed)} of {workers} clients failed; the first: {first}")
    return rate, (all_done - done) / (end - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stubs", help="the directory of what protoc generated")
    places = parser.add_subparsers(dest="place", required=True)
    memory = places.add_parser("memory")
    memory.add_argument("build")
    lab = places.add_parser("lab")
    lab.add_argument("run")
    lab.add_argument("prefix")
    for place in (memory, lab):
        place.add_argument("--runs", type=int, default=7)
        place.add_argument("--seconds", type=float, default=2)
        place.add_argument("--json", help="write the records to this file too")
    options = parser.parse_args()
    if options.place == "memory":
        place = api_load_memory.Memory(options.build, VIPS, CONNECTIONS)
    else:
        place = api_load_lab.Lab(options.run, options.prefix)
    try:
        report(place, Api(place.server, options.stubs), options)
    except BaseException:
        for log in place.logs():
            sys.stderr.write(log.read_text(encoding="utf-8")[-2_000:])
        raise
    finally:
        place.close()


def report(place, api, options):
    api.apply("".join(service(i) for i in range(SERVICES)))
    api.wait(lambda: api.status().services >= SERVICES)
    place.connect(api)
    api.wait(lambda: api.worker().connections_ipv4 >= CONNECTIONS)
    phases = {"at rest": (None, 0), "objects changed": (api.change, WRITERS), "connections listed": (api.list, 1)}
    forwarded = {name: [] for name in phases}
    did = {name: [] for name in phases}
    for _ in range(options.runs):
        for name, (work, workers) in phases.items():
            rate, done = measure(place, api, options.seconds, work, workers)
            forwarded[name].append(rate)
            did[name].append(done)
    print(f"{'':20}{place.unit:>30}{'(min to max)':>26}{'done a second':>16}")
    for name in phases:
        print(f"{name:20}{statistics.median(forwarded[name]):30,.0f}"
              f"{min(forwarded[name]):13,.0f} to{max(forwarded[name]):10,.0f}{statistics.median(did[name]):16,.0f}")
    found = [{"scenario": f"api {options.place} {name}", "packets_per_second": statistics.median(forwarded[name]),
              "packets_per_second_min": min(forwarded[name]), "packets_per_second_max": max(forwarded[name]),
              "done_per_second": statistics.median(did[name])} for name in phases]
    short = False
    for name, record in list(zip(phases, found))[1:]:
        ratio = statistics.median(a / b for a, b in zip(forwarded[name], forwarded["at rest"]))
        print(f"{name}: {ratio:.3f} of the rate at rest")
        record["throughput_ratio"] = ratio
        short |= ratio < LEAST
    changed = statistics.median(did["objects changed"])
    if changed < ENOUGH * RATE:
        print(f"THE LOAD IS TOO SMALL: {changed:,.0f} changes a second, not {RATE:,}; the figures are those of it")
        short = True
    records.write(options.json, found)
    if short:
        sys.exit(f"forwarding fell below {LEAST} of the rate at rest, or the load wasn't there")


if __name__ == "__main__":
    main()
