"""A client in Python does everything that the command line does (COMMANDS says where): every method of the API with every
field, held against the command line, against packets, and against what is there once the daemon has been started anew."""
import functools
import json
import signal
import subprocess
import unittest

import grpc
from google.protobuf import json_format
from mgmt.api import appliance_pb2 as api

import api_lab
from api_lab import CLI, CLIENT, RUN, SERVER, ApiTest, Watch, cli, fields_of, lab, requests, standing, texts

CODE = grpc.StatusCode
REQUESTS = {f"/{s.full_name}/{m.name}": m.input_type  # by method
            for s in api.DESCRIPTOR.services_by_name.values() for m in s.methods}


def tearDownModule():
    """A new method, field or command needs a test."""
    never = REQUESTS.keys() - api_lab.called.keys()
    assert not never, f"these methods are called by no test: {sorted(never)}"
    unset = {f for r in REQUESTS.values() for f in api_lab.fields_there_are(r)} - api_lab.asked
    assert not unset, f"these fields are set by no test: {sorted(unset)}"
    differ = set(api_lab.commands()) ^ (COMMANDS.keys() | ALONE.keys())
    assert not differ, f"these commands are in no table, or are gone: {sorted(differ)}"
    assert not COMMANDS.keys() & ALONE.keys()
    for command, calls in COMMANDS.items():
        for method, test in calls.items():
            callers = api_lab.called[f"/guideway.v1.Appliance/{method}"]
            assert tuple(test.__qualname__.split(".")) in callers, f"{command}: {test.__qualname__} doesn't call {method}"


def without_counters(message):
    """They change all the time."""
    copy = type(message).FromString(message.SerializeToString())
    for field in ("services", "vips", "backends"):
        for row in getattr(copy, field, ()):
            row.ClearField("counters")
    return copy


class Shows(ApiTest):
    def test_what_the_command_line_shows(self):
        def names(message):
            return {f.name for f, _ in message.ListFields()}

        status = self.stub.GetStatus(api.GetStatusRequest())
        self.assertTrue(status.engine.connected)
        self.assertLessEqual(names(status), set(cli("status")))
        for mine, command in ((self.stub.ListServices(api.ListServicesRequest()), ["services"]),
                              (self.stub.ListBackends(api.ListBackendsRequest()), ["backends"]),
                              (self.stub.ListServices(api.ListServicesRequest(namespace="lab", name="nat")),
                               ["services", "--service", "lab/nat"]),
                              (self.stub.ListBackends(api.ListBackendsRequest(namespace="lab", name="nat")),
                               ["backends", "--service", "lab/nat"]),
                              (self.stub.GetService(api.GetServiceRequest(namespace="lab", name="nat")),
                               ["services", "describe", "lab/nat"]),
                              (self.stub.GetLogLevels(api.GetLogLevelsRequest()), ["log-level"])):
            with self.subTest(command=command):
                theirs = json_format.ParseDict(cli(*command), type(mine)())
                self.assertTrue(mine.ListFields())
                self.assertEqual(without_counters(mine), without_counters(theirs))
        of_one = self.stub.ListBackends(api.ListBackendsRequest(namespace="lab", name="nat")).backends
        self.assertEqual(texts(of_one), texts(self.backends("nat")))
        reasons = {d.reason for d in self.stub.ListDrops(api.ListDropsRequest()).drops}
        self.assertEqual(reasons, {d["reason"] for d in cli("drops")["drops"]})
        self.fails(CODE.NOT_FOUND, self.stub.GetService, api.GetServiceRequest(namespace="lab", name="none"))

    def test_one_backend_is_as_the_list_has_it(self):
        def named(row, **other):
            fields = ("namespace", "name", "address", "port", "vip", "vip_port", "protocol")
            return api.GetBackendRequest(**{**{f: getattr(row, f) for f in fields}, **other})

        rows = self.backends("nat")
        self.assertTrue(rows)
        for row in rows:
            self.assertEqual(texts([self.stub.GetBackend(named(row)).backend]), texts([row]))
        for other, missing in (({"name": "none"}, "Service lab/none"), ({"vip": "192.0.2.99"}, "192.0.2.99"),
                               ({"address": "10.9.9.9"}, "10.9.9.9"), ({"protocol": api.PROTOCOL_SCTP}, "/SCTP")):
            error = self.fails(CODE.NOT_FOUND, self.stub.GetBackend, named(rows[0], **other))
            self.assertIn(missing, error.details())
        for other in ({"name": ""}, {"address": ""}, {"port": 65536}, {"vip": "nowhere"}, {"vip_port": 65536},
                      {"protocol": api.PROTOCOL_UNSPECIFIED}):
            error = self.fails(CODE.INVALID_ARGUMENT, self.stub.GetBackend, named(rows[0], **other))
            self.assertEqual(fields_of(error), list(other))

    def connections(self, page_size=1000, **wanted):
        """All that are listed: the page is that of the filter's words."""
        rows, token = [], ""
        while True:
            page = self.stub.ListConnections(api.ListConnectionsRequest(
                filter=api.ConnectionFilter(**wanted), page_size=page_size, page_token=token))
            self.assertLessEqual(len(page.connections), page_size)
            rows += page.connections
            token = page.next_page_token
            if not token:
                return rows

    def count(self, **wanted):
        n, token = 0, ""
        while True:
            part = self.stub.CountConnections(api.CountConnectionsRequest(
                filter=api.ConnectionFilter(**wanted), page_token=token))
            n += part.connections
            token = part.next_page_token
            if not token:
                return n

    def test_connections_page_by_page_counted_and_filtered(self):
        key = lambda c: (c.client, c.client_port, c.vip, c.vip_port, c.protocol)
        lab("lab_ask", "192.0.2.30", "5", "100")
        with standing(10, "192.0.2.30", "[2001:db8::20]"):
            self.wait(lambda: len(self.connections(states=[api.ConnectionRow.STATE_ESTABLISHED])) == 20)
            for wanted, fits in (
                    ({}, lambda c: True),
                    ({"namespace": "lab", "name": "nat"}, lambda c: (c.namespace, c.name) == ("lab", "nat")),
                    ({"client": "fd77:1::/64"}, lambda c: ":" in c.client),
                    ({"client": "10.77.1.2"}, lambda c: c.client == "10.77.1.2"),
                    ({"vip": "192.0.2.30"}, lambda c: c.vip == "192.0.2.30"),
                    ({"vip_port": 7}, lambda c: c.vip_port == 7),
                    ({"protocol": api.PROTOCOL_UDP}, lambda c: c.protocol == api.PROTOCOL_UDP),
                    ({"backend": self.servers[0]}, lambda c: c.backend == self.servers[0]),
                    ({"states": [api.ConnectionRow.STATE_ESTABLISHED], "client": "10.0.0.0/8"},
                     lambda c: c.state == api.ConnectionRow.STATE_ESTABLISHED and "." in c.client)):
                def agree():  # others may end in between
                    everything = self.connections()
                    pages = self.connections(page_size=7, **wanted)
                    self.assertEqual(len(pages), len({key(c) for c in pages}))
                    self.assertTrue(pages)
                    self.assertTrue(not wanted or len(pages) < len(everything))
                    return ({key(c) for c in pages} == {key(c) for c in everything if fits(c)} and
                            self.count(**wanted) == len(pages))
                self.wait(agree, f"what is listed and counted with filter {wanted}")
            established = {"states": [api.ConnectionRow.STATE_ESTABLISHED]}
            self.assertEqual(self.count(**established), 20)
            self.assertEqual({key(c) for c in self.connections(**established)},
                             {(c["client"], c["client_port"], c["vip"], c["vip_port"], api.Protocol.Value(c["protocol"]))
                              for c in cli("connections", "--state", "established")["connections"]})
            # Each connection has one protocol and one state.
            of_all = [[{field: value} for value in values] for field, values in (
                ("protocol", api.Protocol.values()[1:]), ("states", [[s] for s in api.ConnectionRow.State.values()[1:]]))]
            self.wait(lambda: all(sum(self.count(**w) for w in part) == self.count() ==
                                  sum(len(self.connections(**w)) for w in part) for part in of_all))
        self.fails(CODE.INVALID_ARGUMENT, self.stub.CountConnections, api.CountConnectionsRequest(page_token="x"))

    def test_a_trace_says_what_a_packet_then_does(self):
        packet = {"protocol": api.PROTOCOL_TCP, "source": "10.77.1.2", "source_port": 20000,
                  "destination": "192.0.2.30", "destination_port": 80}
        ours = lambda: [c for c in self.connections(vip="192.0.2.30") if c.client_port == 20000]

        def trace(**more):
            answer = self.stub.Trace(api.TraceRequest(**{**packet, **more}))
            return answer, {s.WhichOneof("facts"): s for p in answer.passes for s in p.stages}

        answer, stages = trace()
        self.assertEqual(answer.outcome, api.TraceResponse.OUTCOME_FORWARDED)
        self.assertFalse(stages["track"].track.found)
        self.assertEqual(ours(), [])
        chosen = stages["balance"].balance.backend
        subprocess.run([*CLIENT, "curl", "-sf", "-o", "/dev/null", "-m", "10", "--local-port", "20000",
                        "http://192.0.2.30/"], check=True)
        self.assertEqual([(c.backend, c.backend_port) for c in ours()], [(chosen.address, chosen.port)])
        answer, stages = trace(tcp_flags=[api.TraceRequest.TCP_FLAG_ACK])
        self.assertTrue(stages["track"].track.found)
        self.assertEqual(trace(destination_port=81)[0].outcome, api.TraceResponse.OUTCOME_HOST)
        answer, _ = trace(ttl=1)
        self.assertEqual((answer.outcome, answer.dropped.reason), (api.TraceResponse.OUTCOME_DROPPED, "ttl_exceeded"))
        error = self.fails(CODE.INVALID_ARGUMENT, self.stub.Trace, api.TraceRequest(**{**packet, "source": "nowhere"}))
        self.assertEqual(fields_of(error), ["source"])

    def test_traces_are_of_the_packet_that_was_asked_for(self):
        T = api.TraceRequest
        tcp = {"protocol": api.PROTOCOL_TCP, "source": "10.77.1.2", "source_port": 20001,
               "destination": "192.0.2.30", "destination_port": 80}
        udp = {**tcp, "protocol": api.PROTOCOL_UDP, "destination_port": 7}
        sctp = {**tcp, "protocol": api.PROTOCOL_SCTP}
        echo = {"echo": True, "source": "10.77.1.2", "destination": "192.0.2.30"}
        ip, l4 = 14, 34  # where the headers begin
        cases = [  # a packet, the command line's words for it, and bytes of it
            (tcp, "", l4 + 13, "02"),
            ({**tcp, "tcp_flags": [T.TCP_FLAG_FIN, T.TCP_FLAG_PSH, T.TCP_FLAG_ACK]}, "--flags fin|psh|ack", l4 + 13, "19"),
            ({**tcp, "tcp_flags": [T.TCP_FLAG_SYN, T.TCP_FLAG_RST]}, "--flags syn|rst", l4 + 13, "06"),
            ({**tcp, "port": "srv0"}, "--port srv0", l4, "4e210050"),
            ({**tcp, "ttl": 9}, "--ttl 9", ip + 8, "09"),
            ({**udp, "size": 200}, "--size 200", ip + 2, "00c8"),
            (udp, "", ip + 6, "4000"),
            ({**udp, "may_fragment": True}, "--no-df", ip + 6, "0000"),
            ({**udp, "fragment": T.FRAGMENT_FIRST, "fragment_id": 7}, "--fragment first --id 7", ip + 4, "00072000"),
            ({**udp, "fragment": T.FRAGMENT_LATER, "fragment_id": 8}, "--fragment later --id 8", ip + 4, "0008"),
            (echo, "", l4, "0800"),
            (sctp, "", l4 + 12, "01")]
        cases += [({**sctp, "sctp_chunk": T.SctpChunk.Value("SCTP_CHUNK_" + chunk.upper())},
                   f"--chunk {chunk}", l4 + 12, kind)
                  for chunk, kind in (("init", "01"), ("data", "00"), ("shutdown", "07"), ("abort", "06"))]
        cases += [({**udp, "icmp_error": T.IcmpError.Value("ICMP_ERROR_" + error.upper().replace("-", "_"))},
                   f"--icmp-error {error}", l4, kind)
                  for error, kind in (("unreachable", "03"), ("too-big", "0304"), ("time-exceeded", "0b00"),
                                      ("parameter-problem", "0c00"))]
        cases += [({**udp, "icmp_error": T.ICMP_ERROR_TIME_EXCEEDED, "icmp_source": "10.77.1.77"},
                   "--icmp-error time-exceeded --icmp-from 10.77.1.77", ip + 12, "0a4d014d")]
        for packet, words, at, expected in cases:
            with self.subTest(packet=packet):
                mine = self.stub.Trace(T(**packet))
                self.assertEqual(mine.packet[at:][:len(expected) // 2].hex(), expected)
                name = "icmp" if "echo" in packet else api.Protocol.Name(packet["protocol"])[9:].lower()
                ends = [packet[end] + (f":{packet[end + '_port']}" if end + "_port" in packet else "")
                        for end in ("source", "destination")]
                leaves = mine.outcome in (api.TraceResponse.OUTCOME_FORWARDED, api.TraceResponse.OUTCOME_ANSWERED)
                theirs = cli("trace", name, *ends, *words.split(), codes=[0 if leaves else 3])
                self.assertEqual(mine, json_format.ParseDict(theirs, api.TraceResponse()))
        for field, value in (("queue", 64), ("port", "none0"), ("icmp_source", "10.77.1.77"), ("fragment_id", 7),
                             ("size", 9)):
            error = self.fails(CODE.INVALID_ARGUMENT, self.stub.Trace, T(**{**udp, field: value}))
            self.assertEqual(fields_of(error), [field])
            if field == "port":
                self.assertIn("it has", error.details())
                self.assertIn("srv0", error.details())

    def test_rates_as_top_has_them(self):
        """Of what is counted between two answers. All traffic is between them, and between top's samples."""
        def counted():
            drops = {d.reason: d.packets for d in self.stub.ListDrops(api.ListDropsRequest()).drops}
            return self.services()[0].counters, {r.address: r.counters.connections for r in self.backends()}, drops

        self.apply(self.objects)
        self.wait(lambda: [r.state for r in self.services()] == [api.VipRow.STATE_PROGRAMMED])
        command = [*CLI, "top", "--service", "api/shop", "-n", "5", "--interval", "0.5", "-o", "json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as top:
            samples = [json.loads(top.stdout.readline())]  # from now on it counts
            vip, backends, drops = counted()
            self.assertEqual(requests("192.0.2.90", 40), 40)
            lab("lab_in", "web1", "bash", "-c", "curl -s -m 0.3 http://198.51.100.1:20000/ || true")  # nobody's connection
            samples += [json.loads(line) for line in top.stdout]
        vip_then, backends_then, drops_then = counted()

        def both_ways(field):
            return sum(getattr(vip_then, f) - getattr(vip, f) for f in (field, "reply_" + field))

        def told(rows, rate):
            return round(sum(row.get("rates", {}).get(rate, 0) * s["seconds"] for s in samples for row in rows(s)))

        vips = lambda sample: sample["vips"]
        self.assertEqual(told(vips, "packets_per_second"), both_ways("packets"))
        self.assertEqual(told(vips, "bits_per_second"), both_ways("bytes") * 8)
        self.assertEqual(told(vips, "connections_per_second"), vip_then.connections - vip.connections)
        for address, connections in backends_then.items():
            of_backend = lambda s: [b for v in s["vips"] for b in v["backends"] if b["address"] == address]
            self.assertEqual(told(of_backend, "connections_per_second"), connections - backends[address])
        dropped = sum(d["packets_per_second"] * s["seconds"] for s in samples for d in s["drops"]
                      if d["reason"] == "no_connection")
        self.assertEqual(round(dropped), drops_then["no_connection"] - drops["no_connection"])
        self.assertGreater(dropped, 0)

    def test_the_gateway_config_is_read_as_it_is_in_force(self):
        name = self.stub.GetStatus(api.GetStatusRequest()).gateway_config
        ref = api.ObjectRef(kind="GatewayConfig", name=name)
        shown = self.stub.GetObject(api.GetObjectRequest(object=ref))
        self.assertEqual(shown.object, ref)
        self.assertEqual((shown.file, shown.from_api), (str(RUN / "manifests/gateway.yaml"), False))
        self.assertEqual(list(shown.problems), [])
        for text in ('kind: "GatewayConfig"', f'name: "{name}"', "198.51.100.1", "2001:db8:100::1"):
            self.assertIn(text, shown.manifest)
        # What is shown is well-formed, and that file's.
        error = self.fails(CODE.FAILED_PRECONDITION, self.stub.ApplyObjects,
                           api.ApplyObjectsRequest(manifests=shown.manifest))
        self.assertIn("manifests/gateway.yaml", error.details())
        self.fails(CODE.NOT_FOUND, self.stub.GetObject,
                   api.GetObjectRequest(object=api.ObjectRef(kind="GatewayConfig", name="none")))

    def test_watches_tell_what_changes_and_go_on_from_a_generation(self):
        for method, request, response, own in (
                (self.stub.WatchServices, api.WatchServicesRequest,
                 lambda: self.stub.ListServices(api.ListServicesRequest()).services, 1),
                (self.stub.WatchBackends, api.WatchBackendsRequest,
                 lambda: self.stub.ListBackends(api.ListBackendsRequest()).backends, 2)):
            with self.subTest(request=request.__name__):
                watch = Watch(method(request(), timeout=60))
                same = lambda: texts(watch.rows.values()) == texts(response())  # of the watch in hand
                watch.follow(same)
                self.assertEqual(watch.resets, 1)
                before = len(watch.rows)
                mine = Watch(method(request(namespace="api", name="shop"), timeout=60))
                mine.follow()
                self.assertEqual(mine.rows, {})
                self.apply(self.objects)
                mine.follow(lambda: len(mine.rows) == own)
                self.wait(lambda: [r.state for r in self.services()] == [api.VipRow.STATE_PROGRAMMED])
                watch.follow(same)
                self.assertEqual(len(watch.rows), before + own)
                watch.stream.cancel()
                self.apply(self.objects.replace(self.servers[1], "10.77.3.13"))
                self.delete([api.ObjectRef(kind="Service", namespace="api", name="shop")])
                self.wait(lambda: not self.services())
                watch = Watch(method(request(since=watch.generation), timeout=60), watch.rows)
                watch.follow(same)
                self.assertEqual((watch.resets, watch.told), (0, own))
                other = api.Generation(instance=watch.generation.instance + 1, counter=watch.generation.counter)
                watch = Watch(method(request(since=other), timeout=60))
                watch.follow(same)
                self.assertEqual(watch.resets, 1)


class Writes(ApiTest):
    def begun(self):
        return {r.address: r.counters.connections for r in self.backends()}

    def shares(self):
        """Of 40 new connections, by server. Counters come with the engine's next answer."""
        before = self.begun()
        self.assertEqual(requests("192.0.2.90", 40), 40)
        self.wait(lambda: sum(self.begun().values()) >= sum(before.values()) + 40)
        return {server: n - before[server] for server, n in self.begun().items()}

    def programmed(self):
        return [r.state for r in self.services()] == [api.VipRow.STATE_PROGRAMMED]

    def test_reach_the_packets_and_survive(self):
        told = self.apply(self.objects, dry_run=True).objects
        result = self.apply(self.objects)
        self.assertEqual([o.action for o in result.objects], [api.AppliedObject.ACTION_CREATED] * 2)
        self.assertEqual(list(result.problems), [])
        self.wait(self.programmed)
        self.assertTrue(all(self.shares().values()))
        drained = self.servers[0]
        self.stub.SetBackendWeight(
            api.SetBackendWeightRequest(namespace="api", name="shop", address=drained, weight=0))
        # The first one comes as soon as the answer is there.
        for how in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(how=how):
                before = self.generation()
                self.restart(how)
                self.wait(self.programmed)
                self.assertNotEqual(self.generation().instance, before.instance)
                for o in told:
                    shown = self.stub.GetObject(api.GetObjectRequest(object=o.object))
                    self.assertTrue(shown.from_api)
                    self.assertEqual(shown.manifest, o.after)
                self.assertEqual(self.shares()[drained], 0)
                weights = self.stub.GetStatus(api.GetStatusRequest()).backend_weights
                self.assertEqual([(w.name, w.address, w.weight) for w in weights], [("shop", drained, 0)])
                self.assertEqual([(r.weight, r.weight_set) for r in self.backends() if r.address == drained], [(0, True)])
        reset = self.stub.ResetBackendWeight(
            api.ResetBackendWeightRequest(namespace="api", name="shop", address=drained))
        self.assertEqual((reset.weight, [s.name for s in reset.services]), (0, ["shop"]))
        self.assertGreater(self.shares()[drained], 0)
        self.delete([o.object for o in result.objects])
        self.restart(signal.SIGKILL)
        self.assertEqual(list(self.stub.GetStatus(api.GetStatusRequest()).backend_weights), [])
        self.assertEqual(self.services(), [])
        self.wait(lambda: requests("192.0.2.90", 1) == 0)

    def test_a_weight_is_one_services_or_all_services(self):
        backend = self.servers[0]

        def weights():
            return {(r.namespace, r.name): (r.weight, r.weight_set)
                    for r in self.stub.ListBackends(api.ListBackendsRequest()).backends if r.address == backend}

        def reset(**more):
            return self.stub.ResetBackendWeight(api.ResetBackendWeightRequest(address=backend, **more))

        def leave_none():
            for w in self.stub.GetStatus(api.GetStatusRequest()).backend_weights:
                self.stub.ResetBackendWeight(api.ResetBackendWeightRequest(
                    namespace=w.namespace, name=w.name, address=w.address))

        self.apply(self.objects)
        self.addCleanup(leave_none)
        shop = {"namespace": "api", "name": "shop"}
        self.wait(lambda: ("api", "shop") in weights())
        before = weights()
        self.assertGreater(len(before), 1)
        held = self.stub.SetBackendWeight(api.SetBackendWeightRequest(**shop, address=backend, weight=0)).services
        self.assertEqual([(s.namespace, s.name) for s in held], [("api", "shop")])
        held = self.stub.SetBackendWeight(api.SetBackendWeightRequest(**shop, address=backend, weight=9)).services
        self.assertEqual([(s.namespace, s.name) for s in held], [("api", "shop")])
        self.wait(lambda: weights() == {**before, ("api", "shop"): (9, True)})
        shares = self.shares()
        self.assertGreater(shares[backend], shares[self.servers[1]])
        error = self.fails(CODE.FAILED_PRECONDITION, self.stub.ResetBackendWeight,
                           api.ResetBackendWeightRequest(**shop, address=backend, only_drained=True))
        self.assertIn("weight 9", error.details())
        self.assertEqual(reset(**shop).weight, 9)
        self.wait(lambda: weights() == before)
        # Of every Service.
        held = self.stub.SetBackendWeight(api.SetBackendWeightRequest(address=backend)).services
        self.assertEqual({(s.namespace, s.name) for s in held}, before.keys())
        self.wait(lambda: weights() == {service: (0, True) for service in before})
        self.assertEqual(self.shares()[backend], 0)
        self.assertEqual(reset(only_drained=True).weight, 0)
        self.wait(lambda: weights() == before)
        self.fails(CODE.NOT_FOUND, self.stub.ResetBackendWeight, api.ResetBackendWeightRequest(address=backend))

    def test_dry_runs_tell_and_do_nothing(self):
        before = self.generation().counter
        moved = self.objects.replace("192.0.2.90", "192.0.2.91")
        told = self.apply(self.objects, dry_run=True).objects
        self.assertEqual([(o.action, o.before) for o in told], [(api.AppliedObject.ACTION_CREATED, "")] * 2)
        self.assertIn("192.0.2.90", told[0].after)
        self.fails(CODE.NOT_FOUND, self.stub.GetObject, api.GetObjectRequest(object=told[0].object))
        self.assertEqual(self.generation().counter, before)

        self.apply(self.objects)
        before = self.generation().counter
        then = self.apply(moved, dry_run=True).objects
        self.assertEqual([o.action for o in then],
                         [api.AppliedObject.ACTION_CONFIGURED, api.AppliedObject.ACTION_UNCHANGED])
        self.assertEqual([o.before for o in then], [o.after for o in told])
        self.assertEqual(then[0].after, told[0].after.replace("192.0.2.90", "192.0.2.91"))
        gone = self.delete([o.object for o in told] * 3, dry_run=True).objects  # each once
        self.assertEqual([(o.action, o.before, o.after) for o in gone],
                         [(api.AppliedObject.ACTION_DELETED, o.after, "") for o in told])
        self.assertEqual([r.vip for r in self.services()], ["192.0.2.90"])
        self.assertEqual(self.generation().counter, before)

    def test_only_where_there_is_none_and_only_where_there_is_one(self):
        new, exists = api.ApplyObjectsRequest.CONDITION_NEW, api.ApplyObjectsRequest.CONDITION_EXISTS
        slice_alone = self.objects.split("---")[1]

        def refused(code, manifests, condition):
            before = self.generation().counter
            self.fails(code, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests=manifests, condition=condition))
            self.assertEqual(self.generation().counter, before)

        refused(CODE.NOT_FOUND, self.objects, exists)
        self.apply(slice_alone, condition=new)
        for condition, code in ((new, CODE.ALREADY_EXISTS), (exists, CODE.NOT_FOUND)):
            refused(code, self.objects, condition)  # for one of the two
            self.assertEqual(self.services(), [])
        result = self.apply(slice_alone.replace(self.servers[1], "10.77.3.13"), condition=exists)
        self.assertEqual([o.action for o in result.objects], [api.AppliedObject.ACTION_CONFIGURED])

    def test_what_a_source_filter_denies_is_dropped_and_listed(self):
        def is_served():
            url = "http://192.0.2.90/"
            return subprocess.run([*CLIENT, "curl", "-s", "-o", "/dev/null", "-m", "2", url], check=False).returncode == 0

        self.apply(self.objects)
        self.wait(self.programmed)
        self.assertTrue(is_served())
        made = self.apply("apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: blocklist}\n"
                          "spec: {deniedCIDRs: [10.77.1.2/32, 2001:db8:dead::/48]}").objects
        self.addCleanup(self.delete, [o.object for o in made], ignore_missing=True)
        self.wait(lambda: not is_served())
        filters = self.stub.ListSourceFilters(api.ListSourceFiltersRequest())
        self.assertEqual([(f.name, f.prefixes_ipv4, f.prefixes_ipv6, f.applied) for f in filters.filters],
                         [("blocklist", 1, 1, True)])
        self.assertEqual(filters, json_format.ParseDict(cli("filters"), api.ListSourceFiltersResponse()))
        first = self.stub.ListDeniedPrefixes(api.ListDeniedPrefixesRequest(page_size=1))
        second = self.stub.ListDeniedPrefixes(api.ListDeniedPrefixesRequest(page_token=first.next_page_token))
        self.assertEqual([p.prefix for page in (first, second) for p in page.prefixes],
                         ["10.77.1.2/32", "2001:db8:dead::/48"])
        denying = self.stub.ListDeniedPrefixes(api.ListDeniedPrefixesRequest(address="10.77.1.2"))
        self.assertEqual([(p.prefix, p.filter) for p in denying.prefixes], [("10.77.1.2/32", "blocklist")])
        self.assertEqual(denying, json_format.ParseDict(cli("filters", "prefixes", "--address", "10.77.1.2"),
                                                        api.ListDeniedPrefixesResponse()))
        of_filter = self.stub.ListDeniedPrefixes(api.ListDeniedPrefixesRequest(filter="blocklist"))
        self.assertEqual(list(of_filter.prefixes), [*first.prefixes, *second.prefixes])
        self.fails(CODE.NOT_FOUND, self.stub.ListDeniedPrefixes, api.ListDeniedPrefixesRequest(filter="none"))
        self.delete([o.object for o in made])
        self.wait(is_served)

    def test_log_levels_come_into_force(self):
        def level(program, level):
            self.stub.SetLogLevel(api.SetLogLevelRequest(program=program, level=level))
            return [(p.program, p.level, p.trouble) for p in self.stub.GetLogLevels(api.GetLogLevelsRequest()).programs]

        def commits():
            return (RUN / "log/engine.log").read_text(encoding="utf-8").count(" debug guideway-engine: commit")

        daemon, engine = api.PROGRAM_DAEMON, api.PROGRAM_ENGINE
        before = commits()
        self.addCleanup(level, engine, api.LOG_LEVEL_INFO)
        self.assertEqual(level(engine, api.LOG_LEVEL_DEBUG),
                         [(daemon, api.LOG_LEVEL_INFO, ""), (engine, api.LOG_LEVEL_DEBUG, "")])
        self.apply(self.objects)
        self.wait(lambda: commits() > before)
        self.addCleanup(level, daemon, api.LOG_LEVEL_INFO)
        self.assertEqual(level(daemon, api.LOG_LEVEL_WARN)[0], (daemon, api.LOG_LEVEL_WARN, ""))
        for l in api.LogLevel.values()[1:]:
            self.assertEqual(level(engine, l)[1], (engine, l, ""))
        for request, field in ((api.SetLogLevelRequest(level=api.LOG_LEVEL_INFO), "program"),
                               (api.SetLogLevelRequest(program=engine), "level")):
            self.assertEqual(fields_of(self.fails(CODE.INVALID_ARGUMENT, self.stub.SetLogLevel, request)), [field])

    def test_what_is_wrong_is_refused_and_changes_nothing(self):
        before = self.generation().counter
        wrong = self.objects.replace("port: 80,", "port: 80000,").replace("192.0.2.90", "192.0.2.900")
        error = self.fails(CODE.INVALID_ARGUMENT, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests=wrong))
        self.assertIn("Service api/shop: spec.ports[0].port", fields_of(error))
        self.assertIn("EndpointSlice api/shop-1: ports[0].port", fields_of(error))
        owned = self.objects.replace("name: shop, namespace: api", "name: nat, namespace: lab")
        error = self.fails(CODE.FAILED_PRECONDITION, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests=owned))
        self.assertIn("manifests/nat.yaml", error.details())
        for request, field in ((api.SetBackendWeightRequest(address="nowhere"), "address"),
                               (api.SetBackendWeightRequest(address=self.servers[0], weight=65536), "weight"),
                               (api.SetBackendWeightRequest(namespace="x", address=self.servers[0]), "name")):
            error = self.fails(CODE.INVALID_ARGUMENT, self.stub.SetBackendWeight, request)
            self.assertEqual(fields_of(error), [field])
        self.fails(CODE.NOT_FOUND, self.stub.SetBackendWeight, api.SetBackendWeightRequest(address="10.9.9.9"))
        self.fails(CODE.INVALID_ARGUMENT, self.stub.ListConnections, api.ListConnectionsRequest(page_token="x"))
        self.fails(CODE.NOT_FOUND, self.stub.GetObject,
                   api.GetObjectRequest(object=api.ObjectRef(kind="Service", name="none")))
        # Larger than any request may be; then bytes that are no message at all.
        self.fails(CODE.RESOURCE_EXHAUSTED, self.stub.ApplyObjects, api.ApplyObjectsRequest(manifests="#" * (5 << 20)))
        raw = self.channel.unary_unary("/guideway.v1.Appliance/ApplyObjects")
        error = self.fails(CODE.INVALID_ARGUMENT, raw, b"\xff\xff\xff")
        self.assertIn("the request's bytes aren't such a message", error.details())
        error = self.fails(CODE.UNIMPLEMENTED, self.channel.unary_unary("/guideway.v1.Appliance/Nothing"), b"")
        self.assertIn("has no method", error.details())
        self.assertEqual(self.generation().counter, before)

    def test_gateway_configuration_in_force(self):
        answer = self.stub.GetGatewayConfig(api.GetGatewayConfigRequest())
        self.assertEqual(json_format.ParseDict(cli("gateway"), api.GetGatewayConfigResponse()), answer)
        object_ = api.ObjectRef(kind="GatewayConfig", name=answer.name)
        self.assertEqual(self.stub.GetObject(api.GetObjectRequest(object=object_)).file, answer.file)
        self.assertIn("hashSeed", answer.manifest)

    def test_a_field_that_nobody_knows_is_refused_by_every_method(self):
        before = self.generation().counter
        with grpc.insecure_channel(SERVER) as channel:  # of its own: these calls are no method's test
            for method, request in REQUESTS.items():
                with self.subTest(method=method):
                    call = functools.partial(channel.unary_unary(method), timeout=10)
                    error = self.fails(CODE.INVALID_ARGUMENT, call, b"\xc0\x3e\x01")  # field 1000, a varint
                    self.assertEqual(fields_of(error), [request.name])
        self.assertEqual(self.generation().counter, before)


# What does over the API what a command does: a test by the method that it calls for it.
COMMANDS = {
    "status": {"GetStatus": Shows.test_what_the_command_line_shows},
    "gateway": {"GetGatewayConfig": Writes.test_gateway_configuration_in_force},
    "services": {"ListServices": Shows.test_what_the_command_line_shows,
                 "WatchServices": Shows.test_watches_tell_what_changes_and_go_on_from_a_generation},
    "services describe": {"GetService": Shows.test_what_the_command_line_shows},
    "backends": {"ListBackends": Shows.test_what_the_command_line_shows,
                 "WatchBackends": Shows.test_watches_tell_what_changes_and_go_on_from_a_generation},
    "drops": {"ListDrops": Shows.test_what_the_command_line_shows},
    "connections": {"ListConnections": Shows.test_connections_page_by_page_counted_and_filtered,
                    "CountConnections": Shows.test_connections_page_by_page_counted_and_filtered},
    "filters": {"ListSourceFilters": Writes.test_what_a_source_filter_denies_is_dropped_and_listed},
    "filters prefixes": {"ListDeniedPrefixes": Writes.test_what_a_source_filter_denies_is_dropped_and_listed},
    "apply": {"ApplyObjects": Writes.test_reach_the_packets_and_survive},
    "diff": {"ApplyObjects": Writes.test_dry_runs_tell_and_do_nothing},
    "delete": {"DeleteObjects": Writes.test_reach_the_packets_and_survive},
    "drain": {"SetBackendWeight": Writes.test_a_weight_is_one_services_or_all_services},
    "undrain": {"ResetBackendWeight": Writes.test_a_weight_is_one_services_or_all_services},
    "weight": {"SetBackendWeight": Writes.test_a_weight_is_one_services_or_all_services,
               "ResetBackendWeight": Writes.test_a_weight_is_one_services_or_all_services},
    "top": {"ListServices": Shows.test_rates_as_top_has_them, "ListBackends": Shows.test_rates_as_top_has_them,
            "ListDrops": Shows.test_rates_as_top_has_them},
    "trace": {"Trace": Shows.test_traces_are_of_the_packet_that_was_asked_for},
    "log-level": {"GetLogLevels": Writes.test_log_levels_come_into_force,
                  "SetLogLevel": Writes.test_log_levels_come_into_force},
}
# What the command line does by itself.
ALONE = {
    "doctor": "looks at the host that it runs on; of the daemon it asks what status and services do",
    "upgrade-engine": "has systemd start the new engine, on the engine's host; how that went, status says",
}


if __name__ == "__main__":
    unittest.main()
