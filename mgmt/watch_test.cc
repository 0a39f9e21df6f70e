// Watches, by the two programs: the lists, what changes in them, who resumes, who is slow, who vanishes.

#include <catch2/catch.hpp>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <memory>

#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/testing/programs.h"

namespace guideway::mgmt {
namespace {

constexpr size_t kLimit = 256;
constexpr size_t kOfConnection = 128;

std::unique_ptr<grpc::ClientReader<v1::WatchServicesResponse>> begin(v1::Appliance::Stub& api,
                                                                     grpc::ClientContext& context,
                                                                     const v1::WatchServicesRequest& request) {
  return api.WatchServices(&context, request);
}

std::unique_ptr<grpc::ClientReader<v1::WatchBackendsResponse>> begin(v1::Appliance::Stub& api,
                                                                     grpc::ClientContext& context,
                                                                     const v1::WatchBackendsRequest& request) {
  return api.WatchBackends(&context, request);
}

std::string name_of(const v1::VipRow& r) { return r.name(); }
std::string name_of(const v1::BackendRow& r) { return r.name() + " " + r.address(); }

// A client that keeps the rows it is told of.
template <typename Request, typename Response, typename Row>
struct Watcher {
  using Rows = std::map<std::string, Row>;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<Response>> reader;
  Rows rows;
  Response message;  // the last
  int resets = 0;
  int messages = 0;
  size_t told = 0;  // rows

  explicit Watcher(v1::Appliance::Stub& api, const v1::Generation* since = nullptr, const std::string& ns = "",
                   const std::string& name = "") {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    Request request;
    if (since != nullptr) *request.mutable_since() = *since;
    request.set_namespace_(ns);
    request.set_name(name);
    reader = begin(api, context, request);
  }
  bool read() {
    if (!reader->Read(&message)) return false;
    ++messages;
    told += static_cast<size_t>(message.changed_size() + message.removed_size());
    if (message.reset()) {
      ++resets;
      rows.clear();
    }
    for (const Row& r : message.changed()) {
      if (r.has_counters()) FAIL("counters");
      rows[name_of(r)] = r;
    }
    for (const Row& r : message.removed()) rows.erase(name_of(r));
    return true;
  }
  // False: the watch ended before it was so.
  bool until(const std::function<bool(const Rows&)>& is_so) {
    do {
      if (!read()) return false;
    } while (!message.last() || !is_so(rows));
    return true;
  }
  // Until it has been told everything once.
  bool all() {
    return until([](const auto&) { return true; });
  }
  grpc::Status end() {
    context.TryCancel();
    while (reader->Read(&message)) {
    }
    return reader->Finish();
  }
};
using ServiceWatcher = Watcher<v1::WatchServicesRequest, v1::WatchServicesResponse, v1::VipRow>;
using BackendWatcher = Watcher<v1::WatchBackendsRequest, v1::WatchBackendsResponse, v1::BackendRow>;

struct WatchSite : Site {
  // On a connection of its own.
  std::unique_ptr<v1::Appliance::Stub> api() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // Else gRPC takes megabytes in advance for who doesn't read.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65'535);
    return v1::Appliance::NewStub(grpc::CreateCustomChannel(listen, grpc::InsecureChannelCredentials(), arguments));
  }
  void write(const std::string& name, const std::string& text) const {
    write_file(dir / ("m/" + name + ".tmp"), text);
    std::filesystem::rename(dir / ("m/" + name + ".tmp"), dir / ("m/" + name + ".yaml"));
  }
  // A Service with two backends, the first in that state.
  void serve(const std::string& name, int number, const std::string& state) const {
    write(name, service_yaml(name, "198.51.100." + std::to_string(number)) +
                    slice_yaml(name, {{"10.0.0.1", state}, {"10.0.0.2", "ready"}}));
  }
  void erase(const std::string& name) const { std::filesystem::remove(dir / ("m/" + name + ".yaml")); }
};

struct TwoServices : WatchSite {
  TwoServices() {
    serve("web", 1, "ready");
    serve("dns", 2, "ready");
  }
};

// A watch that is served; places that were given up may be a moment in coming. Null after ten seconds.
std::unique_ptr<ServiceWatcher> served(v1::Appliance::Stub& api) {
  for (int i = 0; i < 200; ++i) {
    auto w = std::make_unique<ServiceWatcher>(api);
    if (w->all()) return w;
    w->reader->Finish();
    ::usleep(50'000);
  }
  return nullptr;
}

// A number of /proc/PID/status: "Threads", or "VmRSS" in kB.
long of_process(pid_t pid, const std::string& what) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  long n = 0;
  while (file >> word)
    if (word == what + ":") file >> n;
  return n;
}

bool programmed(const ServiceWatcher::Rows& rows, const std::string& name) {
  const auto it = rows.find(name);
  return it != rows.end() && it->second.state() == v1::VipRow::STATE_PROGRAMMED;
}

}  // namespace

TEST_CASE("watch: first everything, then what changes, removals too", "[watch]") {
  TwoServices p;
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const auto api = p.api();
  ServiceWatcher services(*api);
  BackendWatcher backends(*api);
  REQUIRE(services.until([](const auto& rows) { return programmed(rows, "web") && programmed(rows, "dns"); }));
  CHECK(services.resets == 1);
  CHECK(services.rows.at("web").backends_ready() == 2);
  REQUIRE(backends.until([](const auto& rows) { return rows.size() == 4; }));
  const size_t told = backends.told;

  p.serve("web", 1, "terminating");
  REQUIRE(services.until([](const auto& rows) { return rows.at("web").backends_draining() == 1; }));
  REQUIRE(backends.until(
      [](const auto& rows) { return rows.at("web 10.0.0.1").state() == v1::BackendRow::STATE_TERMINATING; }));
  CHECK(backends.told == told + 1);

  p.engine.set_refuse(FakeEngine::refuse_service("demo/web:http@198.51.100.1:80/TCP"));
  p.serve("web", 1, "gone");
  REQUIRE(services.until([](const auto& rows) { return rows.at("web").state() == v1::VipRow::STATE_REFUSED; }));
  p.erase("web");
  REQUIRE(services.until([](const auto& rows) { return rows.size() == 1; }));
  CHECK(programmed(services.rows, "dns"));
  REQUIRE(backends.until([](const auto& rows) { return rows.size() == 2; }));
  CHECK(services.resets == 1);
  CHECK(backends.resets == 1);
  CHECK(services.end().error_code() == grpc::StatusCode::CANCELLED);
}

TEST_CASE("watch: one Service alone, or a namespace's", "[watch]") {
  TwoServices p;
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const auto api = p.api();
  BackendWatcher web(*api, nullptr, "demo", "web");
  ServiceWatcher demo(*api, nullptr, "demo");
  REQUIRE(web.until([](const auto& rows) { return rows.size() == 2; }));
  REQUIRE(demo.until([](const auto& rows) { return programmed(rows, "web") && programmed(rows, "dns"); }));
  for (const auto& [ns, name] : {std::pair{"other", ""}, {"", "web"}, {"demo", "none"}}) {
    ServiceWatcher none(*api, nullptr, ns, name);
    REQUIRE(none.all());
    CHECK(none.resets == 1);
    CHECK(none.rows.empty());
    none.end();
  }
  const size_t told = web.told;
  p.serve("dns", 2, "terminating");
  REQUIRE(demo.until([](const auto& rows) { return rows.at("dns").backends_draining() == 1; }));
  p.erase("web");
  REQUIRE(web.until([](const auto& rows) { return rows.empty(); }));
  CHECK(web.told == told + 2);  // nothing of dns
  ServiceWatcher wrong(*api, nullptr, "demo", "no name");
  CHECK_FALSE(wrong.read());
  CHECK(wrong.reader->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("watch: who comes back is told what changed since", "[watch]") {
  WatchSite p;
  for (int i = 1; i < 6; ++i) p.serve("s" + std::to_string(i), i, "ready");
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  auto api = p.api();
  ServiceWatcher first(*api);
  REQUIRE(first.until([](const auto& rows) { return programmed(rows, "s5"); }));
  const v1::Generation generation = first.message.generation();
  first.end();

  ServiceWatcher same(*api, &generation);
  REQUIRE(same.all());
  CHECK(same.resets == 0);
  CHECK(same.told == 0);
  same.end();

  p.serve("s1", 1, "terminating");
  p.erase("s2");
  p.cli_until({"backends"}, "terminating");
  ServiceWatcher again(*api, &generation);
  again.rows["s2"];
  REQUIRE(again.until([](const auto& rows) { return rows.contains("s1") && !rows.contains("s2"); }));
  CHECK(again.resets == 0);
  CHECK(again.rows.size() == 1);
  again.end();

  // A generation that isn't of this list begins anew.
  v1::Generation other = generation;
  other.set_instance(other.instance() + 1);
  v1::Generation future = generation;
  future.set_counter(future.counter() + 1'000'000);
  for (const v1::Generation* g : {&other, &future}) {
    ServiceWatcher anew(*api, g);
    REQUIRE(anew.all());
    CHECK(anew.resets == 1);
    CHECK(anew.rows.size() == 4);
    anew.end();
  }
  BackendWatcher wrong(*api, &generation);
  REQUIRE(wrong.all());
  CHECK(wrong.resets == 1);
  CHECK(wrong.rows.size() == 8);
  wrong.end();

  // Nor is one of another run of the daemon, whose end is the watch's.
  ServiceWatcher standing(*api);
  REQUIRE(standing.all());
  CHECK(daemon.stop() == 0);
  while (standing.read()) {
  }
  const grpc::Status s = standing.reader->Finish();
  CHECK(s.error_code() ==
        grpc::StatusCode::UNAVAILABLE);  // its word for it, or the connection's end where that is first
  Running second(p.start());
  p.cli_until({"services"}, "Programmed");
  api = p.api();
  ServiceWatcher anew(*api, &generation);
  REQUIRE(anew.until([](const auto& rows) { return programmed(rows, "s1"); }));
  CHECK(anew.resets == 1);
  CHECK(anew.rows.size() == 4);
  anew.end();
}

TEST_CASE("watch: many at a time, no thread for each, and no more than the limit", "[watch]") {
  WatchSite p;
  p.serve("web", 1, "ready");
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const auto api = p.api();
  const auto other = p.api();
  std::vector<std::unique_ptr<ServiceWatcher>> watchers;
  const auto begin_more = [&](v1::Appliance::Stub& stub, size_t n) {
    for (size_t i = 0; i < n; ++i) watchers.push_back(std::make_unique<ServiceWatcher>(stub));
    for (const auto& w : watchers)
      if (w->messages == 0) REQUIRE(w->all());
  };
  const auto is_refused = [](ServiceWatcher& beyond, const std::string& says) {
    CHECK_FALSE(beyond.read());
    const grpc::Status s = beyond.reader->Finish();
    CHECK(s.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    INFO(s.error_message());
    CHECK(contains(s.error_message(), says));
  };
  begin_more(*api, 8);
  const long threads = of_process(daemon.pid, "Threads");
  REQUIRE(threads > 0);
  begin_more(*api, kOfConnection - 8);
  // Of either kind; others' connections have places still.
  ServiceWatcher more_services(*api);
  is_refused(more_services, "this connection has 128 watches already: end some, or list instead");
  BackendWatcher more_backends(*api);
  CHECK_FALSE(more_backends.read());
  CHECK(more_backends.reader->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  begin_more(*other, kLimit - kOfConnection);
  CHECK(of_process(daemon.pid, "Threads") < threads + 20);
  ServiceWatcher beyond(*p.api());
  is_refused(beyond, "there are 256 watches already");
  // Whoever asks for something else is served.
  std::string out;
  CHECK(p.cli({"status"}, out) == 0);

  p.serve("web", 1, "terminating");
  for (const auto& w : watchers)
    REQUIRE(w->until([](const auto& rows) { return rows.at("web").backends_draining() == 1; }));
  // Some go, and give up their places.
  for (size_t i = 0; i < 20; ++i) CHECK(watchers[i]->end().error_code() == grpc::StatusCode::CANCELLED);
  watchers.erase(watchers.begin(), watchers.begin() + 20);
  for (int i = 0; i < 20; ++i) {
    watchers.push_back(served(*api));
    REQUIRE(watchers.back());
  }
  for (const auto& w : watchers) w->end();
}

TEST_CASE("watch: who vanishes leaves nothing behind", "[watch]") {
  WatchSite p;
  p.serve("web", 1, "ready");
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  std::vector<pid_t> programs;
  for (int i = 0; i < 8; ++i)
    programs.push_back(
        spawn("GUIDEWAY", {"--server", p.listen, "services", "--watch"}, p.dir / ("cli" + std::to_string(i))));
  for (int i = 0; i < 8; ++i) CHECK(contains(wait_for(p.dir / ("cli" + std::to_string(i)), "web"), "web"));
  for (const pid_t pid : programs) {
    ::kill(pid, SIGKILL);
    exit_code(pid);
  }
  // All places are free again.
  const auto api = p.api();
  const auto other = p.api();
  std::vector<std::unique_ptr<ServiceWatcher>> watchers;
  for (size_t i = 0; i < kLimit - 8; ++i)
    watchers.push_back(std::make_unique<ServiceWatcher>(i < kOfConnection ? *api : *other));
  for (const auto& w : watchers) REQUIRE(w->all());
  for (int i = 0; i < 8; ++i) {
    watchers.push_back(served(*other));
    REQUIRE(watchers.back());
  }
  for (const auto& w : watchers) w->end();
}

TEST_CASE("watch: who is slow costs the daemon nothing, and gets the sum of what it missed", "[watch]") {
  constexpr int kServices = 300;
  constexpr int kRounds = 30;
  constexpr int kSlow = 100;
  const std::string name = "service-with-a-long-name-";
  WatchSite p;
  // Each round has another backend in the place of the one before.
  const auto serve_all = [&](int round) {
    std::string text;
    for (int i = 0; i < kServices; ++i) {
      const std::string service = name + std::to_string(i);
      text += service_yaml(service, "198.51." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1)) +
              slice_yaml(service, {{"10.0.0." + std::to_string(round + 1), "ready"}, {"10.0.1.1", "ready"}});
    }
    p.write("all", text);
    return name + "0 10.0.0." + std::to_string(round + 1);
  };
  serve_all(0);
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const auto api = p.api();
  std::vector<std::unique_ptr<BackendWatcher>> slow;
  for (int i = 0; i < kSlow; ++i) slow.push_back(std::make_unique<BackendWatcher>(*api));
  for (const auto& w : slow) REQUIRE(w->read());
  const auto other = p.api();
  BackendWatcher quick(*other);
  const long before = of_process(daemon.pid, "VmRSS");
  std::string last;
  for (int round = 1; round <= kRounds; ++round) {
    last = serve_all(round);
    REQUIRE(quick.until([&](const auto& rows) { return rows.contains(last) && rows.size() == 2 * kServices; }));
  }
  const long grown = of_process(daemon.pid, "VmRSS") - before;
  CAPTURE(before, grown);
#ifndef GUIDEWAY_SANITIZED  // AddressSanitizer keeps freed memory for a while
  CHECK(grown < 60'000);    // kB. The 50 kB of a round, queued for each, would be 150,000
#endif
  for (const auto& w : slow) {
    REQUIRE(w->until([&](const auto& rows) { return rows.contains(last); }));
    CHECK(w->rows.size() == 2 * kServices);
  }
  CAPTURE(quick.told, slow.front()->told);
  CHECK(slow.front()->told < quick.told);
  quick.end();
  for (const auto& w : slow) w->end();
}

TEST_CASE("watch: the CLI shows rows as they change, and waits for a daemon that is away", "[watch]") {
  TwoServices p;
  Running daemon(p.start());
  p.cli_until({"services"}, "Programmed");
  const std::string services = p.dir / "services.out";
  const std::string backends = p.dir / "backends.out";
  Running text(spawn("GUIDEWAY", {"--server", p.listen, "services", "--watch"}, services));
  Running json(spawn("GUIDEWAY", {"--server", p.listen, "backends", "-w", "-o", "json"}, backends));
  const std::string only_dns = p.dir / "dns.out";
  Running dns(spawn("GUIDEWAY", {"--server", p.listen, "backends", "-w", "--service", "demo/dns"}, only_dns));
  std::string out = wait_for(services, "web");
  INFO(out);
  CHECK(
      contains(out, "NAMESPACE   NAME   PORT   VIP               PROTOCOL   STATE        MODE   READY   DRAINING   "));
  CHECK(contains(out, "\ndemo        dns    http   198.51.100.2:80   TCP        Programmed   nat    2       0       "));
  CHECK(contains(wait_for(backends, "\"last\":true"), "\"last\":true"));
  p.serve("web", 1, "terminating");
  const std::string changed = "\ndemo        web    http   198.51.100.1:80   TCP        Programmed   nat    1       1 ";
  CHECK(contains(wait_for(services, changed), changed));
  CHECK(contains(wait_for(backends, "STATE_TERMINATING"), "STATE_TERMINATING"));

  // Away for a while: what changed meanwhile is shown, what didn't isn't shown again.
  CHECK(daemon.stop() == 0);
  CHECK(contains(wait_for(services, "ended the watch"),
                 "guideway: guidewayd ended the watch (guidewayd is stopping): waiting"));
  p.erase("web");
  p.serve("new", 3, "ready");
  Running second(p.start());
  const std::string removed = "\ndemo        web    http   198.51.100.1:80   TCP        Removed\n";
  CHECK(contains(wait_for(services, removed), removed));
  out = wait_for(services, "198.51.100.3:80   TCP        Programmed");
  CHECK(contains(out, "198.51.100.3:80   TCP        Programmed"));
  CHECK(out.find("has gone") == out.rfind("has gone"));
  CHECK(contains(wait_for(backends, "\"name\":\"new\""), "\"name\":\"new\""));
  p.serve("dns", 2, "terminating");
  out = wait_for(only_dns, "terminating");
  CHECK(contains(out, "terminating"));
  CHECK_FALSE(contains(out, "web"));
  std::ifstream lines(backends);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(((line.starts_with("{\"changed\":[") && line.ends_with("}")) || line.starts_with("guideway: ")));
  }
  // Ended by the signal, so that a shell shows 130, and nothing is said.
  const std::string before = *read_whole_file(services);
  ::kill(text.pid, SIGINT);
  CHECK(exit_code(std::exchange(text.pid, -1)) == -1);
  CHECK(*read_whole_file(services) == before);

  // Where there is no daemon at first, it fails as any command does.
  CHECK(second.stop() == 0);
  CHECK(p.cli({"services", "--watch"}, out) == 1);
  CHECK(contains(out, "guidewayd can't be reached"));
}

}  // namespace guideway::mgmt
