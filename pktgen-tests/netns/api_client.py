"""What netns/api asks of the API, by Python's gRPC. The lab is told by its environment, as the shell has it."""
import json
import os
import subprocess
import threading
import unittest

import grpc
from mgmt.api import appliance_pb2 as api
from mgmt.api import appliance_pb2_grpc, error_details_pb2

SERVER = f"unix:{os.environ['LAB_RUN']}/guideway.sock"
CLI = [f"{os.environ['LAB_BUILD']}/mgmt/guideway", "--server", SERVER]
CLIENT = ["ip", "netns", "exec", f"{os.environ['LAB_PREFIX']}-client"]

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: api, annotations: {guideway.io/forwarding-mode: nat}}
spec:
  type: LoadBalancer
  loadBalancerClass: guideway.io/gateway
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.90}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop-1, namespace: api, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
endpoints: [{addresses: [%s]}, {addresses: [%s]}]
ports: [{name: http, port: 80, protocol: TCP}]
"""


def cli(*words):
    """A command's answer, as JSON has it."""
    out = subprocess.run([*CLI, *words, "-o", "json"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def requests(vip, count):
    """How many of so many requests on connections of their own are answered."""
    done = subprocess.run(
        [*CLIENT, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\\n", "-H", "Connection: close", "-m", "20",
         f"http://{vip}/?[1-{count}]"], stdout=subprocess.PIPE, check=False).stdout
    return done.split().count(b"200")


def fields_of(error):
    """Those that a google.rpc.BadRequest names."""
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = error_details_pb2.Status.FromString(trailer)
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    return [v.field for v in bad.field_violations]


class Client(unittest.TestCase):
    """Each leaves the gateway as it found it."""

    def setUp(self):
        self.channel = grpc.insecure_channel(SERVER)
        self.stub = appliance_pb2_grpc.ApplianceStub(self.channel)
        rows = self.stub.ListBackends(api.ListBackendsRequest()).backends
        self.servers = sorted({r.address for r in rows if r.name == "nat" and "." in r.address})[:2]
        self.objects = OBJECTS % tuple(self.servers)

    def tearDown(self):
        self.stub.DeleteObjects(api.DeleteObjectsRequest(manifests=self.objects, ignore_missing=True))
        self.channel.close()

    def fails(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as raised:
            call(request)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        return raised.exception

    def apply(self, manifests, **more):
        return self.stub.ApplyObjects(api.ApplyObjectsRequest(manifests=manifests, **more))

    def wait(self, until):
        for _ in range(200):
            if until():
                return
            threading.Event().wait(0.05)
        self.fail("it doesn't come to that within ten seconds")

    def vip(self, name="shop"):
        return [r for r in self.stub.ListServices(api.ListServicesRequest()).services if r.name == name]

    def test_sees_what_the_command_line_shows(self):
        def names(message):
            return {f.name for f, _ in message.ListFields()}

        status = self.stub.GetStatus(api.GetStatusRequest())
        self.assertTrue(status.engine.connected)
        self.assertLessEqual(names(status), set(cli("status")))
        for mine, command, field in (
                (self.stub.ListServices(api.ListServicesRequest()).services, "services", "services"),
                (self.stub.ListBackends(api.ListBackendsRequest()).backends, "backends", "backends")):
            theirs = cli(command)[field]
            self.assertEqual([(r.namespace, r.name, r.vip) for r in mine],
                             [(r["namespace"], r["name"], r["vip"]) for r in theirs])
        reasons = {d.reason for d in self.stub.ListDrops(api.ListDropsRequest()).drops}
        self.assertEqual(reasons, {d["reason"] for d in cli("drops")["drops"]})

    def test_counts_connections_as_they_are_listed(self):
        requests("192.0.2.30", 20)
        listed = self.stub.ListConnections(api.ListConnectionsRequest(page_size=1000)).connections
        self.assertGreaterEqual(len(listed), 20)
        pages, token = [], ""
        while True:
            page = self.stub.ListConnections(api.ListConnectionsRequest(page_size=7, page_token=token))
            pages += page.connections
            token = page.next_page_token
            if not token:
                break
        key = lambda c: (c.client, c.client_port, c.vip, c.vip_port, c.protocol)
        self.assertEqual(len(pages), len({key(c) for c in pages}))
        self.assertEqual({key(c) for c in listed}, {key(c) for c in pages})

    def test_writes_reach_the_packets_and_survive(self):
        result = self.apply(self.objects)
        self.assertEqual([o.action for o in result.objects], [api.AppliedObject.ACTION_CREATED] * 2)
        self.assertEqual(list(result.problems), [])
        self.wait(lambda: [r.state for r in self.vip()] == [api.VipRow.STATE_PROGRAMMED])
        self.assertEqual(requests("192.0.2.90", 50), 50)
        shown = self.stub.GetObject(api.GetObjectRequest(object=result.objects[0].object))
        self.assertTrue(shown.from_api)
        self.assertEqual(shown.manifest, result.objects[0].after)

        drained = self.servers[0]
        self.stub.SetBackendWeight(
            api.SetBackendWeightRequest(namespace="api", name="shop", address=drained, weight=0))

        def begun():
            rows = self.stub.ListBackends(api.ListBackendsRequest()).backends
            return {r.address: r.counters.connections for r in rows if r.name == "shop"}

        # Counters come with the engine's next answer.
        before = begun()
        self.assertEqual(requests("192.0.2.90", 40), 40)
        self.wait(lambda: sum(begun().values()) >= sum(before.values()) + 40)
        self.assertEqual(begun()[drained], before[drained])
        weights = self.stub.GetStatus(api.GetStatusRequest()).backend_weights
        self.assertEqual([(w.name, w.address, w.weight) for w in weights], [("shop", drained, 0)])
        self.stub.ResetBackendWeight(api.ResetBackendWeightRequest(namespace="api", name="shop", address=drained))
        self.stub.DeleteObjects(api.DeleteObjectsRequest(objects=[o.object for o in result.objects]))
        self.wait(lambda: not self.vip())
        self.assertEqual(requests("192.0.2.90", 1), 0)

    def test_refuses_what_is_wrong_and_changes_nothing(self):
        before = self.stub.GetStatus(api.GetStatusRequest()).desired.counter
        code = grpc.StatusCode
        wrong = self.objects.replace("port: 80,", "port: 80000,").replace("192.0.2.90", "192.0.2.900")
        error = self.fails(code.INVALID_ARGUMENT, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests=wrong))
        self.assertIn("Service api/shop: spec.ports[0].port", fields_of(error))
        self.assertIn("EndpointSlice api/shop-1: ports[0].port", fields_of(error))
        owned = self.objects.replace("name: shop, namespace: api", "name: nat, namespace: lab")
        error = self.fails(code.FAILED_PRECONDITION, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests=owned))
        self.assertIn("manifests/nat.yaml", error.details())
        for request, field in ((api.SetBackendWeightRequest(address="nowhere"), "address"),
                               (api.SetBackendWeightRequest(address=self.servers[0], weight=65536), "weight"),
                               (api.SetBackendWeightRequest(namespace="x", address=self.servers[0]), "name")):
            error = self.fails(code.INVALID_ARGUMENT, self.stub.SetBackendWeight, request)
            self.assertEqual(fields_of(error), [field])
        self.fails(code.NOT_FOUND, self.stub.SetBackendWeight, api.SetBackendWeightRequest(address="10.9.9.9"))
        self.fails(code.INVALID_ARGUMENT, self.stub.ListConnections, api.ListConnectionsRequest(page_token="x"))
        self.fails(code.NOT_FOUND, self.stub.GetObject,
                   api.GetObjectRequest(object=api.ObjectRef(kind="Service", name="none")))
        # Larger than any request may be; then bytes that are no message at all.
        self.fails(code.RESOURCE_EXHAUSTED, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests="#" * (5 << 20)))
        raw = self.channel.unary_unary("/guideway.v1.Appliance/ApplyObjects")
        self.fails(code.INTERNAL, raw, b"\xff\xff\xff")
        self.fails(code.UNIMPLEMENTED, self.channel.unary_unary("/guideway.v1.Appliance/Nothing"), b"")
        self.assertEqual(self.stub.GetStatus(api.GetStatusRequest()).desired.counter, before)

    def test_clients_at_once_disturb_nobody(self):
        """Writers, readers, and clients that hang up in the middle; requests through the gateway meanwhile."""
        failed = []

        def worker(index):
            with grpc.insecure_channel(SERVER, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = appliance_pb2_grpc.ApplianceStub(channel)
                name = f"w{index}"
                mine = self.objects.replace("shop", name).replace("192.0.2.90", f"192.0.2.{100 + index}")
                try:
                    for turn in range(10):
                        stub.ApplyObjects(api.ApplyObjectsRequest(manifests=mine))
                        stub.ListBackends.future(api.ListBackendsRequest()).cancel()
                        stub.ListServices(api.ListServicesRequest())
                        if turn % 2:
                            stub.DeleteObjects(api.DeleteObjectsRequest(manifests=mine))
                except grpc.RpcError as error:
                    failed.append(f"{name}: {error}")

        threads = [threading.Thread(target=worker, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        answered = requests("192.0.2.30", 300)
        for t in threads:
            t.join()
        self.assertEqual(failed, [])
        self.assertEqual(answered, 300)
        self.assertEqual([r.name for r in self.stub.ListServices(api.ListServicesRequest()).services
                          if r.name.startswith("w") and r.namespace == "api"], [])


if __name__ == "__main__":
    unittest.main()
