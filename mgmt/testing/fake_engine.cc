#include "mgmt/testing/fake_engine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "mgmt/engine_link/frame.h"
#include "net/drop_reason.h"

namespace guideway::mgmt {

engine::Hello FakeEngine::good_hello() {
  engine::Hello h;
  h.set_version(kContractVersion);
  h.set_engine_version("fake");
  for (const auto& r : net::kDropReasonTexts) {
    auto& reason = *h.add_drop_reasons();
    reason.set_name(std::string(r.name));
    reason.set_text(std::string(r.text));
  }
  return h;
}

FakeEngine::Refuse FakeEngine::refuse_service(std::string name) {
  return [name = std::move(name)](const Batch& b) -> std::optional<engine::Refused> {
    for (const auto& s : b.services) {
      if (s.name() != name) continue;
      engine::Refused r;
      r.set_entry(name);
      r.set_field("mode");
      r.set_why("the test says no");
      return r;
    }
    return std::nullopt;
  };
}

FakeEngine::FakeEngine(std::string path, engine::Hello hello) : path_(std::move(path)), hello_(std::move(hello)) {
  ::unlink(path_.c_str());
  listener_ = Fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 8) != 0)
    std::abort();
  wake_ = Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  thread_ = std::thread([this] { run(); });
}

FakeEngine::~FakeEngine() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  hang_up();
  thread_.join();
  ::unlink(path_.c_str());
}

void FakeEngine::set_hello(engine::Hello hello) {
  const std::lock_guard lock(mutex_);
  hello_ = std::move(hello);
}

void FakeEngine::set_refuse(Refuse refuse) {
  const std::lock_guard lock(mutex_);
  refuse_ = std::move(refuse);
}

void FakeEngine::set_garbage(std::string bytes) {
  const std::lock_guard lock(mutex_);
  garbage_ = std::move(bytes);
}

void FakeEngine::set_stalled(bool stalled) {
  const std::lock_guard lock(mutex_);
  stalled_ = stalled;
  ::eventfd_write(wake_.get(), 1);
}

void FakeEngine::hang_up() {
  const std::lock_guard lock(mutex_);
  hang_up_ = true;
  ::eventfd_write(wake_.get(), 1);
}

FakeEngine::State FakeEngine::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

bool FakeEngine::wait(const std::function<bool(const State&)>& until) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return until(state_); });
}

void FakeEngine::run() {
  std::vector<std::unique_ptr<Peer>> peers;
  while (true) {
    bool stalled = false;
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
      if (std::exchange(hang_up_, false)) peers.clear();
      stalled = stalled_;
    }
    std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const auto& p : peers) fds.push_back({p->fd.get(), static_cast<short>(stalled ? 0 : POLLIN), 0});
    ::poll(fds.data(), fds.size(), -1);
    eventfd_t n;
    ::eventfd_read(wake_.get(), &n);
    {
      const std::lock_guard lock(mutex_);
      if (stalled_ && !stalled) continue;  // what came after that isn't looked at
    }
    for (size_t i = peers.size(); i-- > 0;)
      if (fds[i + 2].revents != 0 && !serve(*peers[i])) peers.erase(peers.begin() + static_cast<ptrdiff_t>(i));
    if (fds[1].revents == 0) continue;
    auto peer = std::make_unique<Peer>();
    peer->fd = Fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    engine::Envelope hello;
    {
      const std::lock_guard lock(mutex_);
      *hello.mutable_hello() = hello_;
    }
    send(*peer, hello);
    peers.push_back(std::move(peer));
  }
}

bool FakeEngine::serve(Peer& peer) {
  char buffer[65536];
  const ssize_t n = ::recv(peer.fd.get(), buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  peer.in.append(buffer, static_cast<size_t>(n));
  std::string_view rest = peer.in;
  while (true) {
    const auto message = take_frame(rest);
    if (!message.ok()) return false;
    if (!*message) break;
    if (!take(peer, **message)) return false;
  }
  peer.in.erase(0, peer.in.size() - rest.size());
  return true;
}

void FakeEngine::send(Peer& peer, const engine::Envelope& message) {
  const std::string frame = frame_of(message);
  [[maybe_unused]] const ssize_t n = ::send(peer.fd.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
}

bool FakeEngine::take(Peer& peer, const engine::Envelope& message) {
  const std::lock_guard lock(mutex_);
  if (message.has_attach() && message.attach().purpose() == engine::Attach::PURPOSE_STATE) ++state_.connections;
  if (message.has_status_request()) {
    ++state_.status_requests;
    engine::Envelope status;
    status.mutable_status()->set_uptime_seconds(42);
    status.mutable_status()->set_services(static_cast<uint32_t>(state_.services.size()));
    auto& worker = *status.mutable_status()->add_workers();
    worker.set_received(100);
    worker.set_sent(90);
    worker.set_datagrams(3);
    auto& other = *status.mutable_status()->add_workers();
    for (size_t i = 0; i < net::kDropReasons; ++i) {
      worker.add_drops(i == GW_DROP_NO_BACKEND ? 5 : 0);
      other.add_drops(i == GW_DROP_NO_BACKEND ? 2 : 0);
      status.mutable_status()->add_xdp_drops(i == GW_DROP_NO_SOCKET ? 3 : 0);
    }
    auto& warning = *status.mutable_status()->add_warnings();
    warning.set_subject("memory");
    warning.set_text("no hugepages");
    send(peer, status);
  }
  if (message.has_counters_request()) send_counters(peer);
  if (message.has_log_level_request()) {
    if (message.log_level_request().level() != 0) state_.log_level = message.log_level_request().level();
    engine::Envelope answer;
    answer.mutable_log_level()->set_level(state_.log_level);
    send(peer, answer);
  }
  if (message.has_connections_request()) send_connections(peer, message.connections_request());
  if (message.has_trace_request()) send_trace(peer, message.trace_request());
  if (message.has_begin()) {
    peer.batch = Batch();
    peer.batch->full = message.begin().full();
  }
  if (peer.batch && message.has_gateway()) peer.batch->gateway = message.gateway();
  if (peer.batch && message.has_service()) peer.batch->services.push_back(message.service());
  if (peer.batch && message.has_denied_sources()) peer.batch->denied.push_back(message.denied_sources());
  if (peer.batch && message.has_removal()) peer.batch->removals.push_back(message.removal().service());
  if (peer.batch && message.has_commit()) commit(peer, message.commit().generation());
  changed_.notify_all();
  return true;
}

// Three connections, one a part; the filter isn't judged.
void FakeEngine::send_connections(Peer& peer, const engine::ConnectionsRequest& request) {
  state_.connections_requests.push_back(request);
  engine::Envelope answer;
  auto& part = *answer.mutable_connections();
  const uint32_t n = request.from().slot();
  part.set_matched(n < 3 ? 1 : 0);
  if (n < 3 && request.rows() > 0) {
    auto& c = *part.add_connections();
    c.set_worker(n);
    c.set_protocol(6);
    c.set_client({static_cast<char>(203), 0, 113, 7});
    c.set_client_port(40'000 + n);
    c.set_vip({static_cast<char>(198), 51, 100, 1});
    c.set_vip_port(80);
    if (n > 0) c.set_service("demo/web:http@198.51.100.1:80/TCP");
    c.set_real({10, 0, 0, 1});
    c.set_real_port(8'080);
    c.set_mode(n == 0 ? engine::FORWARDING_MODE_DSR_L2 : engine::FORWARDING_MODE_NAT);
    c.set_state(engine::CONNECTION_STATE_ESTABLISHED);
    c.set_idle_seconds(130);
    if (n > 0) c.set_snat(std::string(15, 0) + '\1');
    if (n > 0) c.set_snat_port(20'000);
  }
  if (n < 2) part.mutable_next()->set_slot(n + 1);
  send(peer, answer);
}

// A packet to port 80 of anything is forwarded, one to another port dropped; there is no port "p9".
void FakeEngine::send_trace(Peer& peer, const engine::TraceRequest& request) {
  state_.trace_requests.push_back(request);
  engine::Envelope answer;
  auto& trace = *answer.mutable_trace();
  if (request.port() == "p9") {
    trace.mutable_refused()->set_invalid(true);
    trace.mutable_refused()->set_why("port: the engine has no port p9");
    return send(peer, answer);
  }
  trace.set_port("eth0");
  trace.set_steering(engine::TRACE_STEERING_ENGINE);
  auto& pass = *trace.add_passes();
  pass.set_worker(1);
  auto& parsed = *pass.add_stages()->mutable_parse();
  parsed.set_kind(engine::TraceParsed::KIND_FLOW);
  parsed.mutable_flow()->set_protocol(request.protocol());
  parsed.mutable_flow()->set_source(request.source());
  parsed.mutable_flow()->set_source_port(request.source_port());
  parsed.mutable_flow()->set_destination(request.destination());
  parsed.mutable_flow()->set_destination_port(request.destination_port());
  pass.add_stages()->mutable_track();
  if (request.destination_port() != 80) {
    auto& drop = *pass.mutable_end()->mutable_dropped();
    drop.set_stage("hand");
    drop.set_reason("no_vip");
    drop.set_text("its destination is no VIP");
  } else {
    auto& sent = *pass.mutable_end()->add_sent();
    sent.set_port("eth1");
    sent.set_frame(std::string(14, '\2'));
  }
  send(peer, answer);
}

// Each service in two parts; two workers; the numbers of a real are its port and what follows it.
void FakeEngine::send_counters(Peer& peer) {
  ++state_.counters_requests;
  for (const auto& [name, service] : state_.services) {
    for (const auto& real : service.reals()) {
      engine::Envelope part;
      engine::ServiceCounters& s = *part.mutable_counters()->add_services();
      s.set_service(name);
      engine::RealCounters& c = *s.add_reals();
      c.set_address(real.address());
      c.set_port(real.port());
      uint64_t n = real.port();
      for (auto* list : {c.mutable_packets(), c.mutable_bytes(), c.mutable_reply_packets(), c.mutable_reply_bytes(),
                         c.mutable_connections(), c.mutable_live_connections()}) {
        list->Add(n++);
        list->Add(1000);
      }
      send(peer, part);
    }
    engine::Envelope part;
    engine::ServiceCounters& s = *part.mutable_counters()->add_services();
    s.set_service(name);
    s.mutable_removed()->add_packets(500000);
    send(peer, part);
  }
  engine::Envelope last;
  last.mutable_counters()->set_last(true);
  send(peer, last);
}

void FakeEngine::commit(Peer& peer, const engine::Generation& generation) {
  Batch batch = std::move(*peer.batch);
  peer.batch.reset();
  batch.generation = generation;
  batch.arrived = EventLoop::Clock::now();
  state_.batches.push_back(batch);
  engine::Envelope answer;
  if (auto refused = refuse_ ? refuse_(batch) : std::nullopt) {
    ++state_.refused;
    *refused->mutable_generation() = generation;
    *answer.mutable_refused() = *refused;
    return send(peer, answer);
  }
  if (batch.full) {
    state_.services.clear();
    state_.gateway.reset();
    state_.denied.clear();
  }
  for (const auto& d : batch.denied) {
    state_.denied.erase(d.part());
    if (!d.ipv4().empty() || !d.ipv6().empty()) state_.denied[d.part()] = d;
  }
  if (batch.gateway) state_.gateway = batch.gateway;
  for (const auto& s : batch.services) state_.services[s.name()] = s;
  for (const std::string& name : batch.removals) state_.services.erase(name);
  state_.generation = generation;
  *answer.mutable_applied()->mutable_generation() = generation;
  if (garbage_.empty()) return send(peer, answer);
  const std::string garbage = std::exchange(garbage_, {});
  [[maybe_unused]] const ssize_t n = ::send(peer.fd.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
}

}  // namespace guideway::mgmt
