"""Many clients at once, some of which behave badly: none disturbs another, and the daemon's memory stays bounded."""
import collections
import concurrent.futures
import contextlib
import signal
import subprocess
import threading
import time
import unittest

import grpc
from mgmt.api import appliance_pb2 as api
from mgmt.api import appliance_pb2_grpc

from api_lab import CLI, ApiTest, Watch, connection, forget_peak, memory, requests, texts

CODE = grpc.StatusCode
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: %(name)s, namespace: crowd}
spec:
  type: LoadBalancer
  loadBalancerClass: guideway.io/gateway
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}]
status: {loadBalancer: {ingress: [{ip: %(vip)s}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %(name)s-1, namespace: crowd, labels: {kubernetes.io/service-name: %(name)s}}
addressType: IPv4
endpoints: [%(endpoints)s]
ports: [{name: http, port: 80, protocol: TCP}]
"""


def objects(services, backends):
    """A manifest of so many Services; `backends` gives each its addresses by its number."""
    return "".join(SERVICE % {"name": f"s{i}", "vip": f"198.18.{i // 250}.{i % 250 + 1}",
                              "endpoints": ", ".join("{addresses: [%s]}" % a for a in backends(i))} for i in range(services))


class Onlooker:
    """Another client, which asks for the status all the time: how long each answer took, in seconds, and what failed."""

    def __enter__(self):
        self.took, self.failed, self.stop = [], [], threading.Event()
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def ask(self):
        with connection() as channel:
            stub = appliance_pb2_grpc.ApplianceStub(channel)
            while not self.stop.wait(0.05):
                begin = time.monotonic()
                try:
                    stub.GetStatus(api.GetStatusRequest(), timeout=20)
                except grpc.RpcError as error:
                    self.failed.append(f"{error.code()}: {error.details()}")
                self.took.append(time.monotonic() - begin)

    def __str__(self):
        return f"{len(self.took)} questions of another client were answered, within {max(self.took):.2f} s"


@contextlib.contextmanager
def watching_program():
    """A command that watches, and has said something; however it is, it is killed at the end."""
    with subprocess.Popen([*CLI, "backends", "--watch", "-o", "json"], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


class Crowd(ApiTest):
    def test_of_writers_and_of_readers_that_hang_up(self):
        """Requests go through the gateway meanwhile."""
        failed = []

        def worker(index):
            with connection() as channel:
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

    def test_of_watchers_some_of_which_stop_reading_or_vanish(self):
        """100 that read, 100 that don't until the end, ten programs that are stopped, and ten that are killed."""
        services, rounds = 100, 20
        last = f"s{services}"
        knows = lambda watch: any(r.name == last for r in watch.rows.values())
        mine = lambda turn, n=services: objects(n, lambda i: [f"10.77.200.{turn + 1}", "10.77.201.1"])
        self.addCleanup(lambda: self.stub.DeleteObjects(
            api.DeleteObjectsRequest(manifests=mine(0, services + 1), ignore_missing=True)))
        self.apply(mine(0))
        with contextlib.ExitStack() as stack:
            stubs = [appliance_pb2_grpc.ApplianceStub(stack.enter_context(connection())) for _ in range(10)]
            # Else gRPC takes megabytes in advance for who doesn't read.
            little = connection(("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
            stub = appliance_pb2_grpc.ApplianceStub(stack.enter_context(little))
            slow = [Watch(stub.WatchBackends(api.WatchBackendsRequest(), timeout=120)) for _ in range(100)]
            watches = [Watch(s.WatchBackends(api.WatchBackendsRequest(), timeout=120)) for s in stubs for _ in range(5)]
            watches += [Watch(s.WatchServices(api.WatchServicesRequest(), timeout=120)) for s in stubs for _ in range(5)]
            for w in [*slow, *watches]:
                w.follow()
            programs = [stack.enter_context(watching_program()) for _ in range(20)]
            stopped, killed = programs[:10], programs[10:]
            for p in stopped:
                p.send_signal(signal.SIGSTOP)
            readers = [threading.Thread(target=w.follow, args=(lambda w=w: knows(w),)) for w in watches]
            for r in readers:
                r.start()
            load = stack.enter_context(concurrent.futures.ThreadPoolExecutor()).submit(requests, "192.0.2.30", 300)
            before = memory("VmRSS")
            with Onlooker() as onlooker:
                for turn in range(1, rounds + 1):
                    self.apply(mine(turn))
                    if killed:
                        killed.pop().kill()
                self.apply(mine(rounds, services + 1))
                for r in readers:
                    r.join()
            grown = memory("VmRSS") - before
            self.assertEqual(load.result(), 300)
            for w in watches:
                self.assertTrue(knows(w))
                self.assertEqual(w.resets, 1)
            quick = watches[0]
            self.assertEqual(texts(quick.rows.values()),
                             texts(self.stub.ListBackends(api.ListBackendsRequest()).backends))
            for w in slow:
                w.follow(lambda w=w: knows(w))
                self.assertEqual(w.rows, quick.rows)
                self.assertLess(w.told, 2 * services * rounds)  # a row that comes, and one that goes
        print(f"watchers: the daemon grew by {grown:.0f} MB; {onlooker}")
        self.assertEqual(onlooker.failed, [])
        self.assertLess(grown, 20)  # what was told in 20 rounds, queued for each that is slow, would be 40
        self.assertLess(max(onlooker.took), 5)

    def test_of_readers_that_ask_for_lists_and_dont_read_them(self):
        """Four connections with 64 answers each that nobody reads, and more calls than a connection may have."""
        services, unread = 1_000, 64
        mine = lambda n: objects(n, lambda i: ["10.77.200.1", "10.77.201.1"])
        self.addCleanup(lambda: self.stub.DeleteObjects(
            api.DeleteObjectsRequest(manifests=mine(services), ignore_missing=True)))
        self.apply(mine(services))
        forget_peak()
        rest = memory("VmRSS")
        path = "/guideway.v1.Appliance/"
        with contextlib.ExitStack() as stack:
            crowd = []
            for _ in range(4):
                little = connection(("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
                channel = stack.enter_context(little)
                # As streams: nothing of them is read before somebody asks for the next message.
                lists = channel.unary_stream(path + "ListBackends")
                crowd.append((channel, [lists(b"", timeout=120) for _ in range(unread)]))
            with Onlooker() as onlooker:
                self.apply(mine(services))
                time.sleep(3)
                with self.assertRaises(grpc.RpcError) as error:
                    crowd[0][0].unary_unary(path + "GetLogLevels")(b"", timeout=20)
                self.assertEqual(error.exception.code(), CODE.RESOURCE_EXHAUSTED)
                self.assertIn("this connection has 64 calls under way", error.exception.details())
                # What changes something is answered all the same, though this one doesn't read either.
                one = stack.enter_context(connection(("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)))
                crowd.append((one, [one.unary_stream(path + "ListBackends")(b"", timeout=120)]))
                time.sleep(0.5)
                appliance_pb2_grpc.ApplianceStub(one).SetLogLevel(api.SetLogLevelRequest(
                    program=api.PROGRAM_DAEMON, level=api.LOG_LEVEL_INFO), timeout=20)
            peak = memory("VmHWM")
            ends = collections.Counter()
            for channel, answers in crowd:
                for a in answers:
                    try:
                        ends[len(api.ListBackendsResponse.FromString(b"".join(a)).backends)] += 1
                    except grpc.RpcError as e:
                        ends[e.code()] += 1
                channel.unary_unary(path + "GetLogLevels")(b"", timeout=20)  # and is a client like others again
        print(f"unread lists: {dict(ends)}; the daemon took {peak:.0f} MB at most, {rest:.0f} MB before; {onlooker}")
        self.assertEqual(onlooker.failed, [])
        self.assertLess(max(onlooker.took), 5)
        self.assertEqual(sum(ends.values()), 4 * unread + 1)
        self.assertLessEqual(set(ends), {len(self.stub.ListBackends(api.ListBackendsRequest()).backends),
                                         CODE.RESOURCE_EXHAUSTED})
        self.assertGreater(ends[CODE.RESOURCE_EXHAUSTED], 0)  # 256 answers of 200 kB are more than are kept
        self.assertLess(peak - rest, 150)  # 32 MB of answers, and what is at work

    @contextlib.contextmanager
    def silent(self, method, clients, streams):
        """So many calls of each of these clients, which send nothing until the end."""
        end = threading.Event()

        def silence():
            end.wait()
            yield from ()

        with contextlib.ExitStack() as stack:
            channels = [stack.enter_context(connection()) for _ in range(clients)]
            try:
                yield [c.stream_stream(method)(silence(), timeout=120) for c in channels for _ in range(streams)]
            finally:
                end.set()
                self.stub.DeleteObjects(api.DeleteObjectsRequest(manifests=self.objects, ignore_missing=True))

    def test_of_those_who_keep_reflection_open(self):
        """Each of their streams would hold a thread."""
        with self.silent("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", 1, 100) as streams:
            time.sleep(0.5)
            for _ in range(5):
                self.stub.ApplyObjects(api.ApplyObjectsRequest(manifests=self.objects), timeout=5)
            self.assertGreaterEqual(sum(s.done() and s.code() == CODE.CANCELLED for s in streams), 92)

    def test_of_those_who_promise_manifests_and_send_none(self):
        """One holds nobody up; many do for ten seconds, and then they are sent away."""
        path = "/guideway.v1.Appliance/"
        with self.silent(path + "ApplyObjects", 1, 64) as calls:
            time.sleep(0.5)
            self.stub.ApplyObjects(api.ApplyObjectsRequest(manifests=self.objects), timeout=5)
            self.assertFalse(any(c.done() for c in calls))
        with self.silent(path + "ApplyObjects", 5, 4) as calls, self.silent(path + "WatchServices", 2, 150) as watches:
            time.sleep(0.5)
            self.stub.ApplyObjects(api.ApplyObjectsRequest(manifests=self.objects), timeout=20)
            self.wait(lambda: all(w.done() for w in watches))
            next(self.stub.WatchServices(api.WatchServicesRequest(), timeout=20))
            self.assertGreaterEqual(sum(c.done() and c.code() == CODE.DEADLINE_EXCEEDED for c in calls), 16)
            self.assertEqual(collections.Counter(w.code() for w in watches),
                             {CODE.DEADLINE_EXCEEDED: 256, CODE.RESOURCE_EXHAUSTED: 44})

    def test_of_those_whose_requests_are_far_too_large(self):
        """Two at a time, of 60 MB each; and a megabyte that would be a gigabyte, were it unpacked."""
        large, packed = b"\n" * 60_000_000, bytes(1_000_000_000)
        forget_peak()
        rest = memory("VmRSS")

        def send(request, compression, times):
            with connection(("grpc.max_send_message_length", -1)) as channel:
                apply = channel.unary_unary("/guideway.v1.Appliance/ApplyObjects")
                for _ in range(times):
                    with self.assertRaises(grpc.RpcError) as error:
                        apply(request, timeout=60, compression=compression)
                    yield error.exception.code()

        with Onlooker() as onlooker, concurrent.futures.ThreadPoolExecutor() as pool:
            ends = [pool.submit(list, send(large, None, 5)) for _ in range(2)]
            ends.append(pool.submit(list, send(packed, grpc.Compression.Gzip, 1)))
            codes = collections.Counter(code for e in ends for code in e.result())
        peak = memory("VmHWM")
        print(f"requests of 60 MB: the daemon took {peak:.0f} MB at most, {rest:.0f} MB before; {onlooker}")
        self.assertEqual(onlooker.failed, [])
        self.assertEqual(codes, {CODE.RESOURCE_EXHAUSTED: 10, CODE.INVALID_ARGUMENT: 1})
        self.assertLess(peak - rest, 250)

    def test_of_writers_of_large_manifests(self):
        """200 at once, of 3 MB each, on connections of their own: those that are too many are refused."""
        manifests = objects(200, lambda i: [f"10.{i}.{n // 250}.{n % 250 + 1}" for n in range(490)])
        self.assertAlmostEqual(len(manifests) / 1e6, 3, delta=0.2)
        request = api.ApplyObjectsRequest(manifests=manifests, dry_run=True)
        watches = [self.stub.WatchServices(api.WatchServicesRequest(), timeout=120) for _ in range(10)]
        for w in watches:
            next(w)
        before = self.generation().counter
        forget_peak()
        rest = memory("VmRSS")
        with contextlib.ExitStack() as stack:
            stubs = [appliance_pb2_grpc.ApplianceStub(stack.enter_context(connection())) for _ in range(200)]

            def apply(stub):
                try:
                    return len(stub.ApplyObjects(request, timeout=120).objects)
                except grpc.RpcError as error:
                    return error.code()

            with Onlooker() as onlooker, concurrent.futures.ThreadPoolExecutor(len(stubs)) as pool:
                ends = collections.Counter(pool.map(apply, stubs))
            peak = memory("VmHWM")
        print(f"large manifests: {dict(ends)}; the daemon took {peak:.0f} MB at most, {rest:.0f} MB before and "
              f"{memory('VmRSS'):.0f} MB after; {onlooker}")
        self.assertEqual(onlooker.failed, [])
        self.assertLess(max(onlooker.took), 10)
        self.assertFalse(any(w.done() for w in watches))
        self.assertLessEqual(set(ends), {400, CODE.RESOURCE_EXHAUSTED})
        self.assertGreater(ends[400], 0)
        self.assertEqual(self.generation().counter, before)
        self.assertLess(peak - rest, 600)  # 16 MB of manifests at work take 300; all 200, without a limit, 2,350


if __name__ == "__main__":
    unittest.main()
