// What all commands of guideway have in common, and what those that send files do when one can't be read.
#include "mgmt/cli/client.h"

#include <catch2/catch.hpp>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "mgmt/cli/pages.h"
#include "mgmt/event_loop.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/testing/programs.h"

namespace guideway::mgmt {
namespace {

// Which needs nothing else.
constexpr const char* kMode = "  annotations:\n    guideway.io/forwarding-mode: dsr-l2\n";

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Takes calls and answers none.
class Mute final : public grpc::CallbackGenericService {
 public:
  explicit Mute(const std::string& at) {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(this);
    builder.AddListeningPort(at, grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
    REQUIRE(server_);
  }
  ~Mute() override { server_->Shutdown(std::chrono::system_clock::now()); }

 private:
  class Silence final : public grpc::ServerGenericBidiReactor {
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override { return new Silence; }
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

TEST_CASE("client: a daemon that answers is reached, whatever it says", "[client]") {
  const Client client;
  CHECK(client.explain({grpc::StatusCode::UNAVAILABLE, "guidewayd is stopping"}) == "guidewayd is stopping");
  CHECK(client.explain({grpc::StatusCode::INTERNAL, "a\x1b[2J: no space\nb"}) == "a\\x1b[2J: no space\nb");
  const std::string away = client.explain({grpc::StatusCode::UNAVAILABLE, "failed to connect to all addresses"});
  CHECK(away.starts_with("guidewayd can't be reached at unix:/run/guideway/guideway.sock (failed to connect"));
  CHECK(contains(away, "is it running"));
}

TEST_CASE("client: a daemon that is late isn't called away, and may have done it", "[client]") {
  const TemporaryDirectory dir;
  Client client;
  client.server = "unix:" + (dir / "api.sock");
  client.patience = {std::chrono::seconds(1), std::chrono::seconds(2)};
  const auto ask = [&]<typename Request, typename Response>(Client::Method<Request, Response> method,
                                                            const Request& request) {
    Response response;
    return client.explain(client.ask(method, request, &response));
  };
  using Api = v1::Appliance::Stub;
  v1::ApplyObjectsRequest dry;
  dry.set_dry_run(true);
  {
    Mute daemon(client.server);
    const std::string unknown = ", and may have done it all the same: look before you try again";
    CHECK(ask(&Api::GetStatus, v1::GetStatusRequest()) == "guidewayd hasn't answered within 1 s: try again");
    CHECK(ask(&Api::SetLogLevel, v1::SetLogLevelRequest()) == "guidewayd hasn't answered within 1 s" + unknown);
    CHECK(ask(&Api::ApplyObjects, dry) == "guidewayd hasn't answered within 2 s: try again");
    CHECK(ask(&Api::DeleteObjects, v1::DeleteObjectsRequest()) == "guidewayd hasn't answered within 2 s" + unknown);
  }
  // One that stands still takes no connection: nothing was sent.
  const Fd nobody{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un place{.sun_family = AF_UNIX, .sun_path = {}};
  (dir / "mute.sock").copy(place.sun_path, sizeof place.sun_path - 1);
  REQUIRE(::bind(nobody.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0);
  REQUIRE(::listen(nobody.get(), 1) == 0);
  Client other;
  other.server = "unix:" + (dir / "mute.sock");
  other.patience = client.patience;
  v1::SetLogLevelResponse response;
  const grpc::Status s = other.ask(&Api::SetLogLevel, v1::SetLogLevelRequest(), &response);
  CHECK(other.explain(s).starts_with("guidewayd can't be reached at unix:"));
}

TEST_CASE("client: what guidewayd says of time that is over is said as it is", "[client]") {
  const Client client;
  const std::string engine = "the engine hasn't answered in time";
  CHECK(client.explain({grpc::StatusCode::DEADLINE_EXCEEDED, engine}) == engine);
}

TEST_CASE("client: the doctor says of a daemon that is away what every command does", "[client]") {
  Site p;
  std::string status;
  std::string doctor;
  CHECK(p.cli({"status"}, status) == 1);
  CHECK(p.cli({"doctor"}, doctor) == 1);
  INFO(status << doctor);
  const std::string away = "guidewayd can't be reached at " + p.listen;
  CHECK(contains(status, "guideway: " + away));
  CHECK(doctor.starts_with("problem   daemon: " + away));
  p.listen = "tcp:127.0.0.1:1";
  for (const char* name : {"GUIDEWAY_TLS_CERT", "GUIDEWAY_TLS_KEY", "GUIDEWAY_TLS_CA"}) ::setenv(name, "/nowhere", 1);
  CHECK(p.cli({"doctor"}, doctor) == 1);
  for (const char* name : {"GUIDEWAY_TLS_CERT", "GUIDEWAY_TLS_KEY", "GUIDEWAY_TLS_CA"}) ::unsetenv(name);
  INFO(doctor);
  CHECK(contains(doctor, "/nowhere"));
  CHECK_FALSE(contains(doctor, "its socket"));  // over TCP there is none
}

TEST_CASE("client: a command line that a shell takes has what isn't by default", "[client]") {
  Client client;
  CHECK(client.command_line() == "guideway");
  client.server = "unix:/tmp/it's/api.sock";
  CHECK(client.command_line() == "guideway --server 'unix:/tmp/it'\\''s/api.sock'");
  client.server = "tcp:gw1:9965";
  client.tls = {"a.crt", "a.key", "ca.crt"};
  client.tls_server_name = "gw1.example.net";
  CHECK(client.command_line() ==
        "guideway --server 'tcp:gw1:9965' --tls-cert 'a.crt' --tls-key 'a.key' --tls-ca 'ca.crt' "
        "--tls-server-name 'gw1.example.net'");
}

TEST_CASE("client: a larger limit that is suggested is one that is taken", "[client]") {
  CHECK(show_more(2) == "--limit 20 shows more");
  CHECK(show_more(kMaxLimit / 2) == "--limit 1000000 shows more");
  CHECK(show_more(kMaxLimit) == "other options show them in parts");
}

TEST_CASE("client: what is no address of the daemon is said before anything else", "[client]") {
  Site p;
  std::string out;
  for (const char* server :
       {"foo", "tcp:foo", "tcp:", "", "tcp:gw1:0", "tcp:gw1:x", "tcp:2001:db8::1:9443", "UNIX:/run/x"}) {
    p.listen = server;
    INFO(server);
    CHECK(p.cli({"status"}, out) == 2);
    CHECK(contains(out, "--server " + p.listen + " is no address of guidewayd: give unix:PATH or tcp:HOST:PORT"));
    CHECK_FALSE(contains(out, "--tls"));
  }
  for (const char* server : {"tcp:gw1:9443", "gw1:9443", "tcp:[2001:db8::1]:9443"}) {
    p.listen = server;
    INFO(server);
    CHECK(p.cli({"status"}, out) == 2);
    CHECK(contains(out, "needs --tls-cert, --tls-key and --tls-ca"));
  }
}

TEST_CASE("client: TCP's flags may be written in several ways", "[client]") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  std::string out;
  std::vector<std::string> command{"trace", "tcp", "203.0.113.7:40000", "192.0.2.10:80", "--flags"};
  const auto traced = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> all = command;
    all.insert(all.end(), flags.begin(), flags.end());
    return p.cli(all, out);
  };
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"fin,ack"}, {"fin|ack"}, {"FIN,Ack"}, {"ack,fin,ack"}, {"fin", "--flags", "ack"}}) {
    INFO(flags[0]);
    CHECK(traced(flags) == 0);
    CHECK(p.engine.state().trace_requests.back().tcp_flags() == 0x11);
  }
  CHECK(traced({"fin,psh|rst,ack"}) == 0);
  CHECK(p.engine.state().trace_requests.back().tcp_flags() == 0x1d);
  for (const char* flags : {"fin,urg", "urg", "fin,,ack", "fin,", "", "fin ack", "fin+ack"}) {
    INFO(flags);
    CHECK(traced({flags}) == 2);
    CHECK(contains(out, "--flags: "));
    CHECK(contains(out, " not in {ack,fin,psh,rst,syn}"));
  }
}

TEST_CASE("client: what guidewayd finds wrong with a value is said by its option's name", "[client]") {
  const OptionNames names{{"filter.vip", "--vip"}, {"address", "backend"}};
  CHECK(with_options("filter.vip: 'x' is no address\naddress: 'filter.vip: ' is no address\nand 2 more", names) ==
        "--vip: 'x' is no address\nbackend: 'filter.vip: ' is no address\nand 2 more");
  CHECK(with_options("filter: no\naddress", names) == "filter: no\nbackend");
  CHECK(with_options("", names).empty());

  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  std::string out;
  const std::string spaced = "a b";
  for (const auto& [command, says] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"connections", "--client", "10/8"}, "--client: '10/8' is neither an address nor a prefix"},
           {{"connections", "--vip", "here"}, "--vip: 'here' is no address"},
           {{"connections", "--backend", "here", "--count"}, "--backend: 'here' is no address"},
           {{"connections", "--service", spaced}, "--service: is no name"},
           {{"connections", "--service", "/web"}, "--service /web is neither NAMESPACE/NAME nor NAME"},
           {{"filters", "prefixes", "--address", "here"}, "--address: 'here' is no address"},
           {{"filters", "prefixes", "--filter", spaced}, "--filter: is no name"},
           {{"services", "describe", spaced}, "service: is no name"},
           {{"drain", "here"}, "backend: 'here' is no address"},
           {{"undrain", "10.0.0.1", "--service", spaced}, "--service: is no name"},
           {{"weight", "here", "--reset"}, "backend: 'here' is no address"},
           {{"delete", "Service", spaced}, "object: is no name"},
           {{"trace", "tcp", "here:1", "there:1"}, "from: 'here' is no address"},
           {{"trace", "tcp", "here:1", "there:1"}, "\nto: 'there' is no address"},
           {{"trace", "udp", "10.0.0.1:1", "10.0.0.2:2", "--chunk", "data"}, "--chunk: only SCTP has chunks"},
           {{"trace", "tcp", "10.0.0.1:1", "10.0.0.2:2", "--icmp-error", "too-big", "--icmp-from", "here"},
            "--icmp-from: 'here' is no address"},
           {{"trace", "tcp", "10.0.0.1:1", "10.0.0.2:2", "--port", "p9"}, "--port: the engine has no port p9"}}) {
    CHECK(p.cli(command, out) == 2);
    INFO(out);
    CHECK(contains(out, says[0] == '\n' ? says : "guideway: " + says));
  }
  // What isn't there, and what is wrong in a manifest, is no wrong command line.
  CHECK(p.cli({"drain", "10.0.0.9"}, out) == 1);
  CHECK(p.cli({"filters", "prefixes", "--filter", "f"}, out) == 1);
  CHECK(p.cli({"services", "describe", "web"}, out) == 1);
  write_file(p.dir / "bad.yaml", "kind: Service\n");
  CHECK(p.cli({"apply", "-f", p.dir / "bad.yaml"}, out) == 1);
  CHECK(p.cli({"delete", "-f", p.dir / "bad.yaml"}, out) == 1);
}

TEST_CASE("client: that standard output can't be written is said once", "[client]") {
  Site p;
  write_file(p.dir / "web.yaml", service_yaml("web", "198.51.100.1", kMode));
  write_file(p.dir / "dns.yaml", service_yaml("dns", "198.51.100.2", kMode));
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  const auto run = [&](const std::string& command) {
    const std::string line = "\"$GUIDEWAY\" --server " + p.listen + " " + command;
    return WEXITSTATUS(std::system((line + " 2>" + (p.dir / "said")).c_str()));
  };
  const auto said = [&] { return read_whole_file(p.dir / "said").value_or("?"); };
  const std::string files = "-f " + (p.dir / "web.yaml") + " -f " + (p.dir / "dns.yaml");
  for (const std::string& command :
       {std::string("--help"), std::string("status"), std::string("drops -o json"), std::string("gateway -o yaml"),
        std::string("connections -o json"), std::string("backends --watch"), std::string("services -w -o json"),
        std::string("top -n 1"), "apply " + files}) {
    INFO(command);
    CHECK(run(command + " >/dev/full") == 1);
    CHECK(said() == "guideway: standard output: No space left on device\n");
  }
  CHECK(run("diff -o json " + files + " >/dev/full") == 2);
  CHECK(said() == "guideway: standard output: No space left on device\n");
  // Whose reader has gone ends without a word.
  const std::string unread =
      "trap '' PIPE; { sleep 0.3; \"$GUIDEWAY\" --server " + p.listen + " status 2>" + (p.dir / "said") + "; } | true";
  CHECK(std::system(unread.c_str()) == 0);
  CHECK(said().empty());
}

TEST_CASE("client: several answers are several documents of YAML", "[client]") {
  Site p;
  write_file(p.dir / "web.yaml", service_yaml("web", "198.51.100.1", kMode));
  write_file(p.dir / "dns.yaml", service_yaml("dns", "198.51.100.2", kMode));
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  const std::string watched = p.dir / "watched";
  Running watch(spawn("GUIDEWAY", {"--server", p.listen, "services", "-w", "-o", "yaml"}, watched));
  wait_for(watched, "last: true");
  std::string out;
  CHECK(p.cli({"apply", "-o", "yaml", "-f", p.dir / "web.yaml", "-f", p.dir / "dns.yaml"}, out) == 0);
  INFO(out);
  CHECK(out.starts_with("objects:"));
  CHECK(count(out, "\n---\nobjects:") == 1);
  out = wait_for(watched, "name: dns");
  INFO(out);
  CHECK(contains(out, "name: dns"));
  CHECK(out.starts_with("---\n"));
  CHECK(count(out, "---\nchanged:") >= 2);
  CHECK(count(out, "---\nchanged:") == count("\n" + out, "\nchanged:"));
}

TEST_CASE("client: what is wrong in a file is a line with the file and its line", "[client]") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  const std::string file = p.dir / "bad.yaml";
  std::string out;
  write_file(file, "kind: Service\n");
  CHECK(p.cli({"apply", "-f", file}, out) == 1);
  CHECK(out == "guideway: " + file + ":1: apiVersion: is missing: every Kubernetes object has one\n");
  CHECK(p.cli({"diff", "-f", file}, out) == 2);
  CHECK(out.starts_with("guideway: " + file + ":1: apiVersion: is missing"));
  const std::string web = service_yaml("web", "198.51.100.1", kMode);
  write_file(file, web + "---\nkind: [\n");
  CHECK(p.cli({"delete", "-f", file}, out) == 1);
  CHECK(out.starts_with("guideway: " + file + ":" + std::to_string(count(web, "\n") + 3) + ": not valid YAML: "));
  write_file(file, "");
  CHECK(p.cli({"apply", "-f", file}, out) == 1);
  CHECK(out == "guideway: " + file + ": no object\n");
  write_file(file, service_yaml("web", "198.51.100", kMode) + "---\n" + service_yaml("dns", "198.51.100", kMode));
  CHECK(p.cli({"apply", "-f", file}, out) == 1);
  INFO(out);
  CHECK(count(out, "guideway: " + file + ":") == count(out, "\n"));
  CHECK(contains(out, ": Service demo/web: "));
  CHECK(contains(out, ": Service demo/dns: "));
  CHECK_FALSE(contains(out, "document"));
}

TEST_CASE("client: a file that isn't UTF-8 is told so", "[client]") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  const std::string good = p.dir / "a.yaml";
  const std::string random = p.dir / "rnd.yaml";
  write_file(good, service_yaml("web", "198.51.100.1", kMode));
  write_file(random, "kind: \xff\xfe\x80\n");
  std::string out;
  for (const char* command : {"apply", "diff", "delete"}) {
    CHECK(p.cli({command, "-f", good, "-f", random}, out) == 2);
    CHECK(out == "guideway: " + random + " isn't UTF-8 text\n");
    const std::string piped =
        "\"$GUIDEWAY\" --server " + p.listen + " " + command + " -f - <" + random + " >" + (p.dir / "said") + " 2>&1";
    CHECK(WEXITSTATUS(std::system(piped.c_str())) == 2);
    CHECK(read_whole_file(p.dir / "said").value_or("") == "guideway: standard input isn't UTF-8 text\n");
  }
  // Nor are the library's own words on the terminal where another text isn't.
  p.cli({"connections", "--client", "\xff"}, out);
  CHECK_FALSE(contains(out, "libprotobuf"));
}

TEST_CASE("client: what deletes the rest of a file is said where an object of it is gone", "[client]") {
  Site p;
  Running daemon(p.start());
  p.cli_until({"status"}, "1 applied");
  const std::string file = p.dir / "a.yaml";
  std::string out;
  write_file(file, service_yaml("web", "198.51.100.1", kMode));
  CHECK(p.cli({"apply", "-f", file}, out) == 0);
  write_file(file, service_yaml("web", "198.51.100.1", kMode) + service_yaml("dns", "198.51.100.2", kMode));
  CHECK(p.cli({"delete", "-f", file}, out) == 1);
  CHECK(out ==
        "guideway: " + file +
            ": there is no Service demo/dns, so nothing of the file is deleted: --ignore-not-found deletes the rest\n");
  CHECK(p.cli({"delete", "-f", file, "--ignore-not-found"}, out) == 0);
  CHECK(out == "Service demo/web deleted\n");
}

TEST_CASE("client: nothing is sent when one of the files can't be read", "[client]") {
  Site p;
  const std::string good = p.dir / "a.yaml";
  write_file(good, service_yaml("web", "198.51.100.1", kMode));
  std::filesystem::create_directory(p.dir / "mixed");
  write_file(p.dir / "mixed/a.yaml", service_yaml("web", "198.51.100.1", kMode));
  std::filesystem::create_directory(p.dir / "mixed/b.yaml");
  Running daemon(p.start());
  p.cli_until({"status"}, "Daemon");
  std::string out;
  CHECK(p.cli({"apply", "-f", good, "-f", "/nowhere.yaml"}, out) == 2);
  CHECK(out == "guideway: -f /nowhere.yaml can't be read: No such file or directory\n");
  CHECK(p.cli({"apply", "-f", p.dir / "mixed"}, out) == 2);
  CHECK(out == "guideway: -f " + (p.dir / "mixed/b.yaml") + " can't be read: Is a directory\n");
  CHECK(p.cli({"diff", "-f", good, "-f", "/nowhere.yaml"}, out) == 2);
  CHECK_FALSE(contains(out, "name: web"));
  CHECK(p.cli({"delete", "--ignore-not-found", "-f", good}, out) == 0);
  CHECK(out.empty());  // it never came

  CHECK(p.cli({"apply", "-f", good}, out) == 0);
  CHECK(p.cli({"delete", "-f", good, "-f", "/nowhere.yaml"}, out) == 2);
  CHECK(p.cli({"diff", "-f", good}, out) == 0);  // still there
  CHECK(p.cli({"delete", "-f", good}, out) == 0);

  ::setenv("TMPDIR", "/nowhere", 1);
  CHECK(p.cli({"diff", "-f", good}, out) == 2);
  ::unsetenv("TMPDIR");
  CHECK(contains(out, "guideway: /nowhere/guideway-diff-"));
  CHECK(contains(out, "can't be written: No such file or directory"));
}

}  // namespace guideway::mgmt
