"""What netns/api's tests share: the lab, told by its environment as the shell has it, and a client that keeps in mind which
methods it has called, and with which fields."""
import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
import unittest

import grpc
from google.protobuf.message import Message
from mgmt.api import appliance_pb2 as api
from mgmt.api import appliance_pb2_grpc, error_details_pb2

RUN = pathlib.Path(os.environ["LAB_RUN"])
SERVER = f"unix:{RUN}/guideway.sock"
CLI = [f"{os.environ['LAB_BUILD']}/mgmt/guideway", "--server", SERVER]
CLIENT = ["ip", "netns", "exec", f"{os.environ['LAB_PREFIX']}-client"]
LAB = pathlib.Path(__file__).parents[1] / "lab.sh"

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

called = collections.defaultdict(set)  # by method of the API: the tests that have called it
asked = set()  # fields of the requests, as fields_set names them


def fields_set(message, name=""):
    """Names of the fields that are set, those of messages within too: "GetObjectRequest.object.kind". Of an enum each value
    is one: "TraceRequest.fragment=FRAGMENT_FIRST"."""
    name = name or message.DESCRIPTOR.name
    for field, value in message.ListFields():
        within = f"{name}.{field.name}"
        for one in value if field.label == field.LABEL_REPEATED else [value]:
            if field.message_type:
                yield from fields_set(one, within)
            elif field.enum_type:
                yield f"{within}={field.enum_type.values_by_number[one].name}"
            else:
                yield within


def fields_there_are(descriptor, name=""):
    """Names of all that a message may have set."""
    name = name or descriptor.name
    for field in descriptor.fields:
        within = f"{name}.{field.name}"
        if field.message_type:
            yield from fields_there_are(field.message_type, within)
        elif field.enum_type:
            yield from (f"{within}={value.name}" for value in field.enum_type.values if value.number != 0)
        else:
            yield within


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    test = None  # that runs

    def intercept_unary_unary(self, continuation, client_call_details, request):
        if isinstance(request, Message):
            called[client_call_details.method].add(self.test)
            asked.update(fields_set(request))
        return continuation(client_call_details, request)

    intercept_unary_stream = intercept_unary_unary


@contextlib.contextmanager
def connection(*options):
    """A channel with a connection of its own."""
    with grpc.insecure_channel(SERVER, [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1),
                                        *options]) as channel:
        yield grpc.intercept_channel(channel, Recorder())


def cli(*words, codes=(0,)):
    """A command's answer, as JSON has it."""
    done = subprocess.run([*CLI, *words, "-o", "json"], stdout=subprocess.PIPE, check=False)
    assert done.returncode in codes, (words, done.returncode)
    return json.loads(done.stdout)


def commands(*before):
    """All of the command line's, by its own help: "services", "services describe"."""
    text = subprocess.run([CLI[0], *before, "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    part = text.partition("\nSubcommands:\n")[2].partition("\n\n")[0]
    for word in re.findall("^  ([^ ]+)", part, re.MULTILINE):
        yield " ".join([*before, word])
        yield from commands(*before, word)


def lab(*words):
    """A function of lab.sh."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", '. "$0"; "$@"', LAB, *words], stdout=subprocess.DEVNULL, check=True)


def requests(vip, count):
    """How many of so many requests on connections of their own are answered."""
    done = subprocess.run(
        [*CLIENT, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\\n", "-H", "Connection: close", "-m", "20",
         f"http://{vip}/?[1-{count}]"], stdout=subprocess.PIPE, check=False).stdout
    return done.split().count(b"200")


@contextlib.contextmanager
def standing(count, *vips):
    """So many connections to each VIP, which stand meanwhile."""
    urls = [f"http://{vip}/slow?[1-{count}]" for vip in vips]
    with subprocess.Popen([*CLIENT, "curl", "-s", "-m", "60", "--parallel", "--parallel-immediate", *urls],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def daemon():
    return int((RUN / "pids/daemon").read_text(encoding="ascii"))


def restart_daemon(how):
    """Ends it by that signal and starts it anew; returns once it answers, and the engine through it."""
    pid = daemon()
    os.kill(pid, how)
    while is_running(pid):
        time.sleep(0.01)
    lab("lab_start_daemon")
    lab("lab_wait_until", "20", "lab_engine_tells")


def is_running(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        threads = len(os.listdir(f"/proc/{pid}/task"))  # others may still hold its sockets when the first has ended
    except (FileNotFoundError, ProcessLookupError):
        return False
    return threads > 1 or stat.rsplit(")", 1)[1].split()[0] != "Z"  # who started it may not have asked yet how it ended


def memory(what):
    """Of the daemon, in MB: VmRSS, or VmHWM, the most since forget_peak()."""
    lines = pathlib.Path(f"/proc/{daemon()}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what + ":")) / 1024


def forget_peak():
    pathlib.Path(f"/proc/{daemon()}/clear_refs").write_text("5", encoding="ascii")


def fields_of(error):
    """Those that a google.rpc.BadRequest names."""
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = error_details_pb2.Status.FromString(trailer)
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    return [v.field for v in bad.field_violations]


def texts(rows):
    """Rows to be compared; without counters, which change all the time."""
    copies = [type(r).FromString(r.SerializeToString()) for r in rows]
    for c in copies:
        c.ClearField("counters")
    return sorted(str(c) for c in copies)


class Watch:
    """What is known of a list by a watch of it: `rows`, and how that came about."""

    IDENTITY = ("namespace", "name", "port_name", "vip", "vip_port", "port", "protocol", "address")

    def __init__(self, stream, rows=()):
        self.stream, self.rows = stream, dict(rows)
        self.told = self.resets = 0
        self.generation = None

    def read(self):
        """Whether that was the last message for now."""
        message = next(self.stream)
        if message.reset:
            self.resets += 1
            self.rows.clear()
        key = lambda row: tuple(getattr(row, f, None) for f in self.IDENTITY)
        self.rows.update((key(r), r) for r in message.changed)
        for r in message.removed:
            self.rows.pop(key(r), None)  # it may have come and gone meanwhile
        self.told += len(message.changed) + len(message.removed)
        self.generation = message.generation
        return message.last

    def follow(self, until=lambda: True):
        while not self.read() or not until():
            pass


class ApiTest(unittest.TestCase):
    """Each leaves the gateway as it found it."""

    def setUp(self):
        Recorder.test = type(self).__name__, self._testMethodName
        self.connect()
        rows = self.backends("nat")
        self.servers = sorted({r.address for r in rows if "." in r.address})[:2]
        self.objects = OBJECTS % tuple(self.servers)

    def tearDown(self):
        self.stub.DeleteObjects(api.DeleteObjectsRequest(manifests=self.objects, ignore_missing=True))

    def connect(self):
        channel = connection()
        self.channel = channel.__enter__()
        self.addCleanup(channel.__exit__, None, None, None)
        self.stub = appliance_pb2_grpc.ApplianceStub(self.channel)

    def restart(self, how):
        """The daemon, ended by that signal."""
        restart_daemon(how)
        self.connect()

    def fails(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as raised:
            call(request)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        return raised.exception

    def apply(self, manifests, **more):
        return self.stub.ApplyObjects(api.ApplyObjectsRequest(manifests=manifests, **more))

    def delete(self, objects, **more):
        return self.stub.DeleteObjects(api.DeleteObjectsRequest(objects=objects, **more))

    def wait(self, until, what="it"):
        deadline = time.monotonic() + 10
        while not until():
            self.assertLess(time.monotonic(), deadline, f"{what} doesn't come to that within ten seconds")
            time.sleep(0.05)

    def services(self, name="shop"):
        return [r for r in self.stub.ListServices(api.ListServicesRequest()).services if r.name == name]

    def backends(self, name="shop"):
        return [r for r in self.stub.ListBackends(api.ListBackendsRequest()).backends if r.name == name]

    def generation(self):
        return self.stub.GetStatus(api.GetStatusRequest()).desired
