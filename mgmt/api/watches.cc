#include "mgmt/api/watches.h"

#include <algorithm>
#include <random>
#include <string>
#include <unordered_set>
#include <utility>

#include "mgmt/api/objects.h"
#include "mgmt/api/responses.h"

namespace guideway::mgmt {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{50};
constexpr milliseconds kJudgeEvery{5000};
constexpr int kLoopShare = 10;           // looking takes at most about a tenth of the daemon's loop
constexpr milliseconds kTryAgain{1000};  // after the daemon hadn't the time

uint64_t random_instance() {
  std::random_device random;
  return static_cast<uint64_t>(random()) << 32 | random();
}

// The fields that tell a row from others.
v1::VipRow identity_of(const v1::VipRow& row) {
  v1::VipRow id;
  id.set_namespace_(row.namespace_());
  id.set_name(row.name());
  id.set_port_name(row.port_name());
  id.set_vip(row.vip());
  id.set_port(row.port());
  id.set_protocol(row.protocol());
  return id;
}

v1::BackendRow identity_of(const v1::BackendRow& row) {
  v1::BackendRow id;
  id.set_namespace_(row.namespace_());
  id.set_name(row.name());
  id.set_port_name(row.port_name());
  id.set_vip(row.vip());
  id.set_vip_port(row.vip_port());
  id.set_protocol(row.protocol());
  id.set_address(row.address());
  id.set_port(row.port());
  return id;
}

template <typename Row>
std::string key_of(const Row& row) {
  return identity_of(row).SerializeAsString();
}

template <typename Row>
bool has(const ServiceFilter& filter, const std::string& key) {
  Row id;
  return filter.all() || (id.ParseFromString(key) && filter.has(id.namespace_(), id.name()));
}

v1::VipRow row_of(const Snapshot::Vip& v) {
  v1::VipRow row;
  fill(v, row);
  return row;
}

v1::BackendRow row_of(const Entry& e, const Backend& b) {
  v1::BackendRow row;
  fill(e, b, row);
  return row;
}

}  // namespace

// What is in it is guarded by the mutex of Watches.
class Watches::Watch {
 public:
  virtual ~Watch() = default;
  // Whether there is a message to be written: then write() is called next, without the mutex.
  virtual bool prepare() = 0;
  virtual void write() = 0;
  // Whether who watches may do so no more, and end() is to be called next, without the mutex.
  virtual bool judge() = 0;
  // Whether end() is to be called next, without the mutex; otherwise the write that is under way does it.
  virtual bool prepare_end(const absl::Status& why) = 0;
  virtual void end() = 0;
};

template <typename Request, typename Response, typename Row>
class Watches::WatchOf final : public Watch, public Call {
 public:
  WatchOf(Watches& all, CallContext& context, std::string peer, const Feed& feed)
      : Call(context, kMaxRequest, all.arrivals_), all_(all), peer_(std::move(peer)), feed_(feed) {}

  bool prepare() override {
    if (writing_ || ending_) return false;
    if (!feed_.journal.reaches_back_to(position_)) begin_anew();
    return writing_ = fill_response();
  }
  void write() override { StartWrite(&message_); }
  bool prepare_end(const absl::Status& why) override {
    if (std::exchange(ending_, true)) return false;
    why_ = why;
    return !writing_;
  }
  bool judge() override {
    if (ending_) return false;  // and the context is another thread's
    const absl::Status s = all_.judge_(context(), context().method());
    return !s.ok() && prepare_end(s);
  }
  void end() override { Finish(to_grpc(why_)); }

 private:
  void begin(grpc::ByteBuffer bytes) override {
    Request request;
    absl::Status s = parse(bytes, request);
    if (s.ok()) {
      auto filter = to_filter(request.namespace_(), request.name());
      s = filter.status();
      if (s.ok()) filter_ = std::move(*filter);
    }
    if (s.ok()) {
      const std::lock_guard lock(all_.mutex_);
      if (ending_) s = gone();
      if (all_.stopped_) s = stopping();
      if (s.ok()) {
        if (request.has_since() && request.since().instance() == feed_.instance)
          position_.told = request.since().counter();
        else
          begin_anew();
        all_.watches_.insert(this);
        all_.watched_ = true;
      }
    }
    if (!s.ok()) return Finish(to_grpc(s));
    all_.changed();  // its first message comes with the next look
  }

  // What the client knew is void.
  void begin_anew() {
    position_ = feed_.journal.beginning();
    reset_ = true;
  }

  // False: the client knows everything.
  bool fill_response() {
    Response response;
    size_t bytes = 0;
    bool last = true;
    feed_.journal.tell(position_, [&](const Journal::Change& c) {
      if (bytes >= kMessageBytes) return last = false;
      if (!has<Row>(filter_, c.key)) return true;
      if (c.row != nullptr) {
        response.add_changed()->ParseFromString(*c.row);
        bytes += c.row->size();
      } else {
        response.add_removed()->ParseFromString(c.key);
        bytes += c.key.size();
      }
      return true;
    });
    if (complete_ && !reset_ && bytes == 0) return false;
    response.set_reset(std::exchange(reset_, false));
    response.set_last(last);
    response.mutable_generation()->set_instance(feed_.instance);
    response.mutable_generation()->set_counter(position_.told);
    complete_ = last;
    message_ = bytes_of(response);
    return true;
  }

  void OnWriteDone(bool ok) override {
    bool more = false;
    bool over = false;
    {
      const std::lock_guard lock(all_.mutex_);
      writing_ = false;
      ending_ = ending_ || !ok;
      over = ending_;
      more = prepare();
    }
    if (more) write();
    if (over) end();
  }
  void cancelled() override {
    bool over = false;
    {
      const std::lock_guard lock(all_.mutex_);
      over = prepare_end(gone()) && all_.watches_.contains(this);
    }
    if (over) end();
  }
  void OnDone() override {
    {
      const std::lock_guard lock(all_.mutex_);
      --all_.open_;
      const auto connection = all_.connections_.find(peer_);
      if (--connection->second == 0) all_.connections_.erase(connection);
      all_.watches_.erase(this);
      all_.watched_ = !all_.watches_.empty();
    }
    delete this;
  }

  Watches& all_;
  const std::string peer_;
  const Feed& feed_;
  grpc::ByteBuffer message_;
  ServiceFilter filter_;
  Journal::Position position_;
  bool reset_ = false;     // the next message says so
  bool complete_ = false;  // the last message was the last of its batch
  bool writing_ = false;
  bool ending_ = false;
  absl::Status why_ = gone();  // it ends
};

Watches::Watches(Daemon& daemon, Judge judge, Arrivals& arrivals)
    : daemon_(daemon),
      judge_(std::move(judge)),
      arrivals_(arrivals),
      services_{.instance = random_instance()},
      backends_{.instance = random_instance()},
      thread_([this] { run(); }) {}

Watches::~Watches() { stop(); }

template <typename Request, typename Response, typename Row>
grpc::ServerGenericBidiReactor* Watches::watch(CallContext& context, const Feed& feed) {
  std::string peer = context.peer();
  {
    const std::lock_guard lock(mutex_);
    if (open_ >= kLimit)
      return new Refusal(
          absl::ResourceExhaustedError("there are " + std::to_string(kLimit) +
                                       " watches already, as many as guidewayd serves: end some, or list instead"));
    size_t& of_connection = connections_[peer];
    if (of_connection >= kOfConnection)
      return new Refusal(absl::ResourceExhaustedError("this connection has " + std::to_string(kOfConnection) +
                                                      " watches already: end some, or list instead"));
    ++of_connection;
    ++open_;
  }
  auto* watch = new WatchOf<Request, Response, Row>(*this, context, std::move(peer), feed);
  watch->read();
  return watch;
}

grpc::ServerGenericBidiReactor* Watches::services(CallContext& context) {
  return watch<v1::WatchServicesRequest, v1::WatchServicesResponse, v1::VipRow>(context, services_);
}

grpc::ServerGenericBidiReactor* Watches::backends(CallContext& context) {
  return watch<v1::WatchBackendsRequest, v1::WatchBackendsResponse, v1::BackendRow>(context, backends_);
}

void Watches::changed() {
  {
    const std::lock_guard lock(wake_mutex_);
    changed_ = true;
  }
  if (watched_) wake_.notify_one();
}

void Watches::stop() {
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  std::vector<Watch*> to_end;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (Watch* w : watches_)
      if (w->prepare_end(stopping())) to_end.push_back(w);
  }
  for (Watch* w : to_end) w->end();
}

void Watches::run() {
  while (wait()) {
    judge();
    look();
  }
}

// Until something has changed that somebody wants to know, or it is time to judge who that is; false: it's the end.
bool Watches::wait() {
  std::unique_lock lock(wake_mutex_);
  wake_.wait_for(lock, kJudgeEvery, [this] { return stopping_ || (changed_ && watched_); });
  wake_.wait_until(lock, next_look_, [this] { return stopping_; });
  return !stopping_;
}

void Watches::judge() {
  if (!watched_ || Clock::now() < next_judgement_) return;
  next_judgement_ = Clock::now() + kJudgeEvery;
  std::vector<Watch*> to_end;
  {
    const std::lock_guard lock(mutex_);
    for (Watch* w : watches_)
      if (w->judge()) to_end.push_back(w);
  }
  for (Watch* w : to_end) w->end();
}

void Watches::look() {
  {
    const std::lock_guard lock(wake_mutex_);
    if (!watched_ || !std::exchange(changed_, false)) return;
  }
  const auto begin = Clock::now();
  const auto vips = daemon_.take_vips();
  const auto took = Clock::now() - begin;
  std::vector<Watch*> to_write;
  if (vips.ok()) {
    const std::lock_guard lock(mutex_);
    update(*vips);
    for (Watch* w : watches_)
      if (w->prepare()) to_write.push_back(w);
  }
  // None of them goes away before its write is done.
  for (Watch* w : to_write) w->write();
  const std::lock_guard lock(wake_mutex_);
  changed_ = changed_ || !vips.ok();
  next_look_ = begin + (vips.ok() ? std::max<Clock::duration>(kLookEvery, kLoopShare * took) : kTryAgain);
}

void Watches::update(const std::vector<Snapshot::Vip>& vips) {
  std::map<std::string_view, Snapshot::Vip> now;
  for (const Snapshot::Vip& v : vips) now.emplace(v.entry->name, v);
  for (const auto& [name, vip] : now) {
    const auto old = told_.find(name);
    tell(old == told_.end() ? nullptr : &old->second, &vip);
  }
  for (const auto& [name, vip] : told_)
    if (!now.contains(name)) tell(&vip, nullptr);
  told_ = std::move(now);
}

// Entries are immutable: only those that are others are looked into.
void Watches::tell(const Snapshot::Vip* old, const Snapshot::Vip* now) {
  if (old != nullptr && now != nullptr && *old == *now) return;
  std::unordered_set<std::string> there;
  if (now != nullptr) {
    const v1::VipRow row = row_of(*now);
    services_.journal.put(key_of(row), row.SerializeAsString());
    for (const Backend& b : now->entry->backends) {
      const v1::BackendRow backend = row_of(*now->entry, b);
      const std::string key = key_of(backend);
      backends_.journal.put(key, backend.SerializeAsString());
      there.insert(key);
    }
  }
  if (old == nullptr) return;
  if (now == nullptr) services_.journal.remove(key_of(row_of(*old)));
  for (const Backend& b : old->entry->backends)
    if (const std::string key = key_of(row_of(*old->entry, b)); !there.contains(key)) backends_.journal.remove(key);
}

}  // namespace guideway::mgmt
