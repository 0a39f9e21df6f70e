// The two programs as they are installed: guidewayd and guideway, against a fake engine.

#include <catch2/catch.hpp>
#include <google/protobuf/descriptor.h>
#include <grp.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sstream>
#include <tuple>
#include <utility>

#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/testing/programs.h"

namespace guideway::mgmt {
namespace {

// A program on a terminal of its own, which has colours unless `environment` says otherwise.
class OnTerminal {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  OnTerminal(const char* program, std::vector<std::string> arguments, const Environment& environment = {}) {
    const char* path = std::getenv(program);
    REQUIRE(path != nullptr);
    arguments.insert(arguments.begin(), path);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    const winsize size{.ws_row = 8, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    int slave = -1;
    REQUIRE(::openpty(&master_, &slave, nullptr, nullptr, &size) == 0);
    ::tcgetattr(master_, &before_);
    pid = ::fork();
    if (pid == 0) {
      ::close(master_);
      ::login_tty(slave);
      ::unsetenv("NO_COLOR");
      ::setenv("TERM", "xterm", 1);
      for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
      ::execv(path, argv.data());
      ::_exit(127);
    }
    slave_ = slave;  // held open, so that its settings can be looked at afterwards
  }
  ~OnTerminal() {
    ::close(master_);
    ::close(slave_);
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;
  void type(std::string_view keys) const { REQUIRE(::write(master_, keys.data(), keys.size()) > 0); }
  void resize(uint16_t rows) const {
    const winsize size{.ws_row = rows, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(master_, TIOCSWINSZ, &size);
  }
  // What it has written since this was last asked, once the text is in it, or after ten seconds.
  std::string read_until(const std::string& text) const {
    std::string out;
    for (int i = 0; i < 100 && out.find(text) == std::string::npos; ++i) {
      pollfd p{master_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&p, 1, 100) <= 0) continue;
      const ssize_t n = ::read(master_, buffer, sizeof buffer);
      if (n <= 0) break;
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }
  bool settings_are_back() const {
    termios now{};
    ::tcgetattr(master_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag;
  }
  pid_t pid = -1;

 private:
  int master_ = -1;
  int slave_ = -1;
  termios before_{};
};

// The answer to a unary call, as bytes of its message; "" if there was none, and `end` says why.
std::string call_raw(const std::string& server, const std::string& method, const std::string& request,
                     grpc::Status* end = nullptr, const std::function<void(grpc::ClientContext&)>& prepare = nullptr) {
  const auto channel = grpc::CreateChannel(server, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  context.set_wait_for_ready(true);
  if (prepare) prepare(context);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  grpc::ByteBuffer in(&slice, 1);
  grpc::ByteBuffer out;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, method, in, &queue);
  call->StartCall();
  call->Finish(&out, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (end != nullptr) *end = status;
  std::vector<grpc::Slice> slices;
  if (!status.ok() || !out.Dump(&slices).ok()) return "";
  std::string bytes;
  for (const grpc::Slice& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return bytes;
}

}  // namespace

TEST_CASE("end to end: the CLI shows what the daemon and the engine have") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") +
                                       slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "terminating"}}) +
                                       service_yaml("bad", "198.51.100.300"));
  Running daemon(p.start());
  const std::string table = p.cli_until({"services"}, "Programmed   2170   502160");  // a moment later
  INFO(table);
  CHECK(contains(table,
                 "demo        web    198.51.100.1:80   TCP        nat    1       2       Programmed   2170   502160"));
  std::string out;
  CHECK(p.cli({"services", "-o", "wide"}, out) == 0);
  INFO(out);
  CHECK(contains(
      out,
      "demo        web    http   198.51.100.1:80   TCP        nat    1       1          2       16381   Programmed   "
      "2168          2170   502160    2162"));
  CHECK(p.cli({"backends"}, out) == 0);
  CHECK(contains(out, "10.0.0.1:80   ready         1        1085   1080\n"));
  CHECK(p.cli({"backends", "-o", "wide"}, out) == 0);
  CHECK(contains(out, "10.0.0.1:80   ready         1        1084          1085   1080      1081    web-1"));
  CHECK(contains(out, "10.0.0.2:80   terminating"));
  CHECK(p.cli({"services", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"state\": \"STATE_PROGRAMMED\""));
  CHECK(contains(out, "\"backends_ready\": 1"));
  CHECK(contains(out, "\"reply_packets\": \"2164\""));
  CHECK(p.cli({"backends", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"live_connections\": \"1085\""));
  CHECK(contains(out, "\"state\": \"STATE_TERMINATING\""));
  CHECK(p.cli({"backends", "-o", "yaml"}, out) == 0);
  CHECK(contains(out, "backends:\n- namespace: demo\n  name: web\n"));
  CHECK(contains(out, "    live_connections: \"1085\"\n"));

  out = p.cli_until({"status"}, "no_backend");
  INFO(out);
  CHECK(out.starts_with("PROBLEMS (2)"));
  CHECK(contains(out, "m/web.yaml:61 (document 3)"));
  CHECK(contains(out, "Service demo/bad: status.loadBalancer.ingress[0].ip"));
  CHECK(contains(out, "1 desired, 1 applied"));
  CHECK(contains(out, "memory: no hugepages"));
  CHECK(contains(out, "LIMIT               USED   AT-MOST   OF\n"));
  CHECK(contains(out, "services            1      16384     VIPs\n"));
  CHECK(contains(out, "reals_per_service   2      32766     backends of one VIP\n"));
  CHECK(contains(out, "fragments           3      1024      datagrams in fragments, of one worker\n"));
  CHECK(contains(out, "the service has no backend to send it to"));
  CHECK(p.cli({"status", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"reason\": \"no_backend\""));
  CHECK(contains(out, "\"packets\": \"7\""));

  CHECK(p.cli({"drops"}, out) == 0);
  CHECK(contains(out, "no_backend   7         the service has no backend to send it to"));
  CHECK(p.cli({"drops", "-o", "wide"}, out) == 0);
  INFO(out);
  CHECK(contains(out, "REASON       PACKETS   WORKER-0   WORKER-1   XDP   MEANING"));
  CHECK(contains(out, "no_backend   7         5          2          0     the service has no backend to send it to"));
  CHECK(contains(out, "no_socket    3         0          0          3     "));
  CHECK(p.cli({"drops", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"reason\": \"truncated\""));  // also those without packets
  CHECK(contains(out, "\"packets_by_xdp\": \"3\""));

  // What the engine doesn't answer isn't known; the rest is.
  p.engine.set_stalled(true);
  CHECK(p.cli({"drops"}, out) == 1);
  CHECK(contains(out, "the engine doesn't say what it dropped: the engine hasn't answered for "));
  CHECK(p.cli({"services"}, out) == 0);
  CHECK(contains(out, "Programmed   -      -\n"));
  CHECK(daemon.stop() == 0);
  CHECK(p.cli({"status"}, out) == 1);
  CHECK(contains(out, "guidewayd can't be reached"));
}

TEST_CASE("end to end: the CLI lists what one Service has") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}) +
                                       service_yaml("dns", "198.51.100.2") +
                                       slice_yaml("dns", {{"10.0.0.2", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "198.51.100.2:80");
  std::string out;
  const auto lines = [&] { return std::count(out.begin(), out.end(), '\n'); };
  CHECK(p.cli({"services", "--service", "demo/web"}, out) == 0);
  CHECK(contains(out, "198.51.100.1:80"));
  CHECK(lines() == 2);
  CHECK(p.cli({"backends", "--service", "demo/web"}, out) == 0);
  CHECK(contains(out, "10.0.0.1:80"));
  CHECK(lines() == 2);
  CHECK(p.cli({"top", "--once", "--interval", "nan"}, out) == 2);
  CHECK(p.cli({"top", "--once", "--interval", "0.1", "--service", "demo/web"}, out) == 0);
  CHECK(contains(out, "10.0.0.1:80"));
  CHECK_FALSE(contains(out, "dns"));
  CHECK(p.cli({"top", "--once", "--interval", "0.1", "--service", "web"}, out) == 0);
  CHECK(contains(out, "guideway: there is no Service default/web;"));
  for (const char* command : {"services", "backends"}) {
    CHECK(p.cli({command, "--service", "web"}, out) == 0);  // of namespace default
    CHECK_FALSE(contains(out, "demo"));
    CHECK(contains(out, "guideway: there is no Service default/web;"));
    CHECK(p.cli({command, "--service", "demo/no name"}, out) == 2);
    CHECK(contains(out, "--service: is no name"));
  }
}

TEST_CASE("end to end: the CLI describes a Service") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + service_yaml("bad", "198.51.100.300") +
                                       service_yaml("web-too", "198.51.100.1") +
                                       "---\napiVersion: v1\nkind: Service\nmetadata: {name: inner, namespace: demo}\n"
                                       "spec: {ports: [{port: 80}]}\n");
  write_file(p.dir / "m/gateway.yaml",
             "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: gateway}\n"
             "spec: {snat: [{address: 192.0.2.1, dedicated: true}]}\n");
  write_file(p.dir / "m/slices.yaml", slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "gone"}}) +
                                          slice_yaml("web", {{"10.0.0.3", "terminating"}}, 80, "2") +
                                          slice_yaml("other", {{"10.0.0.4", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  std::string out;
  CHECK(p.cli({"services", "describe", "demo/web"}, out) == 0);
  INFO(out);
  CHECK(out.starts_with("Problems:    none\nObject:      Service demo/web in " + (p.dir / "m/web.yaml")));
  CHECK(contains(out, ":2 (document 1)\nObject:      EndpointSlice demo/web-1 in " + (p.dir / "m/slices.yaml")));
  CHECK(contains(out, "EndpointSlice demo/web-2 in "));
  CHECK_FALSE(contains(out, "other"));
  CHECK(contains(out,
                 "VIP:         198.51.100.1:80 TCP, port http\nState:       Programmed\nMode:        nat, a Maglev "
                 "table of 16381 slots\nConnections: 2168 begun, 2170 live\nClients:     sent 502160 packets, 2162 "
                 "bytes; were sent 2164 packets, 2166 bytes\n"));
  CHECK(contains(out, "10.0.0.2:80   not-ready     1        -      -         web-1"));
  CHECK(contains(out, "10.0.0.3:80   terminating   1        1085   1080      web-2"));
  CHECK(p.cli({"services", "describe", "demo/web", "-o", "yaml"}, out) == 0);
  INFO(out);
  CHECK(contains(out, "objects:\n- object: Service demo/web\n"));
  CHECK(contains(out, "  slice: web-2\n"));

  // One that was never good, one whose VIP another has, and one that isn't the gateway's.
  CHECK(p.cli({"services", "--watch", "describe", "demo/web"}, out) == 2);
  CHECK(contains(out, "services describe has neither --watch nor --service"));
  CHECK(p.cli({"services", "describe", "demo/bad"}, out) == 0);
  INFO(out);
  CHECK(out.starts_with("PROBLEMS (1):\n  ! "));
  CHECK(contains(out, "Service demo/bad: status.loadBalancer.ingress[0].ip"));
  CHECK(contains(out, "none that is well-formed"));
  CHECK(p.cli({"services", "describe", "demo/web-too"}, out) == 0);
  CHECK(out.starts_with("PROBLEMS (1):"));
  CHECK(contains(out, "State:       Refused"));
  CHECK(p.cli({"services", "describe", "demo/inner"}, out) == 0);
  CHECK(contains(out, "Left out:    it isn't the gateway's"));

  CHECK(p.cli({"services", "describe", "web"}, out) == 1);
  CHECK(contains(out, "there is no Service default/web;"));
  CHECK(p.cli({"services", "describe", "demo/"}, out) == 2);
  CHECK(p.cli({"services", "describe"}, out) == 2);
  CHECK(p.cli({"services", "demo/web"}, out) == 2);
}

TEST_CASE("end to end: a Service's description says where a former form is in force, also after a restart") {
  Site p;
  const std::string mode = "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n";
  const auto service = [&](const char* name, const char* vip) { return service_yaml(name, vip, mode); };
  const std::string file = p.dir / "m/web.yaml";
  const std::string good = service("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}});
  write_file(file, good + service("zoo", "198.51.100.2"));
  const std::string applied = p.dir / "api.yaml";
  write_file(applied, service("zoo-api", "198.51.100.3"));
  std::optional<Running> daemon(std::in_place, p.start());
  p.cli_until({"services"}, "198.51.100.2:80");
  std::string out;
  CHECK(p.cli({"apply", "-f", applied}, out) == 0);
  const std::string former = ": in force is a former form of it\n";
  CHECK_FALSE(contains(p.cli_until({"services", "describe", "demo/zoo-api"}, "198.51.100.3"), former));

  // Of the API and of a manifest, contradicted; a slice that doesn't fit, beside a good Service.
  write_file(applied, service("zoo-api", "198.51.100.1"));
  CHECK(p.cli({"apply", "-f", applied}, out) == 1);
  write_file(file, service("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}, 81) +
                       service("zoo", "198.51.100.1"));
  for (const bool restarted : {false, true}) {
    INFO(restarted);
    if (restarted) {
      CHECK(daemon->stop() == 0);
      // A start that fails leaves last good forms as they are.
      std::filesystem::rename(p.dir / "s/weights", p.dir / "weights");
      write_file(p.dir / "s/weights", "");
      CHECK(exit_code(p.start()) == 1);
      std::filesystem::remove(p.dir / "s/weights");
      std::filesystem::rename(p.dir / "weights", p.dir / "s/weights");
      daemon.emplace(p.start());
    }
    const std::string of_api = p.cli_until({"services", "describe", "demo/zoo-api"}, "(document 1)" + former);
    INFO(of_api);
    CHECK(contains(of_api, "demo@zoo-api.yaml:1 (document 1)" + former));
    CHECK(contains(of_api, "VIP:         198.51.100.3:80 TCP"));
    CHECK(contains(of_api, "dsr-l2"));
    CHECK(p.cli({"diff", "-f", applied}, out) == 1);  // as it is written already, and yet not in force
    CHECK(contains(out, "guideway: Service demo/zoo-api: status.loadBalancer.ingress[0].ip: "));
    CHECK(contains(p.cli_until({"services", "describe", "demo/zoo"}, former), "VIP:         198.51.100.2:80 TCP"));
    const std::string of_web = p.cli_until({"services", "describe", "demo/web"}, former);
    CHECK_FALSE(contains(of_web, "Service demo/web in " + file + ":2 (document 1)" + former));
    CHECK(contains(of_web, "10.0.0.1:80"));
    CHECK(p.cli({"services", "describe", "demo/zoo", "-o", "yaml"}, out) == 0);
    CHECK(contains(out, "  former_in_force: true\n"));
  }

  // Malformed, and no YAML.
  write_file(file, good + service("zoo", "198.51.100.300"));
  CHECK(contains(p.cli_until({"services", "describe", "demo/zoo"}, "must be an"), former));
  CHECK_FALSE(contains(p.cli_until({"services", "describe", "demo/web"}, "10.0.0.1:80"), former));
  write_file(file, "a: [\n");
  p.cli_until({"services", "describe", "demo/web"}, former);
  write_file(file, good);
  CHECK(contains(p.cli_until({"services", "describe", "demo/web"}, "Problems:    none"), "Programmed"));
  CHECK(p.cli({"services", "describe", "demo/web"}, out) == 0);
  CHECK_FALSE(contains(out, former));
}

TEST_CASE("end to end: the API has one backend as the list has it") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") +
                                       slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.3", "terminating"}}) +
                                       slice_yaml("web", {{"10.0.0.1", "ready"}}, 81, "2"));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const auto api = v1::Appliance::NewStub(grpc::CreateChannel(p.listen, grpc::InsecureChannelCredentials()));
  v1::ListBackendsResponse all;
  grpc::ClientContext context;
  REQUIRE(api->ListBackends(&context, {}, &all).ok());
  REQUIRE(all.backends_size() == 3);
  const auto get = [&](const v1::GetBackendRequest& q, v1::GetBackendResponse& r) {
    grpc::ClientContext c;
    return api->GetBackend(&c, q, &r);
  };
  v1::GetBackendRequest good;
  for (const v1::BackendRow& row : all.backends()) {
    good.set_namespace_(row.namespace_());
    good.set_name(row.name());
    good.set_address(row.address());
    good.set_port(row.port());
    good.set_vip(row.vip());
    good.set_vip_port(row.vip_port());
    good.set_protocol(row.protocol());
    v1::GetBackendResponse r;
    REQUIRE(get(good, r).ok());
    CHECK(r.backend().DebugString() == row.DebugString());
  }
  good.set_address("10.0.0.1");
  good.set_port(80);

  using Code = grpc::StatusCode;
  struct Wrong {
    Code code;
    const char* text;
    std::function<void(v1::GetBackendRequest&)> make;
  };
  for (const Wrong& w : std::vector<Wrong>{
           {Code::NOT_FOUND, "there is no Service default/web;", [](auto& q) { q.clear_namespace_(); }},
           {Code::NOT_FOUND, "Service demo/web has no VIP 198.51.100.2:80/TCP;",
            [](auto& q) { q.set_vip("198.51.100.2"); }},
           {Code::NOT_FOUND, "has no VIP 198.51.100.1:81/TCP;", [](auto& q) { q.set_vip_port(81); }},
           {Code::NOT_FOUND, "has no VIP 198.51.100.1:80/UDP;", [](auto& q) { q.set_protocol(v1::PROTOCOL_UDP); }},
           {Code::NOT_FOUND, "198.51.100.1:80/TCP of Service demo/web has no backend 10.0.0.9:80;",
            [](auto& q) { q.set_address("10.0.0.9"); }},
           {Code::NOT_FOUND, "has no backend 10.0.0.1:82;", [](auto& q) { q.set_port(82); }},
           {Code::INVALID_ARGUMENT, "name: is missing", [](auto& q) { q.clear_name(); }},
           {Code::INVALID_ARGUMENT, "namespace: is no name", [](auto& q) { q.set_namespace_("a/b"); }},
           {Code::INVALID_ARGUMENT, "address: '' is no address", [](auto& q) { q.clear_address(); }},
           {Code::INVALID_ARGUMENT, "port: a port is at most", [](auto& q) { q.set_port(65'536); }},
           {Code::INVALID_ARGUMENT, "vip: '' is no address", [](auto& q) { q.clear_vip(); }},
           {Code::INVALID_ARGUMENT, "vip_port: a port is at most", [](auto& q) { q.set_vip_port(65'536); }},
           {Code::INVALID_ARGUMENT, "protocol: must be set", [](auto& q) { q.clear_protocol(); }},
           {Code::INVALID_ARGUMENT, "protocol: must be set",
            [](auto& q) { q.set_protocol(static_cast<v1::Protocol>(77)); }},
       }) {
    auto q = good;
    w.make(q);
    v1::GetBackendResponse r;
    const grpc::Status s = get(q, r);
    INFO(w.text << "\n" << s.error_message());
    CHECK(s.error_code() == w.code);
    CHECK(contains(s.error_message(), w.text));
    CHECK(s.error_details().empty() == (w.code == Code::NOT_FOUND));
  }
}

TEST_CASE("end to end: what is wrong with a Service's name or a log level is told with its fields") {
  Site p;
  Running daemon(p.start());
  const auto api = v1::Appliance::NewStub(grpc::CreateChannel(p.listen, grpc::InsecureChannelCredentials()));
  const auto get = [&](const std::string& name) {
    v1::GetServiceRequest q;
    v1::GetServiceResponse r;
    q.set_name(name);
    grpc::ClientContext c;
    c.set_wait_for_ready(true);
    return api->GetService(&c, q, &r);
  };
  for (const auto& [name, text] : {std::pair("", "name: is missing"), {"A B", "name: is no name"}}) {
    const grpc::Status s = get(name);
    CHECK(s.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(s.error_message().starts_with(text));
    CHECK(contains(s.error_details(), "google.rpc.BadRequest"));
  }
  CHECK(contains(get("web").error_message(), "there is no Service default/web;"));

  v1::SetLogLevelResponse r;
  grpc::ClientContext c;
  const grpc::Status s = api->SetLogLevel(&c, {}, &r);
  CHECK(s.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(s.error_message() ==
        "program: must be one of PROGRAM_DAEMON, PROGRAM_ENGINE\nlevel: must be one of LOG_LEVEL_TRACE, "
        "LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF");
}

TEST_CASE("end to end: the CLI traces a packet", "[trace]") {
  Site p;
  const Running daemon(p.start());
  const std::string text = p.cli_until({"trace", "tcp", "203.0.113.7:40000", "192.0.2.10:80", "--flags", "fin|ack",
                                        "--port", "eth0", "--size", "100", "--ttl", "3", "--no-df", "--queue", "2"},
                                       "Forwarded");
  CHECK(contains(text, "TCP 203.0.113.7:40000 -> 192.0.2.10:80\n"));
  CHECK(contains(text, "Forwarded\nLeaves by eth1, 14 bytes:\n"));
  engine::TraceRequest q = p.engine.state().trace_requests.back();
  CHECK(q.protocol() == 6);
  CHECK(q.source() == std::string("\xcb\0\x71\x07", 4));
  CHECK(q.source_port() == 40'000);
  CHECK(q.destination() == std::string("\xc0\0\2\x0a", 4));
  CHECK(q.destination_port() == 80);
  CHECK(q.tcp_flags() == 0x11);
  CHECK(q.port() == "eth0");
  CHECK(q.queue() == 2);
  CHECK(q.size() == 100);
  CHECK(q.ttl() == 3);
  CHECK(q.may_fragment());

  std::string out;
  CHECK(p.cli({"trace", "udp", "[2001:db8::7]:1", "[2001:db8::1]:53", "--icmp-error", "too-big", "--icmp-from",
               "2001:db8::9", "-o", "json"},
              out) == 3);
  CHECK(contains(out, "\"outcome\": \"OUTCOME_DROPPED\""));
  CHECK(contains(out, "\"reason\": \"no_vip\""));
  q = p.engine.state().trace_requests.back();
  CHECK(q.protocol() == 17);
  CHECK(q.icmp_error() == engine::ICMP_ERROR_TOO_BIG);
  CHECK(q.icmp_source().size() == 16);
  CHECK(p.cli({"trace", "icmp", "203.0.113.7", "192.0.2.10"}, out) == 3);
  CHECK(contains(out, "Dropped by hand: no_vip (its destination is no VIP)\n"));
  CHECK(p.engine.state().trace_requests.back().protocol() == 1);
  CHECK(
      p.cli({"trace", "sctp", "203.0.113.7:1", "192.0.2.10:80", "--chunk", "abort", "--fragment", "first", "--id", "7"},
            out) == 0);
  q = p.engine.state().trace_requests.back();
  CHECK(q.sctp_chunk() == 6);
  CHECK(q.fragment() == engine::TRACE_FRAGMENT_FIRST);
  CHECK(q.fragment_id() == 7);

  // What is wrong is said, by whoever finds it, and the engine is asked only for what may be a packet.
  const size_t asked = p.engine.state().trace_requests.size();
  struct Wrong {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  };
  for (const Wrong& w : std::vector<Wrong>{
           {{"tcp", "203.0.113.7", "192.0.2.10:80"}, 2, "203.0.113.7 isn't ADDRESS:PORT"},
           {{"tcp", "203.0.113.7:0", "192.0.2.10:80"}, 2, "203.0.113.7:0 isn't ADDRESS:PORT"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:65536"}, 2, "192.0.2.10:65536 isn't ADDRESS:PORT"},
           {{"icmp", "203.0.113.7:1", "192.0.2.10"}, 2, "an echo request has no ports"},
           {{"gre", "203.0.113.7:1", "192.0.2.10:80"}, 2, "gre not in"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--flags", "urg"}, 2, "urg not in"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--id", "1"}, 2, "--fragment"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--size", "-1"}, 2, "--size"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--size", "0100"}, 2, "0100 is no whole number"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--ttl", "0"}, 2, "0 is no whole number from 1 to 255"},
           {{"tcp", "203.0.113:1", "192.0.2.10:80"}, 2, "from: '203.0.113' is no address"},
           {{"tcp", "203.0.113.7:1", "web.example:80"}, 2, "to: 'web.example' is no address"},
           {{"udp", "203.0.113.7:1", "192.0.2.10:80", "--chunk", "data"}, 2, "--chunk: only SCTP has chunks"},
           {{"tcp", "203.0.113.7:1", "192.0.2.10:80", "--icmp-error", "too-big", "--icmp-from", "x"},
            2,
            "--icmp-from: 'x' is no address"}}) {
    std::vector<std::string> all{"trace"};
    all.insert(all.end(), w.arguments.begin(), w.arguments.end());
    INFO(w.says);
    CHECK(p.cli(all, out) == w.code);
    CHECK(contains(out, w.says));
  }
  CHECK(p.engine.state().trace_requests.size() == asked);
  CHECK(p.cli({"trace", "tcp", "203.0.113.7:1", "192.0.2.10:80", "--port", "p9"}, out) == 2);
  CHECK(contains(out, "guideway: --port: the engine has no port p9\n"));

  p.engine.set_stalled(true);
  CHECK(p.cli({"trace", "tcp", "203.0.113.7:1", "192.0.2.10:80"}, out) == 1);
  CHECK(contains(out, "the engine doesn't trace the packet: it doesn't answer"));
}

TEST_CASE("end to end: the CLI lists connections, page by page") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  Running daemon(p.start());
  const std::string table = p.cli_until({"connections", "-o", "wide"}, "CLIENT");
  INFO(table);
  CHECK(contains(table, "PROTOCOL   CLIENT              VIP               SERVICE    BACKEND         MODE     SNAT"));
  CHECK(contains(table, "TCP        203.0.113.7:40000   198.51.100.1:80   -          10.0.0.1:8080   dsr-l2   -"));
  CHECK(contains(table,
                 "TCP        203.0.113.7:40002   198.51.100.1:80   demo/web   10.0.0.1:8080   nat      [::1]:20000   "
                 "established   2m     2"));
  CHECK_FALSE(contains(table, "there may be more"));
  std::string out;
  CHECK(p.cli({"connections", "--count"}, out) == 0);
  CHECK(out == "3\n");
  CHECK(p.cli({"connections", "--limit", "2"}, out) == 0);
  CHECK(contains(out, "40001"));
  CHECK_FALSE(contains(out, "40002"));
  CHECK(contains(out, "there may be more: --limit 20 shows more"));
  CHECK(p.cli({"connections", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"client_port\": 40002"));
  CHECK(contains(out, "\"state\": \"STATE_ESTABLISHED\""));

  // What the engine is asked.
  CHECK(p.cli({"connections", "--service", "demo/web", "--client", "203.0.113.9/24", "--vip", "[2001:db8::1]:53",
               "--backend", "10.0.0.1", "--protocol", "udp", "--state", "udp", "--state", "closing"},
              out) == 0);
  const engine::ConnectionFilter f = p.engine.state().connections_requests.back().filter();
  CHECK(f.service_prefix() == "demo/web:");
  CHECK(f.client().address() == std::string({static_cast<char>(203), 0, 113, 0}));
  CHECK(f.client().length() == 24);
  CHECK(f.vip().size() == 16);
  CHECK(f.vip_port() == 53);
  CHECK(f.real() == std::string({10, 0, 0, 1}));
  CHECK(f.protocol() == 17);
  REQUIRE(f.states_size() == 2);
  CHECK(f.states(1) == engine::CONNECTION_STATE_CLOSING);

  for (const auto& [arguments, code, why] : std::vector<std::tuple<std::vector<std::string>, int, std::string>>{
           {{"--client", "203.0.113.0/33"}, 2, "--client: '203.0.113.0/33' is neither an address nor a prefix"},
           {{"--vip", "vip"}, 2, "--vip: 'vip' is no address"},
           {{"--vip", "192.0.2.1:0"}, 2, "--vip 192.0.2.1:0 is neither ADDRESS nor ADDRESS:PORT"},
           {{"--vip", ":80"}, 2, "neither ADDRESS"},
           {{"--vip", "[]:80"}, 2, "neither ADDRESS"},
           {{"--vip", "[::1]80"}, 2, "neither ADDRESS"},
           {{"--vip", "[2001:db8::10:80"}, 2, "--vip: '[2001:db8::10:80' is no address"},
           {{"--backend", "10.0.0"}, 2, "--backend: '10.0.0' is no address"},
           {{"--state", "open"}, 2, "--state"},
           {{"--limit", "0"}, 2, "--limit"},
           {{"--limit", "5", "--count"}, 2, "--count"}}) {
    std::vector<std::string> all{"connections"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    CHECK(p.cli(all, out) == code);
    INFO(out);
    CHECK(contains(out, why));
  }

  p.engine.set_stalled(true);
  CHECK(p.cli({"connections"}, out) == 1);
  CHECK(contains(out, "the engine doesn't tell its connections: it doesn't answer"));
}

TEST_CASE("end to end: a write that the engine doesn't get is kept, and that is said") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  std::vector<std::string> arguments = p.daemon_arguments();
  std::replace(arguments.begin(), arguments.end(), p.dir / "engine.sock", p.dir / "nowhere.sock");
  Running daemon(spawn("GUIDEWAYD", arguments, p.dir / "daemon.log"));
  p.cli_until({"status"}, "nowhere.sock can't be reached");
  const std::string why = "kept, but not in force yet: the engine's socket " + (p.dir / "nowhere.sock");
  std::string out;
  CHECK(p.cli({"drain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "kept for Service demo/web\n" + why));
  CHECK(p.cli({"undrain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "the EndpointSlice's weight holds again instead of 0 for Service demo/web\n" + why));
  write_file(p.dir / "shop.yaml",
             service_yaml("shop", "198.51.100.7", "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n"));
  CHECK(p.cli({"apply", "-f", p.dir / "shop.yaml"}, out) == 0);
  CHECK(contains(out, "Service demo/shop created\n" + why));
  CHECK(p.cli({"delete", "-f", p.dir / "shop.yaml"}, out) == 0);
  CHECK(contains(out, why));
  // Of nothing that is kept nothing is said.
  CHECK(p.cli({"delete", "--ignore-not-found", "-f", p.dir / "shop.yaml"}, out) == 0);
  CHECK(out.empty());
  write_file(p.dir / "map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n");
  CHECK(p.cli({"apply", "-f", p.dir / "map.yaml"}, out) == 0);
  CHECK(out == "1 ConfigMap (v1) left out: not for the gateway\n");
}

TEST_CASE("end to end: a write is in force once the engine has confirmed it, and not before") {
  Site p;
  const std::string mode = "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n";
  write_file(p.dir / "m/web.yaml",
             service_yaml("web", "198.51.100.1", mode) + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  std::string out;
  CHECK(p.cli({"drain", "10.0.0.1"}, out) == 0);
  CHECK(out == "in force for Service demo/web\n");
  CHECK(p.engine.state().services.begin()->second.reals(0).weight() == 0);  // already
  CHECK(p.cli({"undrain", "10.0.0.1"}, out) == 0);

  p.engine.set_stalled(true);
  CHECK(p.cli({"drain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "kept for Service demo/web\nkept, but not in force yet: the engine hasn't "));
  const std::string file = p.dir / "shop.yaml";
  write_file(file, service_yaml("shop", "198.51.100.7", mode));
  CHECK(p.cli({"apply", "-f", file}, out) == 0);
  CHECK(contains(out, "Service demo/shop created\nkept, but not in force yet: the engine hasn't answered for "));
  CHECK(p.cli({"delete", "-f", file}, out) == 0);
  CHECK(contains(out, "kept, but not in force yet: "));
  CHECK(p.cli({"undrain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "kept, but not in force yet: "));
  p.engine.set_stalled(false);
  out = p.cli_until({"status"}, "Problems:    none");
  INFO(out);
  CHECK(contains(out, "Problems:    none"));
}

TEST_CASE("end to end: a write that the engine refuses is kept, and what it refuses is said") {
  Site p;
  const std::string mode = "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n";
  write_file(p.dir / "m/web.yaml",
             service_yaml("web", "198.51.100.1", mode) + slice_yaml("web", {{"10.0.0.1", "ready"}}) +
                 service_yaml("shop", "198.51.100.2", mode) + slice_yaml("shop", {{"10.0.0.1", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  p.engine.set_refuse(FakeEngine::refuse_service("demo/web:http@198.51.100.1:80/TCP"));
  const std::string why =
      "Service demo/web: status.loadBalancer.ingress[0].ip: the engine refuses it (mode): the test says no";
  std::string out;
  CHECK(p.cli({"drain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "kept for Service demo/shop, Service demo/web\nkept, but not in force yet: "));
  CHECK(contains(out, why));
  // What doesn't touch it has nothing to do with it.
  CHECK(p.cli({"weight", "10.0.0.1", "3", "--service", "demo/shop"}, out) == 0);
  CHECK(out == "in force for Service demo/shop\n");
  CHECK(p.cli({"weight", "10.0.0.1", "--reset", "--service", "demo/shop"}, out) == 0);
  CHECK(out == "weight 0, that for every Service, holds again instead of 3 for Service demo/shop\n");
  CHECK(p.cli({"undrain", "10.0.0.1"}, out) == 0);
  CHECK(out == "the EndpointSlice's weight holds again instead of 0 for Service demo/shop, Service demo/web\n");
  // Of manifests it is a problem, and that a failure; also where only a slice was applied.
  const std::string file = p.dir / "slice.yaml";
  write_file(file, slice_yaml("web", {{"10.0.0.2", "ready"}}, 80, "more"));
  CHECK(p.cli({"apply", "-f", file}, out) == 1);
  CHECK(contains(out, "guideway: " + why));
  p.engine.set_refuse({});
  write_file(file, slice_yaml("web", {{"10.0.0.3", "ready"}}, 80, "more"));
  CHECK(p.cli({"apply", "-f", file}, out) == 0);
  CHECK(out == "EndpointSlice demo/web-more configured\n");
}

TEST_CASE("end to end: the daemon ends at once also while somebody waits for an engine that hangs") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  p.engine.set_stalled(true);
  Running asks(spawn("GUIDEWAY", {"--server", p.listen, "connections"}, p.dir / "connections.out"));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(daemon.stop() == 0);
  CHECK(exit_code(std::exchange(asks.pid, -1)) == 1);
  CHECK(contains(*read_whole_file(p.dir / "connections.out"), "the engine doesn't tell its connections"));
}

TEST_CASE("end to end: the CLI writes objects and weights") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1"));
  Running daemon(p.start());
  p.cli_until({"services"}, "198.51.100.1:80");
  const std::string mode = "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n";
  const std::string file = p.dir / "shop.yaml";
  write_file(file, service_yaml("shop", "198.51.100.7", mode) + slice_yaml("shop", {{"10.0.0.7", "ready"}}));
  std::string out;
  CHECK(p.cli({"diff", "-f", file}, out) == 1);
  CHECK(contains(out, "+  name: shop\n"));
  CHECK(p.cli({"apply", "--dry-run", "-f", file}, out) == 0);
  CHECK(contains(out, "Service demo/shop created\n"));
  CHECK(contains(out, "nothing was changed"));
  CHECK(p.cli({"apply", "-f", file}, out) == 0);
  CHECK(out == "Service demo/shop created\nEndpointSlice demo/shop-1 created\n");
  CHECK(p.cli({"diff", "-f", file}, out) == 0);
  CHECK(out.empty());
  CHECK(p.engine.wait([](const auto& s) { return s.services.contains("demo/shop:http@198.51.100.7:80/TCP"); }));
  CHECK(p.cli({"apply", "-f", p.dir / "m"}, out) == 1);
  CHECK(contains(out, "Service demo/web stands in " + (p.dir / "m/web.yaml")));
  write_file(file, "kind: Service\n");
  CHECK(p.cli({"apply", "-f", file}, out) == 1);
  CHECK(contains(out, "shop.yaml:1: apiVersion: is missing"));
  CHECK(p.cli({"diff", "-f", file}, out) == 2);
  CHECK(p.cli({"apply", "-f", "/nowhere"}, out) == 2);
  CHECK(p.cli({"apply"}, out) == 2);

  CHECK(p.cli({"drain", "10.0.0.7"}, out) == 0);
  CHECK(out == "in force for Service demo/shop\n");
  CHECK(contains(p.cli_until({"backends"}, "draining"), "0 (set)"));
  CHECK(p.cli({"services", "describe", "demo/shop"}, out) == 0);
  CHECK(contains(out, "0 (set)"));
  const auto shop_is = [&](const std::string& state) {
    CHECK(contains(p.cli_until({"services", "--service", "demo/shop"}, state), state));
  };
  shop_is("NoBackend");  // for new connections there is none
  CHECK(contains(p.cli_until({"status"}, "drained"), "backend 10.0.0.7: drained since 2"));
  for (const char* wrong : {"010", "0x10", "-18446744073709551615", "65536", "9.0", ""}) {
    CHECK(p.cli({"weight", "10.0.0.7", "--service", "demo/shop", "--", wrong}, out) == 2);
    CHECK(contains(out, "whole number from 0 to 65535"));
  }
  CHECK(p.cli({"weight", "10.0.0.7", "9", "--service", "demo/shop"}, out) == 0);
  CHECK(p.cli({"undrain", "10.0.0.7", "--service", "demo/shop"}, out) == 1);
  CHECK(contains(out, "was given weight 9"));
  CHECK(p.cli({"drain", "10.0.0.7"}, out) == 0);
  CHECK(
      out ==
      "not for Service demo/shop, where a weight of its own goes before: guideway weight --reset --service takes that "
      "back\n");
  CHECK(p.cli({"drain", "10.0.0.7", "--service", "demo/shop"}, out) == 0);
  CHECK(p.cli({"undrain", "10.0.0.7", "--service", "demo/shop"}, out) == 0);
  CHECK(out == "weight 0, that for every Service, holds again instead of 0 for Service demo/shop\n");
  CHECK(p.cli({"undrain", "10.0.0.7", "--service", "demo/shop"}, out) == 1);
  CHECK(
      contains(out, "no weight was set for backend 10.0.0.7 of Service demo/shop, but for 10.0.0.7 of every Service"));
  CHECK(p.cli({"weight", "10.0.0.7", "9", "--service", "demo/shop"}, out) == 0);
  CHECK(p.cli({"weight", "10.0.0.7", "--reset", "--service", "demo/shop"}, out) == 0);
  CHECK(p.cli({"undrain", "10.0.0.7"}, out) == 0);
  shop_is("Programmed");
  CHECK(p.cli({"undrain", "10.0.0.7"}, out) == 1);
  CHECK(p.cli({"drain", "10.0.0.x"}, out) == 2);
  CHECK(contains(out, "backend: '10.0.0.x' is no address"));
  CHECK(p.cli({"weight", "10.0.0.7"}, out) == 2);

  CHECK(p.cli({"delete", "service", "demo/shop"}, out) == 0);
  CHECK(out == "Service demo/shop deleted\n");
  CHECK(p.cli({"delete", "service", "demo/shop"}, out) == 1);
  CHECK(p.cli({"delete", "service", "demo/shop", "--ignore-not-found"}, out) == 0);
  CHECK(p.cli({"delete", "service", "demo/web"}, out) == 1);
  CHECK(p.cli({"delete"}, out) == 2);
  CHECK(p.cli({"delete", "Pod", "x"}, out) == 2);
}

TEST_CASE("end to end: the CLI applies, shows and deletes SourceFilters") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  std::string out;
  CHECK(p.cli({"filters"}, out) == 0);
  CHECK(out == "No SourceFilter.\n");
  std::string cidrs = "203.0.113.0/24, \"2001:db8::/32\"";
  for (int i = 0; i < 250; ++i) cidrs += ", 198.51.100." + std::to_string(i) + "/32";
  write_file(p.dir / "f.yaml",
             "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec: {deniedCIDRs: [" +
                 cidrs + "]}\n");
  CHECK(p.cli({"apply", "-f", p.dir / "f.yaml"}, out) == 0);
  CHECK(out == "SourceFilter f created\n");
  REQUIRE(p.engine.wait([](const FakeEngine::State& s) { return !s.denied.empty(); }));
  CHECK(p.cli({"filters"}, out) == 0);
  INFO(out);
  CHECK(contains(out, "NAME   IPV4   IPV6   STATE\nf      251    1      "));
  CHECK(p.cli({"filters", "-o", "wide"}, out) == 0);
  CHECK(contains(out, "/24 /32        /32"));
  CHECK(p.cli({"filters", "prefixes"}, out) == 0);
  CHECK(std::count(out.begin(), out.end(), '\n') == 101 + 1);  // and that there are more
  CHECK(p.cli({"filters", "prefixes", "--limit", "1000", "--filter", "f"}, out) == 0);
  CHECK(std::count(out.begin(), out.end(), '\n') == 253);
  CHECK(p.cli({"filters", "prefixes", "--address", "203.0.113.9"}, out) == 0);
  CHECK(out == "PREFIX           FILTER\n203.0.113.0/24   f\n");
  CHECK(p.cli({"filters", "prefixes", "--address", "192.0.2.1"}, out) == 0);
  CHECK(out == "No denied prefix.\n");
  CHECK(p.cli({"filters", "prefixes", "--address", "here"}, out) == 2);
  CHECK(p.cli({"filters", "prefixes", "--filter", "g"}, out) == 1);
  CHECK(contains(out, "there is no SourceFilter g"));
  CHECK(p.cli({"status"}, out) == 0);
  CHECK(contains(out, "Filters:     252 denied prefixes of 1 SourceFilters"));
  write_file(p.dir / "f.yaml",
             "apiVersion: guideway.io/v1alpha1\nkind: SourceFilter\nmetadata: {name: f}\nspec: {deniedCIDRs: "
             "[10.0.0.1/8, 192.0.2.0/24]}\n");
  CHECK(p.cli({"apply", "-f", p.dir / "f.yaml"}, out) == 1);
  INFO(out);
  CHECK(contains(out, "SourceFilter f configured"));
  CHECK(contains(out, "spec.deniedCIDRs[0]: has bits below its length, and is left out: write 10.0.0.0/8"));
  CHECK(p.cli({"delete", "SourceFilter", "f"}, out) == 0);
  REQUIRE(p.engine.wait([](const FakeEngine::State& s) { return s.denied.empty(); }));
}

TEST_CASE("end to end: top prints samples") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  std::string out;
  CHECK(p.cli({"top", "-n", "2", "--interval", "0.1", "--sort", "live"}, out) == 0);
  INFO(out);
  CHECK(contains(out, " s, by live\nVIP / BACKEND         SERVICE    PACKETS/S   BITS/S   CONN/S   LIVE    STATE\n"));
  CHECK(contains(out, "198.51.100.1:80/TCP   demo/web   0           0        0        1.08k   Programmed\n"));
  CHECK(contains(out, "  10.0.0.1:80                    0           0        0        1.08k   ready\nDrops/s: none\n"));
  CHECK(out.find("by live") != out.rfind("by live"));
  CHECK(p.cli({"top", "--once", "--interval", "0.1", "-o", "json", "--service", "demo/web"}, out) == 0);
  INFO(out);
  CHECK(std::count(out.begin(), out.end(), '\n') == 1);
  CHECK(contains(out, "\"live_connections\":\"1085\""));
  CHECK(p.cli({"top", "--once", "--interval", "0.1", "-o", "yaml"}, out) == 0);
  CHECK(out.starts_with("---\ntime: \""));
  CHECK(p.cli({"top", "--once", "-n", "1"}, out) == 2);
  CHECK(p.cli({"top", "--interval", "0"}, out) == 2);
  CHECK(p.cli({"top", "--sort", "name"}, out) == 2);
  p.engine.set_stalled(true);
  CHECK(p.cli({"top", "--once"}, out) == 1);
  CHECK(contains(out, "the engine doesn't say what it dropped"));
}

TEST_CASE("end to end: top doesn't catch up on the samples of an outage") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  const std::string path = p.dir / "top.out";
  const pid_t top =
      spawn("GUIDEWAY", {"--server", p.listen, "top", "-n", "8", "--interval", "0.3", "-o", "json"}, path);
  CHECK(contains(wait_for(path, "seconds"), "seconds"));
  ::kill(daemon.pid, SIGSTOP);
  ::usleep(1'500'000);
  ::kill(daemon.pid, SIGCONT);
  CHECK(exit_code(top) == 0);
  const std::string out = *read_whole_file(path);
  INFO(out);
  const std::string key = "\"seconds\":";
  int samples = 0;
  for (size_t at = out.find(key); at != std::string::npos; at = out.find(key, at + 1), ++samples)
    CHECK(std::stod(out.substr(at + key.size())) > 0.05);
  CHECK(samples == 8);
}

TEST_CASE("end to end: top on a terminal takes keys, and leaves it as it was") {
  Site p;
  write_file(p.dir / "m/web.yaml",
             service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}) +
                 service_yaml("dns", "198.51.100.2") + slice_yaml("dns", {{"10.0.0.2", "ready"}}) +
                 service_yaml("api", "198.51.100.3") + slice_yaml("api", {{"10.0.0.3", "ready"}}));
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  for (const bool by_signal : {false, true}) {
    OnTerminal top("GUIDEWAY", {"--server", p.listen, "top", "--interval", "0.2"});
    CHECK(contains(top.read_until("Drops/s"), "\x1b[?1049h"));
    CHECK_FALSE(top.settings_are_back());
    top.type("c");
    CHECK(contains(top.read_until("by connections"), "by connections"));
    top.type("\x1b[C");
    CHECK(contains(top.read_until("by live"), "by live"));
    top.type("\x1b[D\x1b[D");
    top.type("b");
    CHECK(contains(top.read_until("by bits"), "by bits"));
    // On eight lines there is room for two VIPs and a half; on twenty for all.
    top.read_until("Drops/s");
    CHECK_FALSE(contains(top.read_until("Drops/s"), "10.0.0.1:80"));
    top.resize(20);
    CHECK(contains(top.read_until("10.0.0.1:80"), "10.0.0.1:80"));
    p.engine.set_stalled(true);
    CHECK(contains(top.read_until("the engine doesn't say"), "\x1b[31mthe engine doesn't say"));
    p.engine.set_stalled(false);
    if (by_signal)
      ::kill(top.pid, SIGINT);
    else
      top.type("q");
    CHECK(contains(top.read_until("\x1b[?1049l"), "\x1b[?1049l"));
    CHECK(exit_code(top.pid) == 0);
    CHECK(top.settings_are_back());
  }
}

TEST_CASE("end to end: colours are for terminals") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.300"));
  Running daemon(p.start());
  std::string out = p.cli_until({"status"}, "PROBLEMS");
  CHECK_FALSE(contains(out, "\x1b"));
  struct Terminal {
    OnTerminal::Environment environment;
    bool coloured;
  };
  const std::vector<Terminal> terminals{
      {{}, true},
      {{{"NO_COLOR", ""}}, true},  // as if it weren't set: no-color.org
      {{{"NO_COLOR", "1"}}, false},
      {{{"NO_COLOR", "0"}}, false},  // whatever it is
      {{{"TERM", "dumb"}}, false},
  };
  for (const Terminal& t : terminals) {
    INFO((t.environment.empty() ? "as it is" : t.environment[0].first + "=" + t.environment[0].second));
    OnTerminal status("GUIDEWAY", {"--server", p.listen, "status"}, t.environment);
    out = status.read_until("Generation");
    CHECK(contains(out, "PROBLEMS (1):"));
    CHECK(contains(out, "\x1b[31mPROBLEMS (1):\x1b[0m") == t.coloured);
    CHECK(contains(out, "\x1b") == t.coloured);
    CHECK(exit_code(status.pid) == 0);
  }
}

TEST_CASE("end to end: the daemon logs JSON where it is asked to") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.300"));
  auto arguments = p.daemon_arguments();
  arguments.insert(arguments.end(), {"--log-format", "json"});
  Running daemon(spawn("GUIDEWAYD", arguments, p.dir / "daemon.log"));
  p.cli_until({"status"}, "PROBLEMS");
  CHECK(std::system(
            ("jq -es 'map(.program == \"guidewayd\" and (.time | endswith(\"Z\"))) | all' " + (p.dir / "daemon.log"))
                .c_str()) == 0);
  CHECK(contains(*read_whole_file(p.dir / "daemon.log"),
                 "\"level\":\"error\",\"program\":\"guidewayd\",\"message\":\"" + (p.dir / "m/web.yaml")));
}

TEST_CASE("end to end: log levels are shown and changed") {
  Site p;
  Running daemon(p.start());
  CHECK(p.cli_until({"log-level"}, "engine    info") == "PROGRAM   LEVEL\ndaemon    info\nengine    info\n");
  std::string out;
  CHECK(p.cli({"log-level", "daemon", "debug"}, out) == 0);
  CHECK(out == "PROGRAM   LEVEL\ndaemon    debug\n");
  CHECK(p.cli({"log-level", "engine", "off"}, out) == 0);
  CHECK(out == "PROGRAM   LEVEL\nengine    off\n");
  CHECK(p.engine.state().log_level == engine::LOG_LEVEL_OFF);
  CHECK(p.cli({"log-level", "-o", "json"}, out) == 0);
  CHECK(contains(out, "\"program\": \"PROGRAM_DAEMON\",\n   \"level\": \"LOG_LEVEL_DEBUG\""));
  CHECK(contains(*read_whole_file(p.dir / "daemon.log"), "log level debug, it was info"));
  CHECK(p.cli({"log-level", "kernel"}, out) == 2);
  CHECK(p.cli({"log-level", "engine", "loud"}, out) == 2);
  CHECK(p.cli({"log-level", "debug"}, out) == 2);

  p.engine.set_stalled(true);
  CHECK(p.cli({"log-level", "daemon", "warn"}, out) == 0);
  const std::string who = "): the daemon logs at warn";
  CHECK(contains(wait_for(p.dir / "daemon.log", who), who));  // though that is no warning
  CHECK(p.cli({"log-level", "engine", "warn"}, out) == 1);
  CHECK(contains(out, "the engine doesn't tell its log level: it doesn't answer"));
  CHECK(p.cli({"log-level"}, out) == 0);
  CHECK(contains(out, "daemon    warn\nengine    unknown: the engine doesn't tell its log level: it doesn't answer\n"));
}

TEST_CASE("end to end: wrong command lines") {
  Site p;
  std::string out;
  CHECK(p.cli({"status", "-o", "xml"}, out) == 2);
  CHECK(p.cli({"nothing"}, out) == 2);
  CHECK(p.cli({}, out) == 2);
  CHECK(p.cli({"status", "--help"}, out) == 0);
  CHECK(p.cli({"--version"}, out) == 0);
  CHECK(contains(out, GUIDEWAY_VERSION));
  CHECK(exit_code(spawn("GUIDEWAYD", {}, p.dir / "out")) == 2);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"nonsense"}, {"nonsense", "services"}}) {
    CHECK(p.cli(words, out) == 2);
    CHECK(contains(out, "guideway: there is no command 'nonsense': guideway --help lists them"));
  }
  CHECK(p.cli({"services", "nonsense"}, out) == 2);
  CHECK(contains(out, "not expected: nonsense"));
  CHECK(exit_code(spawn("GUIDEWAY", {"help", "services", "describe"}, p.dir / "out")) == 0);
  CHECK(contains(*read_whole_file(p.dir / "out"), "Usage: guideway services describe [OPTIONS]"));
  CHECK(exit_code(spawn("GUIDEWAYD", {"--help"}, p.dir / "out")) == 0);
  CHECK(exit_code(spawn("GUIDEWAYD", {"--manifests", p.dir / "m", "--listen", "0.0.0.0:1"}, p.dir / "out")) == 2);
  for (const char* at : {"9964", "127.0.0.1", "[::1]:9964", "127.0.0.1:9964,9965"}) {
    std::vector<std::string> metrics = p.daemon_arguments();
    metrics.insert(metrics.end(), {"--metrics", at});
    CHECK(exit_code(spawn("GUIDEWAYD", metrics, p.dir / "out")) == 2);
    CHECK(contains(*read_whole_file(p.dir / "out"), "must be ADDRESS:PORT"));
  }
}

TEST_CASE("end to end: what prevents a start is said in a sentence") {
  Site p;
  const auto fails = [&](const std::string& says) {
    CHECK(exit_code(p.start("log")) == 1);
    const std::string log = *read_whole_file(p.dir / "log");
    INFO(log);
    CHECK(contains(log, says));
  };
  {
    Running daemon(p.start());
    p.cli_until({"status"}, "applied");
    fails("another guidewayd serves");
    // Nor does one that serves elsewhere touch what the first keeps.
    const std::string kept = p.dir / "s/manifests/web.yaml.last-good";
    write_file(kept, "");
    std::filesystem::create_directory(p.dir / "m2");
    std::vector<std::string> other = p.daemon_arguments();
    other[1] = p.dir / "m2";
    other.back() += "2";
    CHECK(exit_code(spawn("GUIDEWAYD", other, p.dir / "log")) == 1);
    CHECK(contains(*read_whole_file(p.dir / "log"), "another guidewayd has the state directory"));
    CHECK(std::filesystem::exists(kept));
  }
  std::filesystem::remove(p.dir / "m");
  fails("doesn't exist; create it");
  write_file(p.dir / "m", "");
  fails("is not a directory");
  std::filesystem::remove(p.dir / "m");
  std::filesystem::create_directory(p.dir / "m");
  std::filesystem::remove_all(p.dir / "s");
  write_file(p.dir / "s", "");
  fails("--state-dir");
  std::filesystem::remove(p.dir / "api.sock");
  write_file(p.dir / "api.sock", "");
  fails("is no socket");
}

TEST_CASE("end to end: the socket is for its group, and a stale one is replaced") {
  Site p;
  Running first(p.start());
  p.cli_until({"status"}, "applied");
  struct stat st{};
  REQUIRE(::stat((p.dir / "api.sock").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0660);
  if (const group* g = ::getgrnam("guideway"); g != nullptr && ::geteuid() == 0) CHECK(st.st_gid == g->gr_gid);
  ::kill(first.pid, SIGKILL);
  exit_code(std::exchange(first.pid, -1));
  REQUIRE(std::filesystem::exists(p.dir / "api.sock"));
  Running second(p.start());
  CHECK(contains(p.cli_until({"status"}, "applied"), "applied"));
}

TEST_CASE("end to end: the gateway's configuration is shown as it is in force, also by default") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "applied");
  std::string out;
  CHECK(p.cli({"gateway"}, out) == 0);
  INFO(out);
  CHECK(contains(out, "# there is no GatewayConfig: these are the defaults\n"));
  CHECK(contains(out, "forwardingMode: \"nat\""));
  CHECK(contains(out, "hashSeed: "));
  for (const char* value : {"established: \"7440s\"", "setup: \"30s\"", "closing: \"60s\"", "udp: \"30s\"",
                            "newFlowsPerSecond: 125000", "icmpErrorsPerSecond: 1000"})
    CHECK(contains(out, value));
  // What is shown can be applied, and is then what is shown.
  write_file(p.dir / "gateway.yaml", out);
  std::string now;
  CHECK(p.cli({"apply", "-f", p.dir / "gateway.yaml"}, now) == 0);
  CHECK(p.cli({"gateway"}, now) == 0);
  CHECK(now == "# came over the API\n" + out.substr(out.find('\n') + 1));
  CHECK(p.cli({"gateway", "-o", "json"}, now) == 0);
  CHECK(nlohmann::json::parse(now)["name"] == "defaults");
  // A manifest's.
  CHECK(p.cli({"delete", "GatewayConfig", "defaults"}, now) == 0);
  const size_t name = out.find("\"defaults\"");
  REQUIRE(name != std::string::npos);
  out.replace(name, 10, "mine");
  write_file(p.dir / "m/gateway.yaml", out);
  CHECK(contains(p.cli_until({"gateway"}, "\"mine\""), "# from " + (p.dir / "m/gateway.yaml") + "\n"));
}

TEST_CASE("end to end: the log names who called over the Unix socket, in JSON in a field") {
  Site p;
  std::vector<std::string> arguments = p.daemon_arguments();
  arguments.insert(arguments.end(), {"--log-format", "json"});
  Running daemon(spawn("GUIDEWAYD", arguments, p.dir / "daemon.log"));
  p.cli_until({"status"}, "applied");
  const std::string ids = "(uid " + std::to_string(::geteuid()) + ", pid ";
  const std::string name = ::getpwuid(::geteuid()) != nullptr ? ::getpwuid(::geteuid())->pw_name : "";
  std::string out;
  CHECK(p.cli({"drain", "10.0.0.9"}, out) == 1);
  CHECK(p.cli({"log-level", "daemon", "info"}, out) == 0);
  std::istringstream lines(wait_for(p.dir / "daemon.log", "SetLogLevel by"));
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto object = nlohmann::json::parse(line);
    if (!object.contains("caller")) continue;
    ++found;
    CHECK(object["caller"].get<std::string>().starts_with(name + " " + ids));
    CHECK(contains(object["message"], object["caller"]));
    CHECK(object["method"] == (object["level"] == "warn" ? "SetBackendWeight" : "SetLogLevel"));
    CHECK(object.contains("code") == (object["level"] == "warn"));
    if (object["level"] != "warn") CHECK(object["change"] == "the daemon logs at info");
  }
  CHECK(found == 2);
}

TEST_CASE("end to end: what is too large, no message or no method is refused in words, and logged with a name") {
  Site p;
  Running daemon(p.start());
  const auto manifests = [](size_t bytes) {
    v1::ApplyObjectsRequest request;
    request.set_manifests(std::string(bytes, '#'));
    return request.SerializeAsString();
  };
  const auto empty_fields = [](int n) {
    v1::DeleteObjectsRequest request;
    for (int i = 0; i < n; ++i) request.add_objects();
    return request.SerializeAsString();
  };
  const auto header = [](size_t bytes) {
    return [bytes](grpc::ClientContext& c) { c.AddMetadata("x", std::string(bytes, 'x')); };
  };
  const auto compressed = [](grpc::ClientContext& c) { c.set_compression_algorithm(GRPC_COMPRESS_GZIP); };
  using enum grpc::StatusCode;
  struct Case {
    std::string method, request;
    std::function<void(grpc::ClientContext&)> prepare;
    grpc::StatusCode code;
    std::string sentence;
    std::string logged = absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) + ": " + sentence;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"ApplyObjects", manifests(5 << 20), {}, RESOURCE_EXHAUSTED, "the request has 524288"},
           {"GetStatus", manifests(66'000), {}, RESOURCE_EXHAUSTED, "the request has 660"},
           {"WatchServices", manifests(5 << 20), {}, RESOURCE_EXHAUSTED, "the request has 524288"},
           {"ListServices",
            manifests(100 << 20),
            {},
            RESOURCE_EXHAUSTED,
            "larger than max",
            "RESOURCE_EXHAUSTED: the request has more than 6291456 bytes"},
           {"DeleteObjects", empty_fields(100'001), {}, RESOURCE_EXHAUSTED, "the request has more than 100000 fields"},
           // More than gRPC holds: it answers by itself.
           {"SetLogLevel", manifests(300 << 20), {}, RESOURCE_EXHAUSTED, "", "ABORTED: the request broke off"},
           {"ListDrops", "", header(17'000), RESOURCE_EXHAUSTED, "the call's headers have 17"},
           {"Trace", "", header(60'000), RESOURCE_EXHAUSTED, "the call's headers have 60"},
           {"GetObject", "\xff\xff\xff", {}, INVALID_ARGUMENT, "GetObjectRequest: the request's bytes aren't such"},
           {"WatchBackends", "\xff", {}, INVALID_ARGUMENT, "WatchBackendsRequest: the request's bytes aren't such"},
           {"GetService", manifests(1'000), compressed, INVALID_ARGUMENT,
            "GetServiceRequest: the request's bytes aren't"},
           {"Nothing", "", {}, UNIMPLEMENTED, "guidewayd " GUIDEWAY_VERSION " has no method /guideway.v1"}}) {
    grpc::Status end;
    const std::string path = std::string("/") + v1::Appliance::service_full_name() + "/" + c.method;
    call_raw(p.listen, path, c.request, &end, c.prepare);
    INFO(c.method << ": " << end.error_message());
    CHECK(end.error_code() == c.code);
    CHECK(contains(end.error_message(), c.sentence));
    const std::string says = (c.code == UNIMPLEMENTED ? path : c.method) + " failed for ";
    const std::string log = wait_for(p.dir / "daemon.log", says);
    INFO(log);
    CHECK(contains(log.substr(log.find(says)),
                   "(uid " + std::to_string(::geteuid()) + ", pid " + std::to_string(::getpid()) + "): " + c.logged));
  }
}

TEST_CASE("end to end: the log names whose headers gRPC refuses by itself") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  // The name is that of the connection which ends; this one stands.
  const Running other(spawn("GUIDEWAY", {"--server", p.listen, "services", "--watch"}, p.dir / "watch.out"));
  wait_for(p.dir / "watch.out", "NAMESPACE");
  grpc::Status end;
  call_raw(p.listen, std::string("/") + v1::Appliance::service_full_name() + "/GetStatus", "", &end,
           [](grpc::ClientContext& c) { c.AddMetadata("x", std::string(70'000, 'x')); });
  INFO(end.error_message());
  CHECK(
      (end.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED || end.error_code() == grpc::StatusCode::UNAVAILABLE));
  const std::string log = wait_for(p.dir / "daemon.log", "a call failed for ");
  INFO(log);
  CHECK(contains(log.substr(log.find("a call failed for ")),
                 "(uid " + std::to_string(::geteuid()) + ", pid " + std::to_string(::getpid()) +
                     "): RESOURCE_EXHAUSTED: received initial metadata size exceeds limit (70"));
  CHECK_FALSE(contains(log, "pid " + std::to_string(other.pid)));
}

TEST_CASE("end to end: who invents methods doesn't hide what others do from the log") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  for (int i = 0; i < 1'100; ++i) {
    std::string name;
    for (int n = i; n > 0; n /= 26) name += static_cast<char>('a' + n % 26);
    call_raw(p.listen, "/guideway.v1.Appliance/" + name, "");
  }
  std::string out;
  CHECK(p.cli({"drain", "10.0.0.9"}, out) == 1);
  const std::string failed = "SetBackendWeight failed for ";
  CHECK(contains(wait_for(p.dir / "daemon.log", failed), failed));
}

TEST_CASE("end to end: a last good form that can't be written is written once it can") {
  Site p;
  const auto service = [](const char* name, const char* vip) {
    return service_yaml(name, vip, "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n");
  };
  const std::string kept = p.dir / "s/manifests/a.yaml.last-good";
  write_file(p.dir / "m/a.yaml", service("a", "198.51.100.1"));
  Running daemon(p.start());
  CHECK(contains(wait_for(kept, "198.51.100.1"), "198.51.100.1"));
  std::filesystem::remove(kept);
  std::filesystem::create_directory(kept);
  write_file(p.dir / "m/a.yaml", service("a", "198.51.100.7"));
  p.cli_until({"status"}, "can't be replaced");
  write_file(p.dir / "m/b.yaml", service("b", "198.51.100.2"));
  CHECK(contains(wait_for(p.dir / "s/manifests/b.yaml.last-good", "198.51.100.2"), "198.51.100.2"));
  CHECK(contains(p.cli_until({"status"}, "can't be replaced"), "can't be replaced"));
  std::filesystem::remove(kept);
  CHECK(contains(wait_for(kept, "198.51.100.7"), "198.51.100.7"));
  CHECK(contains(p.cli_until({"status"}, "Problems:    none"), "Problems:    none"));
}

TEST_CASE("end to end: whatever the daemon complains of has its remedy or its place in JSON") {
  Site p;
  write_file(p.dir / "m/broken.yaml", "kind: [");
  write_file(p.dir / "m/wrong.yaml", service_yaml("web", "198.51.100.1") + "\n---\nkind: Service\n");
  write_file(p.dir / "m/closed.yaml", "");
  std::filesystem::remove(p.dir / "m/closed.yaml");
  std::filesystem::create_directory(p.dir / "m/closed.yaml");
  std::vector<std::string> arguments = p.daemon_arguments();
  arguments.insert(arguments.end(), {"--log-format", "json"});
  *(std::ranges::find(arguments, "--engine") + 1) = p.dir / "none.sock";
  Running daemon(spawn("GUIDEWAYD", arguments, p.dir / "daemon.log"));
  p.cli_until({"status"}, "NOT CONNECTED");
  CHECK(daemon.stop() == 0);
  std::istringstream lines(*read_whole_file(p.dir / "daemon.log"));
  int complaints = 0;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    const auto object = nlohmann::json::parse(line);
    if (object["level"] != "warn" && object["level"] != "error") continue;
    ++complaints;
    CHECK((object.contains("remedy") || (object.contains("file") && object.contains("problem"))));
  }
  CHECK(complaints >= 4);
}

// grpc.health.v1's messages, in bytes: a service's name (field 1), and SERVING (field 1, value 1).
TEST_CASE("end to end: the API tells its health and describes itself") {
  Site p;
  Running daemon(p.start());
  const std::string name = "guideway.v1.Appliance";
  const std::string asked = std::string("\n") + static_cast<char>(name.size()) + name;
  CHECK(call_raw(p.listen, "/grpc.health.v1.Health/Check", "") == "\x08\x01");
  CHECK(call_raw(p.listen, "/grpc.health.v1.Health/Check", asked) == "\x08\x01");
  CHECK(call_raw(p.listen, "/grpc.health.v1.Health/Check", "\n\x07unknown").empty());
  // ServerReflectionRequest.list_services, field 7: all.
  CHECK(contains(call_raw(p.listen, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ":\x01*"), name));
}

TEST_CASE("end to end: the log names who keeps more streams of reflection open than there may be") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  const std::string method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  grpc::GenericStub stub(grpc::CreateChannel(p.listen, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  std::array<grpc::ClientContext, 9> contexts;
  std::vector<std::unique_ptr<grpc::GenericClientAsyncReaderWriter>> streams;
  for (grpc::ClientContext& c : contexts) streams.push_back(stub.PrepareCall(&c, method, &queue));
  for (const auto& s : streams) s->StartCall(nullptr);
  const std::string says = "ServerReflectionInfo failed for ";
  const std::string log = wait_for(p.dir / "daemon.log", says);
  INFO(log);
  CHECK(contains(log.substr(log.find(says)),
                 "pid " + std::to_string(::getpid()) + "): CANCELLED: there are 8 streams of reflection open"));
  for (grpc::ClientContext& c : contexts) c.TryCancel();
  queue.Shutdown();
  void* tag = nullptr;
  for (bool ok = false; queue.Next(&tag, &ok);) {
  }
}

TEST_CASE("end to end: every method refuses a field that it doesn't know, and that is logged with a name") {
  Site p;
  Running daemon(p.start());
  const auto& api = *v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Appliance");
  for (int i = 0; i < api.method_count(); ++i) {
    const auto& method = *api.method(i);
    const std::string name(method.name());
    CAPTURE(name);
    grpc::Status end;
    call_raw(p.listen, std::string("/") + v1::Appliance::service_full_name() + "/" + name, "\xc0\x3e\x01", &end);
    CHECK(end.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(contains(end.error_message(), std::string(method.input_type()->name()) + ": field number 1000 is unknown"));
    const std::string log = *read_whole_file(p.dir / "daemon.log");
    const size_t at = log.rfind(" " + name + " failed for ");
    REQUIRE(at != std::string::npos);
    const std::string line = log.substr(at, log.find('\n', at) - at);
    INFO(line);
    CHECK(contains(line, " (uid " + std::to_string(::geteuid()) + ", pid " + std::to_string(::getpid()) +
                             "): INVALID_ARGUMENT: " + end.error_message()));
  }
}

TEST_CASE("end to end: Prometheus finds what the API tells") {
  Site p;
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") +
                                       slice_yaml("web", {{"10.0.0.1", "ready"}, {"10.0.0.2", "terminating"}}) +
                                       service_yaml("bad", "198.51.100.300"));
  auto arguments = p.daemon_arguments();
  arguments.insert(arguments.end(), {"--metrics", "127.0.0.1:0"});
  Running daemon(spawn("GUIDEWAYD", arguments, p.dir / "daemon.log"));
  p.cli_until({"services"}, "Programmed");
  const std::string log = *read_whole_file(p.dir / "daemon.log");
  const size_t url = log.find("http://");
  REQUIRE(url != std::string::npos);
  const std::string where = log.substr(url, log.find('\n', url) - url);
  const auto scrape = [&] {
    const std::string command = "curl -sS -m 10 " + where + " >" + (p.dir / "metrics");
    REQUIRE(std::system(command.c_str()) == 0);
    return *read_whole_file(p.dir / "metrics");
  };
  const std::string text = scrape();
  INFO(text);
  const std::string vip =
      "{namespace=\"demo\",service=\"web\",port_name=\"http\",vip=\"198.51.100.1\",port=\"80\",protocol=\"TCP\"";
  for (const std::string& line :
       {"# TYPE guideway_dropped_packets_total counter\n" + std::string("guideway_dropped_packets_total{"),
        std::string("guideway_build_info{version=\"" GUIDEWAY_VERSION "\"} 1\n"),
        std::string("guideway_engine_connected 1\n"), std::string("guideway_problems 2\n"),
        std::string("guideway_generation{state=\"applied\"} 1\n"),
        std::string("guideway_limit{name=\"services\"} 16384\n"),
        std::string("guideway_dropped_packets_total{reason=\"no_backend\",worker=\"0\"} "),
        "guideway_vip_programmed" + vip + "} 1\n", "guideway_vip_backends" + vip + ",state=\"draining\"} 1\n",
        "guideway_vip_packets_total" + vip + ",direction=\"forward\"} 502160\n",
        "guideway_vip_connections_total" + vip + "} 2168\n"}) {
    INFO(line);
    CHECK(contains(text, line));
  }
  std::string out;
  for (const char* backend : {"10.0.0.1", "10.0.0.2"}) CHECK(p.cli({"drain", backend}, out) == 0);
  p.cli_until({"services"}, "NoBackend");
  CHECK(contains(scrape(), "guideway_vip_programmed" + vip + "} 0\n"));
  p.engine.set_stalled(true);
  p.engine.hang_up();
  std::string without;
  for (int i = 0; i < 100 && !contains(without, "guideway_engine_connected 0\n"); ++i) without = scrape();
  CHECK(contains(without, "guideway_engine_connected 0\n"));
  CHECK(contains(without, "guideway_problems 3\n"));
  CHECK(contains(without, "guideway_vips 1\n"));

  // A port that is taken is said, and nothing runs.
  arguments.back() = where.substr(7, where.rfind('/') - 7);
  arguments[7] = "unix:" + (p.dir / "other.sock");
  CHECK(exit_code(spawn("GUIDEWAYD", arguments, p.dir / "second.log")) == 1);
  CHECK(contains(*read_whole_file(p.dir / "second.log"), "metrics can't be served at " + arguments.back()));
}

TEST_CASE("end to end: SIGHUP reads everything again") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  ::kill(daemon.pid, SIGHUP);
  CHECK(contains(p.cli_until({"status"}, "applied"), "applied"));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("daemon: files come and go as editors and ConfigMaps move them") {
  Rig rig;
  const std::string web = service_yaml("web", "198.51.100.1");
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const auto& s) { return s.batches.size() == 1; }));
  // Moved here under its name, as most editors save.
  rig.manifest(".web.yaml.tmp", web);
  std::filesystem::rename(rig.path(".web.yaml.tmp"), rig.path("web.yaml"));
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 1; }));
  // Other names aren't read, and moving a file to one of them removes it.
  rig.manifest("web.yaml~", service_yaml("no", "198.51.100.2"));
  rig.manifest(".hidden.yaml", service_yaml("no", "198.51.100.3"));
  std::filesystem::rename(rig.path("web.yaml"), rig.path("web.yaml.off"));
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.empty(); }));
  // A directory that vanishes empties nothing, and is read again when it is back.
  rig.manifest("web.yml", web);
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 1; }));
  std::filesystem::rename(rig.dir / "manifests", rig.dir / "elsewhere");
  CHECK(rig.wait([](const Snapshot& s) { return s.problems.size() == 2; })->problems.size() == 2);
  CHECK(rig.engine.state().services.size() == 1);
  write_file(rig.dir / "elsewhere/more.yaml", service_yaml("more", "198.51.100.4"));
  std::filesystem::rename(rig.dir / "elsewhere", rig.dir / "manifests");
  CHECK(rig.engine.wait([](const auto& s) { return s.services.size() == 2; }));
}

TEST_CASE("daemon: a directory that vanishes empties nothing, also while a change of a file is unread") {
  Rig rig;
  rig.manifest("web.yaml", service_yaml("web", "198.51.100.1"));
  EventLoop loop;
  Daemon daemon(loop, {rig.dir / "manifests", rig.dir / "state", rig.engine.path()});
  REQUIRE(daemon.start().ok());
  rig.manifest("web.yaml", service_yaml("web", "198.51.100.2"));
  std::filesystem::rename(rig.dir / "manifests", rig.dir / "elsewhere");
  std::thread thread([&] { loop.run(); });
  const std::string why = rig.dir / "manifests was removed or moved: its objects stay in force until it is back";
  const auto lost = [&] {
    const SnapshotPtr s = daemon.take_snapshot(std::nullopt).value();
    return std::ranges::any_of(s->problems, [&](const Problem& p) { return p.text == why; });
  };
  for (int i = 0; i < 1000 && !lost(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(lost());
  CHECK(daemon.take_vips().value().size() == 1);
  std::filesystem::rename(rig.dir / "elsewhere", rig.dir / "manifests");
  CHECK(rig.engine.wait([](const auto& s) { return s.services.contains("demo/web:http@198.51.100.2:80/TCP"); }));
  loop.post([&] { loop.stop(); });
  thread.join();
}

TEST_CASE("daemon: a form that becomes another one without its file is kept so") {
  const std::string vip = "demo/web:http@198.51.100.1:80/TCP";
  const auto has = [&vip](const auto& good) {
    return [&vip, good](const FakeEngine::State& s) {
      const auto it = s.services.find(vip);
      return it != s.services.end() && good(it->second);
    };
  };
  const auto any = has([](const engine::Service&) { return true; });
  const auto gateway = [](const std::string& mode) {
    return "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec: {forwardingMode: " +
           mode + "}\n";
  };
  const std::string web = service_yaml("web", "198.51.100.1");
  Rig rig;
  const auto kept = [&](const std::string& file, const std::string& what) {
    const std::string path = rig.dir / ("state/manifests/" + file + ".last-good");
    return wait_for(path, what).find(what) != std::string::npos;
  };
  const auto restart_on_broken = [&](const std::string& file) {
    rig.stop();
    rig.manifest(file, "a: [\n");
    const size_t before = rig.engine.state().batches.size();
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait([&](const auto& s) { return s.batches.size() > before; }));
  };

  SECTION("its mode") {
    const auto dsr = has([](const engine::Service& s) { return s.mode() == engine::FORWARDING_MODE_DSR_L2; });
    rig.manifest("g.yaml", gateway("nat"));
    rig.manifest("web.yaml", web);
    REQUIRE(rig.start().ok());
    REQUIRE(kept("web.yaml", "nat"));
    rig.manifest("g.yaml", gateway("dsr-l2"));
    REQUIRE(rig.engine.wait(dsr));
    restart_on_broken("web.yaml");
    CHECK(dsr(rig.engine.state()));
  }
  SECTION("its owner") {
    rig.manifest("a.yaml", web);
    rig.manifest("b.yaml", web + service_yaml("other", "198.51.100.2"));
    REQUIRE(rig.start().ok());
    REQUIRE(kept("b.yaml", "other"));
    rig.remove("a.yaml");
    REQUIRE(rig.wait([&](const Snapshot& s) { return s.files.size() == 1; }));
    restart_on_broken("b.yaml");
    CHECK(any(rig.engine.state()));
  }
  SECTION("itself, as nothing contradicts it any more") {
    const auto moved = [](const FakeEngine::State& s) {
      return s.services.contains("demo/web:http@198.51.100.2:80/TCP");
    };
    rig.manifest("a.yaml", service_yaml("aged", "198.51.100.2"));
    rig.manifest("web.yaml", web);
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 2; }));
    rig.manifest("web.yaml", service_yaml("web", "198.51.100.2"));
    REQUIRE(rig.wait([](const Snapshot& s) { return s.problems.size() == 3; })->problems.size() == 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // it is kept by now, in its former form
    rig.remove("a.yaml");
    REQUIRE(rig.engine.wait(moved));
    restart_on_broken("web.yaml");
    CHECK(moved(rig.engine.state()));
  }
  SECTION("a slice of it, which fits its mode now") {
    const auto at = [&](uint32_t port) {
      return has([port](const engine::Service& s) { return s.reals_size() == 1 && s.reals(0).port() == port; });
    };
    rig.manifest("g.yaml", gateway("dsr-l2"));
    rig.manifest("web.yaml", web);
    rig.manifest("slice.yaml", slice_yaml("web", {{"10.0.0.1", "ready"}}));
    REQUIRE(rig.start().ok());
    REQUIRE(rig.engine.wait(at(80)));
    rig.manifest("slice.yaml", slice_yaml("web", {{"10.0.0.1", "ready"}}, 8080));
    REQUIRE(rig.wait_problem("EndpointSlice demo/web-1", "ports[0].port").has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // it is kept by now, in its former form
    rig.manifest("g.yaml", gateway("nat"));
    REQUIRE(rig.engine.wait(at(8080)));
    restart_on_broken("slice.yaml");
    CHECK(at(8080)(rig.engine.state()));
  }
}

TEST_CASE("daemon: a file that is too large is a problem of its own") {
  Rig rig;
  REQUIRE(rig.start().ok());
  const std::string big = rig.path("big.yaml");
  write_file(big + ".tmp", "");
  std::filesystem::resize_file(big + ".tmp", uint64_t{1} << 40);  // more than there is memory
  std::filesystem::rename(big + ".tmp", big);
  rig.manifest("web.yaml", service_yaml("web", "198.51.100.1"));
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 1; }));
  const auto problem = rig.wait_problem("", "");
  REQUIRE(problem);
  CHECK(problem->file == big);
  CHECK(problem->text == big + " is larger than 256 MB; split it");
  rig.manifest("big.yaml", service_yaml("dns", "198.51.100.2"));
  CHECK(rig.engine.wait([](const auto& s) { return s.services.size() == 2; }));
}

TEST_CASE("daemon: a manifest that was deleted while it didn't run is gone") {
  Rig rig;
  rig.manifest("a.yaml", service_yaml("a", "198.51.100.1"));
  rig.manifest("b.yaml", service_yaml("b", "198.51.100.2"));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 2; }));
  rig.stop();
  rig.remove("a.yaml");
  REQUIRE(rig.start().ok());
  CHECK(rig.engine.wait([](const auto& s) { return s.services.size() == 1; }));
}

TEST_CASE("daemon: a VIP that becomes an SNAT address is refused, and a restart changes nothing") {
  Rig rig;
  const auto config = [](const std::string& address) {
    return "apiVersion: guideway.io/v1alpha1\nkind: GatewayConfig\nmetadata: {name: g}\nspec: {snat: [{address: " +
           address + ", dedicated: true}]}\n";
  };
  rig.manifest("g.yaml", config("192.0.2.1"));
  rig.manifest("web.yaml", service_yaml("web", "198.51.100.1", "  creationTimestamp: \"2020-01-01T00:00:00Z\"\n"));
  REQUIRE(rig.start().ok());
  REQUIRE(rig.engine.wait([](const auto& s) { return s.services.size() == 1; }));
  rig.manifest("g.yaml", config("198.51.100.1"));
  REQUIRE(rig.wait_problem("Service demo/web", "status.loadBalancer.ingress[0].ip").has_value());
  for (const bool restarted : {false, true}) {
    INFO(restarted);
    if (restarted) REQUIRE(rig.start().ok());
    const auto told = [](const Snapshot& s) { return s.desired.counter() == (s.applied ? s.applied->counter() : 0); };
    CHECK(rig.wait(told)->problems.size() == 1);
    CHECK(rig.engine.state().services.empty());
    CHECK(rig.engine.state().gateway->snat(0).address() == net::bytes_of(*net::parse_ip("198.51.100.1")));
  }
}

}  // namespace guideway::mgmt
