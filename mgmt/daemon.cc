#include "mgmt/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "log/log.h"
#include "mgmt/bad_request.h"
#include "mgmt/source/encode.h"
#include "mgmt/source/whole_file.h"
#include "mgmt/source/yaml.h"

namespace guideway::mgmt {
namespace {

constexpr std::chrono::seconds kDirectoryRetry{1};
constexpr std::chrono::milliseconds kAppliedWithin{1000};
constexpr std::chrono::milliseconds kKeepAfter{100};   // the engine, perhaps on our core, goes first
constexpr std::chrono::milliseconds kKeepFor{10};      // a hundred files or so; then others have the loop for as long
constexpr std::chrono::milliseconds kKeepAgain{1000};  // what couldn't be written

// Where the file can't be read, the kernel's default.
HostPorts host_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  HostPorts p;
  uint16_t min = 0;
  uint16_t max = 0;
  if (file >> min >> max) p = {min, max};
  return p;
}

// As people write it.
std::string as_yaml(const std::string& json) {
  const auto parsed = parse_yaml(json);
  const auto* tree = std::get_if<Tree>(&parsed);
  return tree != nullptr ? to_yaml(*tree, tree->documents()[0]) : std::string();
}

void log_problem(spdlog::level::level_enum level, const char* prefix, const Problem& p) {
  const auto number = [](uint32_t n) { return n == 0 ? "" : std::to_string(n); };
  log::write(level, prefix + to_string(p),
             {{"file", p.file},
              {"document", number(p.document)},
              {"line", number(p.line)},
              {"object", p.object},
              {"field", p.field},
              {"problem", p.text}});
}

}  // namespace

Daemon::Daemon(EventLoop& loop, DaemonOptions options)
    : loop_(loop),
      options_(std::move(options)),
      host_ports_(host_ports()),
      last_good_(options_.state_dir + "/manifests", ".last-good"),
      api_last_good_(options_.state_dir + "/last-good", ""),
      compiler_(store_),
      engine_(loop, options_.engine_socket, compiler_, [this] { state_changed(); }),
      observe_(loop, options_.engine_socket, engine_.silence()),
      api_(loop, store_, options_.state_dir, host_ports_,
           {[this](const auto& keys) {
              for (const ObjectKey& key : keys) unkept_.insert(api_.path_of(key));
              changed(keys);
              commit();
            },
            [this](const std::set<std::string>& paths) { return problems_of(paths); },
            [this](const OverrideKey& o) { return compiler_.served_by(o); }}) {}

Daemon::~Daemon() { keep_last_good(EventLoop::Clock::time_point::max()); }

absl::Status Daemon::start() {
  auto directory = ManifestDirectory::open(options_.manifests);
  if (!directory.ok()) return directory.status();
  directory_ = std::move(*directory);
  auto state_dir = take_state_directory(options_.state_dir);
  if (!state_dir.ok()) return state_dir.status();
  state_dir_ = std::move(*state_dir);
  for (const LastGoodFiles* files : {&last_good_, &api_last_good_})
    if (absl::Status s = files->prepare(); !s.ok()) return s;
  const auto names = directory_->list();
  if (!names.ok()) return names.status();
  const auto of_api = api_.files();
  if (!of_api.ok()) return of_api.status();
  for (const std::string& path : *of_api) restore(path);
  const auto kept = api_.restore();
  if (!kept.ok()) return kept.status();
  // Not before: a start that fails leaves them as they are.
  unkept_.insert(of_api->begin(), of_api->end());
  api_last_good_.keep_only({of_api->begin(), of_api->end()});
  changed(*kept);
  for (const std::string& name : *names) restore(directory_->path_of(name));
  last_good_.keep_only(*names);
  read_all(*names);
  watch_directory();
  commit();
  spdlog::info("{} manifests and {} objects of the API read: {} VIPs", names->size(), api_.objects(),
               compiler_.entries().size());
  engine_.start();
  observe_.start();
  return absl::OkStatus();
}

void Daemon::watch_directory() {
  loop_.watch(directory_->fd(), EPOLLIN, [this](uint32_t) { directory_changed(); });
}

void Daemon::directory_changed() {
  const auto changes = directory_->changes();
  // Before its files, which aren't there any more.
  if (changes.lost) return directory_lost(options_.manifests + " was removed or moved");
  for (const std::string& name : changes.files) read_file(name);
  if (changes.all) return rescan();
  if (!changes.files.empty()) commit();
}

// The state stays as it is: an empty mount must not empty the gateway.
void Daemon::directory_lost(const std::string& why) {
  if (directory_) loop_.unwatch(directory_->fd());
  directory_.reset();
  directory_trouble_ = why + ": its objects stay in force until it is back";
  loop_.call_after(kDirectoryRetry, [this, why] {
    auto directory = ManifestDirectory::open(options_.manifests);
    if (!directory.ok()) return directory_lost(why);
    directory_ = std::move(*directory);
    directory_trouble_.clear();
    watch_directory();
    rescan();
  });
  commit();
}

void Daemon::rescan() {
  if (!directory_) return;
  const auto names = directory_->list();
  if (!names.ok()) return directory_lost(std::string(names.status().message()));
  read_all(*names);
  commit();
}

void Daemon::read_all(const std::set<std::string>& names) {
  for (const std::string& name : names) read_file(name);
  std::vector<std::string> gone;
  for (const auto& [path, file] : store_.files())
    if (!api_.is_own_file(path) && !names.contains(path.substr(path.rfind('/') + 1))) gone.push_back(path);
  for (const std::string& path : gone) read_file(path.substr(path.rfind('/') + 1));
}

void Daemon::changed(const std::vector<ObjectKey>& keys) { uncompiled_.insert(keys.begin(), keys.end()); }

void Daemon::read_file(const std::string& name) {
  const std::string path = directory_->path_of(name);
  const auto text = read_whole_file(path);
  unkept_.insert(path);
  if (!text.ok()) {
    if (absl::IsNotFound(text.status())) {
      documents_.forget(path);
      return changed(store_.remove_file(path));
    }
    return store_.fail_file(path, {path, 0, 0, "", "", std::string(text.status().message())});
  }
  auto read = documents_.read(path, *text, host_ports_);
  if (const auto* error = std::get_if<YamlError>(&read))
    return store_.fail_file(path, {path, error->document, error->line, "", "", error->text});
  auto& d = std::get<Decoded>(read);
  changed(store_.put_file(
      path, {std::move(d.objects), std::move(d.refused), d.unnamed, std::move(d.problems), std::move(d.skipped)}));
}

void Daemon::restore(const std::string& path) {
  const auto text = last_good_of(path).load(path);
  if (!text) return;
  const auto parsed = parse_yaml(*text);
  if (std::holds_alternative<YamlError>(parsed)) {
    log::warn({"", "the last good form of " + path + " can't be read and is ignored",
               "it is written anew from the file itself"});
    return;
  }
  changed(store_.restore_file(path, decode(std::get<Tree>(parsed), path, host_ports_).objects));
}

// Everything read so far becomes one commit, and what doesn't concern the packets comes after it.
void Daemon::commit() {
  const std::vector<ObjectKey> keys(uncompiled_.begin(), uncompiled_.end());
  uncompiled_.clear();
  if (!keys.empty()) {
    const Delta delta = compiler_.update(keys);
    engine_.update(delta);
    for (const ObjectKey& key : delta.reformed)
      if (std::string owner = store_.owner(key); !owner.empty()) unkept_.insert(std::move(owner));
    if (!delta.empty())
      spdlog::info("{} VIPs changed, {} removed{}", delta.changed.size(), delta.removed.size(),
                   delta.gateway ? ", the gateway's configuration changed" : "");
    if (delta.denied) spdlog::info("{} prefixes are denied", compiler_.denied().prefixes);
  }
  state_changed();
  keep_last_good_after(kKeepAfter);
}

void Daemon::keep_last_good_after(std::chrono::milliseconds wait) {
  if (std::exchange(keeping_, true)) return;
  loop_.call_after(wait, [this] {
    keeping_ = false;
    keep_last_good(EventLoop::Clock::now() + kKeepFor);
    if (!unkept_.empty()) return keep_last_good_after(kKeepFor);
    if (unwritten_.empty()) last_good_trouble_.clear();
    report_problems();
    unkept_.swap(unwritten_);
    if (!unkept_.empty()) keep_last_good_after(kKeepAgain);
  });
}

void Daemon::state_changed() {
  report_problems();
  answer_waiters();
  on_change_();
}

// Apart, as a manifest may have the name that an object of the API has.
const LastGoodFiles& Daemon::last_good_of(const std::string& path) const {
  return api_.is_own_file(path) ? api_last_good_ : last_good_;
}

void Daemon::keep_last_good(EventLoop::Clock::time_point until) {
  while (!unkept_.empty() && EventLoop::Clock::now() < until) {
    auto path = unkept_.extract(unkept_.begin());
    const absl::Status s = keep_last_good(path.value());
    if (s.ok()) continue;
    last_good_trouble_ = std::string(s.message());
    unwritten_.insert(std::move(path));
  }
}

absl::Status Daemon::keep_last_good(const std::string& path) const {
  const auto file = store_.files().find(path);
  if (file == store_.files().end()) {
    last_good_of(path).remove(path);
    return absl::OkStatus();
  }
  std::string documents;
  for (const ObjectKey& key : file->second.keys) {
    if (store_.owner(key) != path) continue;
    if (const ObjectPtr form = compiler_.form_of(key))
      documents += "---\n" + encode(*form, compiler_.mode_of(key)) + "\n";
  }
  return last_good_of(path).save(path, documents);
}

Problem Daemon::problem_of(const std::string& refused, const EngineLink::Refusal& refusal) const {
  Problem p;
  p.text = "the engine refuses it" + (refusal.field.empty() ? "" : " (" + refusal.field + ")") + ": " + refusal.why;
  if (refusal.for_room) p.text = refusal.why;
  const auto entry = compiler_.entries().find(refused);
  ObjectPtr object = refused == EngineLink::kGateway ? compiler_.gateway_object() : nullptr;
  if (entry != compiler_.entries().end()) {
    object = entry->second->service;
    p.field = entry->second->field;
    p.line = entry->second->line;
  }
  if (object && refusal.for_room && !refusal.field.empty()) {
    const auto at = object->limited.find(refusal.field);
    const bool known = at != object->limited.end();
    p.field = known ? at->second.field : refusal.field;
    p.line = known ? at->second.line : 0;
  }
  if (object) {
    p.file = store_.owner(object->key);
    p.document = object->place.document;
    if (p.line == 0) p.line = object->place.line;
    p.object = to_string(object->key);
  } else if (refused == EngineLink::kDenied) {
    p.object = "SourceFilter";
    p.field = "spec.deniedCIDRs";
  } else {
    p.object = refused;
  }
  return p;
}

// Whether one of them is in what the engine refused.
bool Daemon::concerns(const std::string& refused, const std::set<ObjectKey>& keys) const {
  const auto has = [&](Kind kind) { return std::ranges::any_of(keys, [&](const auto& k) { return k.kind == kind; }); };
  if (refused == EngineLink::kGateway) return has(Kind::kGatewayConfig) || has(Kind::kSourceFilter);
  if (refused == EngineLink::kDenied) return has(Kind::kSourceFilter);
  const auto entry = compiler_.entries().find(refused);
  if (entry == compiler_.entries().end()) return !keys.empty();  // a batch as a whole
  return keys.contains(entry->second->service->key) ||
         std::ranges::any_of(entry->second->backends,
                             [&](const Backend& b) { return b.slice != nullptr && keys.contains(b.slice->key); });
}

std::vector<Problem> Daemon::problems() const {
  std::vector<Problem> all = store_.problems();
  const std::vector<Problem> compiled = compiler_.problems();
  all.insert(all.end(), compiled.begin(), compiled.end());
  for (const auto& [name, refusal] : engine_.refusals()) all.push_back(problem_of(name, refusal));
  if (!directory_trouble_.empty()) all.push_back({options_.manifests, 0, 0, "", "", directory_trouble_});
  if (!last_good_trouble_.empty()) all.push_back({"", 0, 0, "", "", last_good_trouble_});
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<Problem> Daemon::problems_of(const std::set<std::string>& paths) const {
  std::vector<Problem> of_files;
  std::copy_if(reported_.begin(), reported_.end(), std::back_inserter(of_files),
               [&](const Problem& p) { return paths.contains(p.file); });
  return of_files;
}

// Each once, when it comes and when it goes.
void Daemon::report_problems() {
  const std::vector<Problem> now = problems();
  for (const Problem& p : now)
    if (!reported_.contains(p)) log_problem(spdlog::level::err, "", p);
  const std::set<Problem> set(now.begin(), now.end());
  for (const Problem& p : reported_)
    if (!set.contains(p)) log_problem(spdlog::level::info, "solved: ", p);
  reported_ = set;
}

std::vector<Snapshot::Vip> Daemon::vips() const {
  std::vector<Snapshot::Vip> all;
  for (const auto& [name, entry] : compiler_.entries())
    all.push_back({entry, engine_.state_of(*entry), store_.owner(entry->service->key)});
  for (const EntryPtr& entry : compiler_.refused())
    all.push_back({entry, EngineLink::EntryState::kRefused, store_.owner(entry->service->key)});
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.entry->name < b.entry->name; });
  return all;
}

std::set<ObjectKey> Daemon::former() const {
  std::set<ObjectKey> former;
  for (const auto& [path, file] : store_.files())
    for (const ObjectKey& key : file.broken ? file.keys : file.unread)
      if (store_.owner(key) == path) former.insert(key);
  // One that was restored stands elsewhere than in its file, and may be the same all the same.
  for (const ObjectKey& key : compiler_.former())
    if (encode(*compiler_.form_of(key), compiler_.mode_of(key)) !=
        encode(*store_.latest(key), compiler_.asked_mode_of(key)))
      former.insert(key);
  return former;
}

Snapshot Daemon::snapshot() const {
  Snapshot s;
  s.uptime_seconds = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(EventLoop::Clock::now() - started_).count());
  s.engine_socket = engine_.socket_path();
  s.engine_trouble = engine_.trouble();
  s.hello = engine_.hello();
  s.desired = engine_.desired();
  s.applied = engine_.applied();
  s.problems = problems();
  std::map<std::string_view, uint32_t> problems_of_file;
  for (const Problem& p : s.problems) ++problems_of_file[p.file];
  for (const auto& [path, file] : store_.files()) {
    if (api_.is_own_file(path)) continue;
    for (const auto& [kind, n] : file.skipped) s.skipped[kind] += n;
    s.files.push_back({path, static_cast<uint32_t>(file.keys.size()), problems_of_file[path], file.broken});
  }
  s.vips = vips();
  s.service_objects = store_.objects(Kind::kService);
  for (const OwnedObject& o : s.service_objects)
    ++(std::get<Service>(o.object->body).ours ? s.services : s.services_left_out);
  s.slice_objects = store_.objects(Kind::kEndpointSlice);
  s.endpoint_slices = static_cast<uint32_t>(s.slice_objects.size());
  s.filter_objects = store_.objects(Kind::kSourceFilter);
  s.denied_prefixes = compiler_.denied().prefixes;
  s.denied_applied = engine_.denied_applied();
  if (compiler_.gateway_object()) s.gateway_config = compiler_.gateway_object()->key.name;
  s.gateway = compiler_.gateway();
  s.manifest_directory = options_.manifests;
  s.api_objects = static_cast<uint32_t>(api_.objects());
  s.overrides = store_.overrides().all();
  return s;
}

absl::StatusOr<SnapshotPtr> Daemon::take_snapshot(std::optional<Question> question) {
  return await<SnapshotPtr>(loop_, [this, question](const Reply<SnapshotPtr>& reply) {
    auto s = std::make_shared<Snapshot>(snapshot());
    if (!question) return reply(std::move(s));
    observe_.ask(*question, [this, reply, s, question](const Observation* answer) {
      s->engine_trouble = engine_.trouble();  // the answer may have been long in coming
      if (answer != nullptr && *question == Question::kStatus) s->status = answer->status;
      if (answer != nullptr && *question == Question::kCounters) s->counters = answer->counters;
      reply(s);
    });
  });
}

absl::StatusOr<std::vector<Snapshot::Vip>> Daemon::take_vips() {
  using Vips = std::vector<Snapshot::Vip>;
  return await<Vips>(loop_, [this](const Reply<Vips>& reply) { reply(vips()); });
}

absl::StatusOr<std::set<ObjectKey>> Daemon::take_former() {
  using Keys = std::set<ObjectKey>;
  return await<Keys>(loop_, [this](const Reply<Keys>& reply) { reply(former()); });
}

absl::StatusOr<engine::Envelope> Daemon::ask_engine(const engine::Envelope& request, const char* what) {
  return await<engine::Envelope>(loop_, [this, request, what](const Reply<engine::Envelope>& reply) {
    observe_.request(request, [this, what, reply](const engine::Envelope* answer) {
      if (answer != nullptr) return reply(*answer);
      reply(absl::FailedPreconditionError(std::string("the engine ") + what + ": " +
                                          (engine_.connected() ? "it doesn't answer" : engine_.trouble())));
    });
  });
}

// A manifest's object as far as the gateway reads it, in its form in force.
std::string Daemon::manifest_of(const ObjectKey& key) const {
  if (const std::string* text = api_.text_of(key)) return *text;
  const ObjectPtr form = compiler_.form_of(key);
  if (!form) return {};
  return as_yaml(encode(*form, compiler_.mode_of(key)));
}

ShownObject Daemon::shown(const ObjectKey& key, std::string manifest) const {
  ShownObject o{key, std::move(manifest), store_.owner(key), false, {}};
  o.from_api = api_.is_own_file(o.file);
  for (const Problem& p : reported_)
    if (p.object == to_string(key)) o.problems.push_back(p);
  return o;
}

absl::StatusOr<ShownObject> Daemon::get_object(const ObjectKey& key) {
  return await<ShownObject>(loop_, [this, key](const Reply<ShownObject>& reply) {
    std::string manifest = manifest_of(key);
    if (manifest.empty()) return reply(absl::NotFoundError("there is no " + to_string(key)));
    reply(shown(key, std::move(manifest)));
  });
}

absl::StatusOr<ShownObject> Daemon::get_gateway() {
  return await<ShownObject>(loop_, [this](const Reply<ShownObject>& reply) {
    const ObjectPtr from = compiler_.gateway_object();
    Object object{.key = {Kind::kGatewayConfig, "", from ? from->key.name : ""},
                  .body = with_defaults(compiler_.gateway())};
    const ObjectKey key = object.key;
    if (!from) object.key.name = "defaults";
    reply(shown(key, as_yaml(encode(object, std::nullopt))));
  });
}

absl::StatusOr<engine::Connections> Daemon::list_connections(const engine::ConnectionsRequest& request) {
  engine::Envelope question;
  *question.mutable_connections_request() = request;
  auto answer = ask_engine(question, "doesn't tell its connections");
  if (!answer.ok()) return answer.status();
  return std::move(*answer->mutable_connections());
}

// Nothing more is to be waited for.
bool Daemon::settled(uint64_t counter) const { return engine_.has_taken(counter) || !engine_.trouble().empty(); }

Confirmation Daemon::confirmation(uint64_t counter, const std::set<ObjectKey>& changed) const {
  Confirmation c;
  if (!engine_.has_taken(counter)) {
    c.pending = engine_.trouble();
    if (c.pending.empty()) c.pending = "the engine hasn't confirmed it yet; guideway status shows when it has";
    return c;
  }
  for (const auto& [name, refusal] : engine_.refusals())
    if (concerns(name, changed)) c.refusals.push_back(problem_of(name, refusal));
  return c;
}

Confirmation Daemon::await_applied(const std::set<ObjectKey>& changed) {
  auto answer = await<Confirmation>(loop_, [this, changed](const Reply<Confirmation>& reply) {
    const uint64_t counter = engine_.desired().counter();
    if (settled(counter)) return reply(confirmation(counter, changed));
    // All wait equally long: the oldest is the first whose time is over.
    const auto timer = loop_.call_after(kAppliedWithin, [this] {
      const Waiter oldest = std::move(waiters_.front());
      waiters_.erase(waiters_.begin());
      oldest.reply(confirmation(oldest.counter, oldest.changed));
    });
    waiters_.push_back({counter, changed, reply, timer});
  });
  return answer.ok() ? std::move(*answer) : Confirmation{.pending = std::string(answer.status().message())};
}

void Daemon::give_up() {
  observe_.give_up();
  for (const Waiter& w : std::exchange(waiters_, {})) w.reply(confirmation(w.counter, w.changed));
}

void Daemon::answer_waiters() {
  std::erase_if(waiters_, [this](const Waiter& w) {
    if (!settled(w.counter)) return false;
    loop_.cancel(w.timer);
    w.reply(confirmation(w.counter, w.changed));
    return true;
  });
}

absl::StatusOr<engine::LogLevel> Daemon::set_engine_log_level(engine::LogLevel wanted) {
  engine::Envelope question;
  question.mutable_log_level_request()->set_level(wanted);
  const auto answer = ask_engine(question, "doesn't tell its log level");
  if (!answer.ok()) return answer.status();
  return answer->log_level().level();
}

absl::StatusOr<engine::Trace> Daemon::trace(const engine::TraceRequest& request) {
  engine::Envelope question;
  *question.mutable_trace_request() = request;
  auto answer = ask_engine(question, "doesn't trace the packet");
  if (!answer.ok()) return answer.status();
  if (!answer->trace().has_refused()) return std::move(*answer->mutable_trace());
  const std::string& why = answer->trace().refused().why();
  if (!answer->trace().refused().invalid()) return absl::FailedPreconditionError(why);
  const size_t colon = why.find(": ");  // after the field that is wrong
  return colon == std::string::npos ? bad_request("request", why)
                                    : bad_request(why.substr(0, colon), why.substr(colon + 2));
}

}  // namespace guideway::mgmt
