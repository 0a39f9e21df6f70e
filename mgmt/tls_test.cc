// The API over TCP, by the two programs: who is let in, who may do what, and certificates that change.

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "mgmt/api/appliance.pb.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/testing/programs.h"
#include "mgmt/tls/certificates.h"

namespace guideway::mgmt {
namespace {

// The commands that the documentation gives to make certificates.
std::string documented_commands() {
  const char* source = std::getenv("GUIDEWAY_SOURCE");
  REQUIRE(source != nullptr);
  const std::string text = *read_whole_file(std::string(source) + "/docs/operations.md");
  const size_t heading = text.find("### The API over TCP");
  const size_t begin = text.find("```\n", text.find("openssl ecparam", heading) - 200) + 4;
  REQUIRE(heading != std::string::npos);
  return text.substr(begin, text.find("```\n", begin) - begin);
}

struct TlsSite : Site {
  std::vector<std::string> tls_arguments;

  // As documented: an authority, a gateway, and alice, an operator.
  TlsSite() {
    shell(documented_commands());
    tls_arguments = {"--listen",  "tcp:127.0.0.1:0",   "--tls-cert",      dir / "gateway.crt",
                     "--tls-key", dir / "gateway.key", "--tls-client-ca", dir / "ca.crt"};
  }
  void shell(const std::string& commands) const {
    write_file(dir / "commands.sh", commands);
    const std::string line = "cd " + (dir / "") + " && bash -eu commands.sh >commands.log 2>&1";
    REQUIRE(std::system(line.c_str()) == 0);
  }
  void authority(const std::string& name) const {
    shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " + name +
          ".key -subj /CN=" + name + " -days 10 -out " + name + ".crt");
  }
  void certify(const std::string& name, const std::string& subject, const std::string& ca = "ca",
               const std::string& days = "90", const std::string& extensions = "client.ext") const {
    shell("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " + name + ".key -subj '" +
          subject + "' -out " + name + ".csr\n" + "openssl x509 -req -in " + name + ".csr -CA " + ca + ".crt -CAkey " +
          ca + ".key -days " + days + " -extfile " + extensions + " -out " + name + ".crt");
  }
  pid_t start_tls(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = daemon_arguments();
    all.insert(all.end(), tls_arguments.begin(), tls_arguments.end());
    all.insert(all.end(), more.begin(), more.end());
    std::filesystem::remove(dir / "daemon.log");  // so that what stands there is this one's
    return spawn("GUIDEWAYD", all, dir / "daemon.log");
  }
  std::string log() const {
    const auto text = read_whole_file(dir / "daemon.log");
    return text.ok() ? *text : "";
  }
  // "127.0.0.1:PORT", once the daemon listens.
  std::string address() const {
    const std::string text = wait_for(dir / "daemon.log", "API at tcp:");
    const size_t at = text.find("API at tcp:") + 11;
    return text.substr(at, text.find_first_of("\n\"", at) - at);
  }
  int as(const std::string& name, std::vector<std::string> arguments, std::string& out, const std::string& ca = "ca",
         const std::string& server = "") const {
    arguments.insert(arguments.begin(),
                     {"--server", "tcp:" + (server.empty() ? address() : server), "--tls-cert", dir / (name + ".crt"),
                      "--tls-key", dir / (name + ".key"), "--tls-ca", dir / (ca + ".crt")});
    const int code = exit_code(spawn("GUIDEWAY", arguments, dir / "cli.out"));
    out = *read_whole_file(dir / "cli.out");
    return code;
  }
  // Desired, as the daemon counts them.
  uint64_t generation() const {
    std::string out;
    REQUIRE(cli({"status", "-o", "json"}, out) == 0);
    return std::stoull(nlohmann::json::parse(out)["desired"]["counter"].get<std::string>());
  }
  std::string pem(const std::string& name) const { return *read_whole_file(dir / name); }
  std::shared_ptr<grpc::Channel> channel(const std::string& name) const {
    return grpc::CreateChannel(address(),
                               grpc::SslCredentials({pem("ca.crt"), pem(name + ".key"), pem(name + ".crt")}));
  }
};

grpc::Status call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& request = "", const std::string& header = "") {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  if (!header.empty()) context.AddMetadata("x", header);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const grpc::Slice bytes(request);
  const grpc::ByteBuffer in(&bytes, 1);
  grpc::ByteBuffer out;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, method, in, &queue);
  call->StartCall();
  call->Finish(&out, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

// Whatever comes back within two seconds of bytes that are no TLS.
std::string say(const std::string& address, const std::string& bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = ::htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  const timeval within{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  [[maybe_unused]] const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string answer(4096, '\0');
  const ssize_t n = ::recv(fd, answer.data(), answer.size(), 0);
  ::close(fd);
  return answer.substr(0, n > 0 ? static_cast<size_t>(n) : 0);
}

const std::string kReads = "/guideway.v1.Appliance/GetStatus";
const std::string kUnknown = "/guideway.v1.Appliance/NoSuchMethod";
const std::string kHealth = "/grpc.health.v1.Health/Check";

}  // namespace

TEST_CASE("tls: roles decide who may call what", "[tls]") {
  TlsSite p;
  p.certify("bob", "/O=guideway:viewers/CN=bob");
  p.certify("carol", "/O=sales/CN=carol");
  p.certify("dave", "/CN=dave");
  write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + slice_yaml("web", {{"10.0.0.1", "ready"}}));
  Running daemon(p.start_tls());
  std::string out;
  CHECK(p.as("alice", {"status"}, out) == 0);
  CHECK(contains(out, "applied"));
  CHECK(p.as("bob", {"services"}, out) == 0);
  CHECK(p.as("carol", {"status"}, out) == 1);
  INFO(out);
  CHECK(contains(out,
                 "guideway: the certificate of 'carol' has O=sales, which is no role here: viewers have "
                 "O=guideway:viewers, operators O=guideway:operators"));
  CHECK(p.as("dave", {"status"}, out) == 1);
  CHECK(contains(out, "the certificate of 'dave' has no O"));

  CHECK(p.as("alice", {"weight", "10.0.0.1", "3"}, out) == 0);
  CHECK(contains(p.log(), "SetBackendWeight by 'alice': backend 10.0.0.1 has weight 3"));
  CHECK(p.as("alice", {"drain", "10.0.0.9"}, out) == 1);
  CHECK(contains(p.log(),
                 "SetBackendWeight failed for 'alice': NOT_FOUND: there is no backend 10.0.0.9; "
                 "guideway backends lists those there are"));

  CHECK(p.as("bob", {"drain", "10.0.0.1"}, out) == 1);
  CHECK(contains(out, "'bob' is a viewer (O=guideway:viewers): SetBackendWeight is for operators"));
  CHECK(p.as("bob", {"undrain", "10.0.0.1"}, out) == 1);
  const uint64_t before = p.generation();
  write_file(p.dir / "new.yaml", service_yaml("intruder", "198.51.100.9"));
  CHECK(p.as("bob", {"apply", "-f", p.dir / "new.yaml"}, out) == 1);
  CHECK(contains(out, "ApplyObjects is for operators"));
  CHECK(p.generation() == before);
  CHECK(p.as("bob", {"delete", "service", "demo/web"}, out) == 1);
  CHECK(p.as("bob", {"backends"}, out) == 0);
  CHECK_FALSE(contains(out, "draining"));
  CHECK(p.as("alice", {"drain", "10.0.0.1"}, out) == 0);
  CHECK(contains(out, "in force for Service demo/web"));

  const auto alice = p.channel("alice");
  const auto bob = p.channel("bob");
  const auto carol = p.channel("carol");
  CHECK(call(bob, kReads).ok());
  CHECK(call(alice, kUnknown).error_code() == grpc::StatusCode::UNIMPLEMENTED);
  const grpc::Status refused = call(bob, kUnknown);
  CHECK(refused.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(refused.error_message() ==
        "'bob' is a viewer (O=guideway:viewers): NoSuchMethod is for operators "
        "(O=guideway:operators)");
  CHECK(call(carol, kUnknown).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  for (const auto& anybody : {alice, bob, carol}) CHECK(call(anybody, kHealth).ok());
  const auto local = grpc::CreateChannel(p.listen, grpc::InsecureChannelCredentials());
  CHECK(call(local, kUnknown).error_code() == grpc::StatusCode::UNIMPLEMENTED);

  const std::string log = p.log();
  CHECK(contains(log, "refused /guideway.v1.Appliance/NoSuchMethod: 'bob' is a viewer"));
  CHECK(contains(log, "refused /guideway.v1.Appliance/GetStatus: the certificate of 'carol'"));

  // Roles of other names.
  CHECK(daemon.stop() == 0);
  Running other(p.start_tls({"--operators", "netops", "--operators", "sales", "--viewers", "guideway:operators"}));
  CHECK(call(p.channel("carol"), kUnknown).error_code() == grpc::StatusCode::UNIMPLEMENTED);
  CHECK(call(p.channel("alice"), kUnknown).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(call(p.channel("alice"), kReads).ok());
  CHECK(call(p.channel("bob"), kReads).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("tls: who has no good certificate may call nothing, is told why, and named in the log", "[tls]") {
  TlsSite p;
  p.authority("other");
  p.certify("mallory", "/O=guideway:operators/CN=mallory", "other");
  p.certify("old", "/O=guideway:operators/CN=old", "ca", "-1");
  p.certify("server", "/O=guideway:operators/CN=server", "ca", "9", "gateway.ext");
  p.shell(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key -subj "
      "'/O=guideway:operators/CN=self' -days 10 -out self.crt");
  Running daemon(p.start_tls());
  std::string out;
  p.cli_until({"status"}, "applied");
  const uint64_t before = p.generation();
  v1::ApplyObjectsRequest apply;
  apply.set_manifests(service_yaml("intruder", "198.51.100.9"));
  for (const auto& [name, why] : {std::pair("old", "expired at "),
                                  {"mallory", "isn't accepted: unable to get local issuer certificate"},
                                  {"self", "isn't accepted: self-signed certificate"},
                                  {"server", "isn't accepted: "}}) {
    CAPTURE(name);
    const auto channel = p.channel(name);
    for (const std::string& method : {kHealth, std::string("/guideway.v1.Appliance/ApplyObjects")}) {
      const grpc::Status s = call(channel, method, apply.SerializeAsString());
      CHECK(s.error_code() == grpc::StatusCode::UNAUTHENTICATED);
      const std::string sentence = std::string("the certificate with the name '") + name + "' " + why;
      CHECK(contains(s.error_message(), sentence));
      CHECK(contains(p.log(), "refused " + method + ": " + sentence));
    }
  }
  for (const char* name : {"mallory", "self", "server"}) {
    CHECK(p.as(name, {"status"}, out) == 1);
    CHECK(contains(out, std::string("guideway: the certificate with the name '") + name + "' isn't accepted: "));
  }
  CHECK(p.as("old", {"status"}, out) == 1);
  CHECK(contains(out, "guideway: the certificate with the name 'old' expired at "));
  CHECK(p.generation() == before);
  // However many names strangers give, they don't fill the log.
  const auto mallory = p.channel("mallory");
  for (char c = 'a'; c <= 'z'; ++c)
    CHECK(call(mallory, std::string("/") + c).error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK_FALSE(contains(p.log(), "refused /z"));
  // Nor is one nameless of whom gRPC hears nothing but too many headers.
  CHECK(call(p.channel("self"), kHealth, "", std::string(70'000, 'x')).error_code() != grpc::StatusCode::OK);
  const std::string named = "a call failed for the certificate with the name 'self' at ipv4:127.0.0.1:";
  CHECK(contains(wait_for(p.dir / "daemon.log", named), named));
  CHECK_FALSE(contains(p.log(), "a call failed for the certificate with the name 'mallory'"));
  const auto nobody = grpc::CreateChannel(p.address(), grpc::SslCredentials({p.pem("ca.crt"), "", ""}));
  CHECK(call(nobody, kHealth).error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(contains(p.log(), "peer did not return a certificate"));
  const auto plain = grpc::CreateChannel(p.address(), grpc::InsecureChannelCredentials());
  CHECK(call(plain, kHealth).error_code() == grpc::StatusCode::UNAVAILABLE);
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\x16'),
                                   std::string("\x16\x03\x01\x02\x00\x01", 6), std::string()})
    CHECK_FALSE(contains(say(p.address(), bytes), "HTTP"));
  // The client looks as closely.
  CHECK(p.as("alice", {"status"}, out, "other") == 1);
  CHECK(contains(out, "its certificate isn't signed by one in " + (p.dir / "other.crt")));
  const std::string address = p.address();
  const std::string by_name = "localhost" + address.substr(address.rfind(':'));
  CHECK(p.as("alice", {"status"}, out, "ca", by_name) == 1);
  CHECK(contains(out, "give one of them with --tls-server-name"));
  const int code = p.as("alice", {"--tls-server-name", "gw1.example.net", "status"}, out, "ca", by_name);
  INFO(out);
  CHECK(code == 0);
  CHECK(p.as("alice", {"status"}, out) == 0);
}

TEST_CASE("tls: certificates are read again when they change", "[tls]") {
  TlsSite p;
  Running daemon(p.start_tls());
  const auto standing = p.channel("alice");
  CHECK(call(standing, kReads).ok());
  std::string out;

  // Broken ones change nothing.
  const std::string good = p.pem("gateway.crt");
  write_file(p.dir / "gateway.crt", "half of a cert");
  CHECK(p.as("alice", {"status"}, out) == 0);
  CHECK(p.as("alice", {"status"}, out) == 0);
  const std::string complaint =
      (p.dir / "gateway.crt") + ": is no certificate in PEM; what was read before stays in use";
  const std::string log = p.log();
  CHECK(contains(log, complaint));
  CHECK(log.find(complaint) == log.rfind(complaint));
  write_file(p.dir / "gateway.crt", p.pem("alice.crt"));
  CHECK(p.as("alice", {"status"}, out) == 0);
  CHECK(contains(p.log(), (p.dir / "gateway.key") + ": is not the key of the certificate in "));
  std::filesystem::rename(p.dir / "ca.crt", p.dir / "ca.away");
  CHECK(p.as("alice", {"status"}, out, "ca") == 1);  // the client has it no more either
  CHECK(contains(out, (p.dir / "ca.crt") + ": can't be read: No such file or directory"));
  std::filesystem::rename(p.dir / "ca.away", p.dir / "ca.crt");
  write_file(p.dir / "gateway.crt", good);
  CHECK(p.as("alice", {"status"}, out) == 0);

  // Another authority for all: whom it doesn't vouch for is refused, also on the connection that stands, and watches no
  // more.
  const std::string watched = p.dir / "watch.out";
  const pid_t watch = spawn("GUIDEWAY",
                            {"--server", "tcp:" + p.address(), "--tls-cert", p.dir / "alice.crt", "--tls-key",
                             p.dir / "alice.key", "--tls-ca", p.dir / "ca.crt", "services", "--watch"},
                            watched);
  wait_for(watched, "NAMESPACE");
  p.authority("new");
  p.certify("erin", "/O=guideway:viewers/CN=erin", "new");
  p.certify("fresh", "/CN=gw1", "new", "9", "gateway.ext");
  for (const auto& [from, to] :
       {std::pair("fresh.key", "gateway.key"), {"fresh.crt", "gateway.crt"}, {"new.crt", "ca.crt"}})
    std::filesystem::copy_file(p.dir / from, p.dir / to, std::filesystem::copy_options::overwrite_existing);
  CHECK(p.as("erin", {"status"}, out) == 0);
  CHECK(p.as("alice", {"status"}, out) == 1);
  CHECK(contains(p.log(), "certificates changed"));
  CHECK(standing->GetState(false) == GRPC_CHANNEL_READY);
  CHECK(call(standing, kReads).error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(exit_code(watch) == 1);
  CHECK(contains(*read_whole_file(watched), "guideway: the certificate with the name 'alice' isn't accepted"));
  CHECK(contains(p.log(), "WatchServices failed for 'alice': UNAUTHENTICATED: the certificate"));
}

TEST_CASE("tls: a client's certificate may come with those between it and the authority", "[tls]") {
  TlsSite p;
  p.shell(
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout between.key -subj /CN=between "
      "-out between.csr\n"
      "printf 'basicConstraints = CA:TRUE\n' > between.ext\n"
      "openssl x509 -req -in between.csr -CA ca.crt -CAkey ca.key -days 9 -extfile between.ext -out between.crt");
  p.certify("erin", "/O=guideway:viewers/CN=erin", "between");
  Running daemon(p.start_tls());
  CHECK(call(p.channel("erin"), kReads).error_code() == grpc::StatusCode::UNAUTHENTICATED);
  p.shell("cp erin.crt alone.crt; cp erin.key alone.key; cat between.crt >> erin.crt");
  CHECK(call(p.channel("erin"), kReads).ok());
  // Or the gateway knows those itself, without who signed them.
  const auto alone = p.channel("alone");
  CHECK(call(alone, kReads).error_code() == grpc::StatusCode::UNAUTHENTICATED);
  const auto alice = p.channel("alice");
  CHECK(call(alice, kReads).ok());
  p.shell("cp between.crt ca.crt.new; mv ca.crt.new ca.crt");
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));  // nobody connects, and yet it is seen
  CHECK(call(alone, kReads).ok());
  CHECK(call(alice, kReads).error_code() == grpc::StatusCode::UNAUTHENTICATED);
}

TEST_CASE("tls: the time of a certificate is looked at with each call", "[tls]") {
  TlsSite p;
  p.shell(
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout brief.key -subj "
      "'/O=guideway:operators/CN=brief' -out brief.csr\n"
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout early.key -subj "
      "'/O=guideway:operators/CN=early' -out early.csr\n"
      "mkdir -p sign; touch sign/index; echo 01 > sign/serial\n"
      "printf '[ca]\\ndefault_ca = c\\n[c]\\ndatabase = sign/index\\nserial = sign/serial\\nnew_certs_dir = sign\\n"
      "default_md = sha256\\npolicy = p\\n[p]\\norganizationName = optional\\ncommonName = supplied\\n' > "
      "sign/ca.conf\n"
      "sign() { openssl ca -batch -config sign/ca.conf -cert ca.crt -keyfile ca.key -extfile client.ext -notext "
      "-in $1.csr -out $1.crt -startdate $2 -enddate $3; }\n"
      "at() { date -u -d \"$1\" +%Y%m%d%H%M%SZ; }\n"
      "sign brief $(at '1 hour ago') $(at '3 seconds')\n"
      "sign early $(at '1 hour') $(at '2 hours')");
  Running daemon(p.start_tls());
  const auto brief = p.channel("brief");
  CHECK(call(brief, kReads).ok());
  grpc::Status s = call(p.channel("early"), kReads);
  CHECK(s.error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(contains(s.error_message(), "'early' isn't valid before "));
  std::this_thread::sleep_for(std::chrono::seconds(4));
  CHECK(brief->GetState(false) == GRPC_CHANNEL_READY);
  s = call(brief, kReads);
  CHECK(s.error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(contains(s.error_message(), "'brief' expired at "));
}

TEST_CASE("tls: authorities ask for strong keys, and don't read chains without end", "[tls]") {
  TlsSite p;
  p.shell(
      "openssl req -new -newkey rsa:1024 -nodes -keyout weak.key -subj '/O=guideway:operators/CN=weak' -out weak.csr\n"
      "openssl x509 -req -in weak.csr -CA ca.crt -CAkey ca.key -days 9 -extfile client.ext -out weak.crt");
  const Authorities authorities(p.pem("ca.crt"));
  CHECK(authorities.objection(p.pem("alice.crt"), "") == "");
  CHECK(contains(authorities.objection(p.pem("weak.crt"), ""), "key too weak"));
  CHECK(authorities.objection(p.pem("gateway.crt"), "") == "isn't accepted: unsuitable certificate purpose");
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += p.pem("gateway.crt");
  CHECK(authorities.objection(p.pem("alice.crt"), many) == "");
  CHECK(authorities.objection("nothing", "") == "is no certificate");
}

TEST_CASE("tls: wrong options are said in a sentence", "[tls]") {
  TlsSite p;
  const auto fails = [&](std::vector<std::string> arguments, int code, const std::string& says) {
    arguments.insert(arguments.begin(), {"--manifests", p.dir / "m", "--state-dir", p.dir / "s"});
    CHECK(exit_code(spawn("GUIDEWAYD", arguments, p.dir / "log")) == code);
    const std::string log = *read_whole_file(p.dir / "log");
    INFO(log);
    CHECK(contains(log, says));
  };
  const auto with = [&](const std::string& at, const std::string& crt = "gateway.crt",
                        const std::string& key = "gateway.key", const std::string& ca = "ca.crt") {
    return std::vector<std::string>{"--listen",  at,          "--tls-cert",      p.dir / crt,
                                    "--tls-key", p.dir / key, "--tls-client-ca", p.dir / ca};
  };
  fails({"--listen", "tcp:127.0.0.1:0"}, 2, "--listen tcp:127.0.0.1:0 needs --tls-cert, --tls-key and --tls-client-ca");
  fails({"--listen", "127.0.0.1:0", "--tls-cert", "x", "--tls-key", "x"}, 2, "mutual TLS only");
  for (const char* at : {"tcp:localhost:0", "tcp:127.0.0.1", "tcp:127.0.0.1:70000", "tcp:[127.0.0.1]:1", "tcp:::1:1",
                         "tcp::1", "http://127.0.0.1:1", ""})
    fails(with(at), 2, "must be unix:PATH or tcp:ADDRESS:PORT");
  fails(with("tcp:192.0.2.1:1"), 1, "the API can't listen at tcp:192.0.2.1:1; is the address one of this host's");
  fails(with("tcp:127.0.0.1:0", "none.crt"), 1, (p.dir / "none.crt") + ": can't be read: No such file");
  fails(with("tcp:127.0.0.1:0", "gateway.key"), 1, (p.dir / "gateway.key") + ": is no certificate in PEM");
  fails(with("tcp:127.0.0.1:0", "gateway.crt", "alice.key"), 1, "is not the key of the certificate in");
  fails(with("tcp:127.0.0.1:0", "gateway.crt", "gateway.key", "gateway.csr"), 1, "gateway.csr: is no certificate");
  p.shell("openssl ec -in gateway.key -aes128 -passout pass:secret -out locked.key");
  fails(with("tcp:127.0.0.1:0", "gateway.crt", "locked.key"), 1, "has a passphrase; it must have none");

  std::string out;
  CHECK(exit_code(spawn("GUIDEWAY", {"--server", "tcp:127.0.0.1:1", "status"}, p.dir / "log")) == 2);
  CHECK(contains(*read_whole_file(p.dir / "log"), "needs --tls-cert, --tls-key and --tls-ca"));
  p.certify("bob", "/O=guideway:viewers/CN=bob");
  std::filesystem::rename(p.dir / "bob.key", p.dir / "alice.key");
  CHECK(p.as("alice", {"status"}, out, "ca", "127.0.0.1:1") == 1);
  CHECK(p.as("alice", {"connections"}, out, "ca", "127.0.0.1:1") == 1);  // whose fields have options' names
  CHECK(contains(out, (p.dir / "alice.key") + ": is not the key of the certificate in " + (p.dir / "alice.crt")));
  CHECK(p.as("bob", {"status"}, out, "ca", "127.0.0.1:1") == 1);
  CHECK(contains(out, (p.dir / "bob.key") + ": can't be read"));
}

// What the daemon reads and must not repeat: a Secret that stands among manifests, whole and broken in every way at the
// value itself, and a private key where a certificate was expected.
TEST_CASE("tls: nothing secret is logged or shown, at whatever level", "[tls]") {
  const std::string secret = "cHJpY2Vsb29vb29vb29vb29uZw";
  const std::string head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: demo}\ndata:\n  password: ";
  const std::vector<std::string> broken = {head + "\"" + secret + "\n",
                                           head + secret + ": 1\n",
                                           head + "*" + secret + "\n",
                                           head + "[" + secret + "\n",
                                           head + "!" + secret + "\n",
                                           head + "\t" + secret + "\n",
                                           head + "%" + secret + "\n",
                                           head + "{" + secret + ": " + secret + ", ]\n",
                                           head + secret + "\n  password: " + secret + "\n"};
  for (const char* format : {"text", "json"}) {
    CAPTURE(format);
    TlsSite p;
    write_file(p.dir / "m/web.yaml", service_yaml("web", "198.51.100.1") + "---\n" + head + secret + "\n");
    for (size_t i = 0; i < broken.size(); ++i) write_file(p.dir / ("m/" + std::to_string(i) + ".yaml"), broken[i]);
    const std::vector<std::string> options = {"--log-level", "trace", "--log-format", format};
    std::istringstream key(p.pem("gateway.key"));
    std::vector<std::string> secrets = {secret};
    for (std::string line; std::getline(key, line);)
      if (!line.empty() && !line.starts_with("-----")) secrets.push_back(line);
    REQUIRE(secrets.size() >= 3);
    const auto tells_none = [&](const std::string& text) {
      INFO(text);
      for (const std::string& s : secrets) CHECK_FALSE(contains(text, s));
    };

    // A key in place of the gateway's certificate, and of the clients' authority, from the start: it doesn't start.
    const std::string certificate = p.pem("gateway.crt");
    const std::string authority = p.pem("ca.crt");
    for (const char* name : {"gateway.crt", "ca.crt"}) {
      write_file(p.dir / name, p.pem("gateway.key"));
      CHECK(exit_code(p.start_tls(options)) == 1);
      CHECK(contains(p.log(), std::string(name) + ": is no certificate in PEM"));
      tells_none(p.log());
      write_file(p.dir / "gateway.crt", certificate);
      write_file(p.dir / "ca.crt", authority);
    }

    // And later; each call looks at the files.
    Running daemon(p.start_tls(options));
    std::string out = p.cli_until({"status"}, "PROBLEMS");
    write_file(p.dir / "gateway.crt", p.pem("gateway.key"));
    CHECK(p.as("alice", {"status"}, out) == 0);
    CHECK(contains(wait_for(p.dir / "daemon.log", "is no certificate in PEM"), "is no certificate in PEM"));
    for (const char* shown : {"table", "wide", "json", "yaml"}) {
      CHECK(p.cli({"status", "-o", shown}, out) == 0);
      CHECK(contains(out, "Secret (v1)"));
      CHECK(contains(out, "0.yaml"));
      tells_none(out);
    }
    // The API's objects are read likewise.
    for (size_t i = 0; i < broken.size(); ++i)
      p.cli({"apply", "-f", p.dir / ("m/" + std::to_string(i) + ".yaml")}, out);
    CHECK(contains(p.log(), "ApplyObjects failed"));
    CHECK(daemon.stop() == 0);
    tells_none(p.log());
  }
}

}  // namespace guideway::mgmt
