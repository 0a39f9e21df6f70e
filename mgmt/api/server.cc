#include "mgmt/api/server.h"

#include <absl/strings/match.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>

#include "log/level.h"
#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/api/call_log.h"
#include "mgmt/api/connections.h"
#include "mgmt/api/counters.h"
#include "mgmt/api/error_details.pb.h"
#include "mgmt/api/filters.h"
#include "mgmt/api/objects.h"
#include "mgmt/api/responses.h"
#include "mgmt/api/trace.h"
#include "mgmt/api/watches.h"
#include "mgmt/bad_request.h"

namespace guideway::mgmt {
namespace {

// Rows of a page, and parts of the engine's tables (8,192 buckets each) that are looked through for it.
constexpr uint32_t kPage = 100;
constexpr uint32_t kMaxPage = 1'000;
constexpr int kMaxParts = 512;
constexpr size_t kMaxSentence = 2'000;  // bytes of an error's, which go into trailers

// Both count their codes alike; payloads go along as details.
grpc::Status to_grpc(const absl::Status& s) {
  google::rpc::Status details;
  s.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    if (!absl::StartsWith(type, "type.googleapis.com/")) return;  // the log's own
    auto& detail = *details.add_details();
    detail.set_type_url(std::string(type));
    detail.set_value(std::string(payload));
  });
  const auto code = static_cast<grpc::StatusCode>(s.code());
  if (details.details().empty()) return {code, shortened(std::string(s.message()), kMaxSentence)};
  details.set_code(code);
  details.set_message(std::string(s.message()));
  return {code, std::string(s.message()), details.SerializeAsString()};
}

// A call has a thread of its own, but watches, which may last for days: those are reactors.
using Base = v1::Appliance::WithCallbackMethod_WatchServices<
    v1::Appliance::WithCallbackMethod_WatchBackends<v1::Appliance::Service>>;

class ApplianceService final : public Base {
 public:
  explicit ApplianceService(Daemon& daemon) : daemon_(daemon), watches_(daemon) {}
  Watches& watches() { return watches_; }

 private:
  template <typename Response>
  grpc::Status answer(const google::protobuf::Message& q, Response* response, Question question) {
    if (const auto s = acceptable(q); !s.ok()) return to_grpc(s);
    const auto s = daemon_.take_snapshot(question);
    if (!s.ok()) return to_grpc(s.status());
    fill(**s, *response);
    return grpc::Status::OK;
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest* q, v1::GetStatusResponse* r) override {
    return answer(*q, r, Question::kStatus);
  }
  grpc::Status ListServices(grpc::ServerContext*, const v1::ListServicesRequest* q,
                            v1::ListServicesResponse* r) override {
    return answer(*q, r, Question::kCounters);
  }
  grpc::Status GetService(grpc::ServerContext*, const v1::GetServiceRequest* q, v1::GetServiceResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto s = daemon_.take_snapshot(Question::kCounters);
    if (!s.ok()) return to_grpc(s.status());
    return to_grpc(fill(**s, *q, *r));
  }
  grpc::Status ListBackends(grpc::ServerContext*, const v1::ListBackendsRequest* q,
                            v1::ListBackendsResponse* r) override {
    return answer(*q, r, Question::kCounters);
  }
  grpc::Status GetBackend(grpc::ServerContext*, const v1::GetBackendRequest* q, v1::GetBackendResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto key = to_backend(*q);
    if (!key.ok()) return to_grpc(key.status());
    const auto s = daemon_.take_snapshot(Question::kCounters);
    return to_grpc(s.ok() ? fill(**s, *key, *r) : s.status());
  }
  grpc::ServerWriteReactor<v1::WatchServicesResponse>* WatchServices(grpc::CallbackServerContext*,
                                                                     const v1::WatchServicesRequest* q) override {
    if (const auto s = acceptable(*q); !s.ok()) return new RefusedWatch<v1::WatchServicesResponse>(to_grpc(s));
    return watches_.services(*q);
  }
  grpc::ServerWriteReactor<v1::WatchBackendsResponse>* WatchBackends(grpc::CallbackServerContext*,
                                                                     const v1::WatchBackendsRequest* q) override {
    if (const auto s = acceptable(*q); !s.ok()) return new RefusedWatch<v1::WatchBackendsResponse>(to_grpc(s));
    return watches_.backends(*q);
  }
  grpc::Status ListDrops(grpc::ServerContext*, const v1::ListDropsRequest* q, v1::ListDropsResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto taken = daemon_.take_snapshot(Question::kStatus);
    if (!taken.ok()) return to_grpc(taken.status());
    const SnapshotPtr& s = *taken;
    if (!s->hello || !s->status)
      return {grpc::StatusCode::FAILED_PRECONDITION,
              "the engine doesn't say what it dropped: " +
                  (s->engine_trouble.empty() ? "it doesn't answer" : s->engine_trouble)};
    fill_drops(*s->hello, *s->status, *r);
    return grpc::Status::OK;
  }
  grpc::Status ListSourceFilters(grpc::ServerContext*, const v1::ListSourceFiltersRequest* q,
                                 v1::ListSourceFiltersResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto s = daemon_.take_snapshot(std::nullopt);
    if (s.ok()) fill(**s, *r);
    return to_grpc(s.status());
  }
  grpc::Status ListDeniedPrefixes(grpc::ServerContext*, const v1::ListDeniedPrefixesRequest* q,
                                  v1::ListDeniedPrefixesResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto s = daemon_.take_snapshot(std::nullopt);
    return to_grpc(s.ok() ? fill(**s, *q, *r) : s.status());
  }
  // Part by part, as the engine gives them, until `take` has enough, all is told, or so many parts are that the caller
  // had better ask again.
  template <typename Request, typename Response, typename Take>
  grpc::Status list(const grpc::ServerContext& context, const Request& q, uint32_t rows, Response& r, Take take) {
    if (const auto s = acceptable(q); !s.ok()) return to_grpc(s);
    engine::ConnectionsRequest request;
    request.set_rows(rows);
    auto filter = to_engine(q.filter());
    if (!filter.ok()) return to_grpc(filter.status());
    *request.mutable_filter() = std::move(*filter);
    auto from = position_of(q.page_token());
    if (!from.ok()) return to_grpc(from.status());
    *request.mutable_from() = std::move(*from);
    for (int parts = 0; parts < kMaxParts; ++parts) {
      if (context.IsCancelled()) return {grpc::StatusCode::CANCELLED, "the caller has gone"};
      auto part = daemon_.list_connections(request);
      if (!part.ok()) return to_grpc(part.status());
      const bool more = take(*part, request) && part->has_next();
      r.set_next_page_token(part->has_next() ? page_token(part->next()) : "");
      if (!more) break;
      *request.mutable_from() = part->next();
    }
    return grpc::Status::OK;
  }
  grpc::Status ListConnections(grpc::ServerContext* context, const v1::ListConnectionsRequest* q,
                               v1::ListConnectionsResponse* r) override {
    const uint32_t page = q->page_size() == 0 ? kPage : std::min(q->page_size(), kMaxPage);
    return list(*context, *q, page, *r, [&](const engine::Connections& part, engine::ConnectionsRequest& next) {
      for (const engine::Connection& c : part.connections()) fill(c, *r->add_connections());
      const auto rows = static_cast<uint32_t>(r->connections_size());
      next.set_rows(page - std::min(rows, page));
      return rows < page;
    });
  }
  grpc::Status CountConnections(grpc::ServerContext* context, const v1::CountConnectionsRequest* q,
                                v1::CountConnectionsResponse* r) override {
    return list(*context, *q, 0, *r, [&](const engine::Connections& part, engine::ConnectionsRequest&) {
      r->set_connections(r->connections() + part.matched());
      return true;
    });
  }
  grpc::Status Trace(grpc::ServerContext*, const v1::TraceRequest* q, v1::TraceResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto request = to_engine(*q);
    if (!request.ok()) return to_grpc(request.status());
    const auto trace = daemon_.trace(*request);
    if (!trace.ok()) return to_grpc(trace.status());
    const auto vips = daemon_.take_vips();
    if (vips.ok()) fill(*trace, *vips, *r);
    return to_grpc(vips.status());
  }

  grpc::Status GetObject(grpc::ServerContext*, const v1::GetObjectRequest* q, v1::GetObjectResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto key = to_key(q->object(), "object");
    if (!key.ok()) return to_grpc(key.status());
    const auto object = daemon_.get_object(*key);
    if (object.ok()) fill(*object, *r);
    return to_grpc(object.status());
  }
  grpc::Status ApplyObjects(grpc::ServerContext*, const v1::ApplyObjectsRequest* q,
                            v1::ApplyObjectsResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto condition = to_condition(q->condition());
    if (!condition.ok()) return to_grpc(condition.status());
    const auto result = daemon_.api().apply(q->manifests(), *condition, q->dry_run());
    if (!result.ok()) return to_grpc(result.status());
    fill(*result, *r);
    if (!q->dry_run()) r->set_pending(daemon_.engine_trouble());
    return grpc::Status::OK;
  }
  grpc::Status DeleteObjects(grpc::ServerContext*, const v1::DeleteObjectsRequest* q,
                             v1::DeleteObjectsResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    auto keys = keys_of(*q);
    if (!keys.ok()) return to_grpc(keys.status());
    const auto removed = daemon_.api().remove(std::move(*keys), q->ignore_missing(), q->dry_run());
    if (!removed.ok()) return to_grpc(removed.status());
    fill(*removed, *r);
    if (!q->dry_run()) r->set_pending(daemon_.engine_trouble());
    return grpc::Status::OK;
  }
  absl::StatusOr<std::vector<ObjectKey>> keys_of(const v1::DeleteObjectsRequest& q) {
    std::vector<ObjectKey> keys;
    if (!q.manifests().empty() || q.objects().empty()) {
      auto named = daemon_.api().keys_of(q.manifests());
      if (!named.ok()) return named.status();
      keys = std::move(*named);
    }
    for (int i = 0; i < q.objects_size(); ++i) {
      const auto key = to_key(q.objects(i), "objects[" + std::to_string(i) + "]");
      if (!key.ok()) return key.status();
      keys.push_back(*key);
    }
    return keys;
  }
  grpc::Status SetBackendWeight(grpc::ServerContext*, const v1::SetBackendWeightRequest* q,
                                v1::SetBackendWeightResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto key = to_override(q->namespace_(), q->name(), q->address());
    if (!key.ok()) return to_grpc(key.status());
    const auto services = daemon_.api().set_weight(*key, q->weight());
    if (!services.ok()) return to_grpc(services.status());
    for (const ObjectKey& s : *services) fill(s, *r->add_services());
    r->set_pending(daemon_.engine_trouble());
    return grpc::Status::OK;
  }
  grpc::Status ResetBackendWeight(grpc::ServerContext*, const v1::ResetBackendWeightRequest* q,
                                  v1::ResetBackendWeightResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    const auto key = to_override(q->namespace_(), q->name(), q->address());
    if (!key.ok()) return to_grpc(key.status());
    const auto weight = daemon_.api().reset_weight(*key, q->only_drained());
    if (!weight.ok()) return to_grpc(weight.status());
    if (*weight) r->set_weight(**weight);
    r->set_pending(daemon_.engine_trouble());
    return grpc::Status::OK;
  }
  grpc::Status GetLogLevels(grpc::ServerContext*, const v1::GetLogLevelsRequest* q,
                            v1::GetLogLevelsResponse* r) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    v1::ProgramLogLevel& daemon = *r->add_programs();
    daemon.set_program(v1::PROGRAM_DAEMON);
    daemon.set_level(static_cast<v1::LogLevel>(log::level()));
    v1::ProgramLogLevel& engine = *r->add_programs();
    engine.set_program(v1::PROGRAM_ENGINE);
    const auto level = daemon_.set_engine_log_level(engine::LOG_LEVEL_UNSPECIFIED);
    if (level.ok())
      engine.set_level(static_cast<v1::LogLevel>(*level));
    else
      engine.set_trouble(std::string(level.status().message()));
    return grpc::Status::OK;
  }
  grpc::Status SetLogLevel(grpc::ServerContext*, const v1::SetLogLevelRequest* q, v1::SetLogLevelResponse*) override {
    if (const auto s = acceptable(*q); !s.ok()) return to_grpc(s);
    if (q->level() == v1::LOG_LEVEL_UNSPECIFIED || !v1::LogLevel_IsValid(q->level()))
      return to_grpc(bad_request("level", "there is no such level"));
    if (q->program() == v1::PROGRAM_ENGINE)
      return to_grpc(daemon_.set_engine_log_level(static_cast<engine::LogLevel>(q->level())).status());
    if (q->program() != v1::PROGRAM_DAEMON) return to_grpc(bad_request("program", "neither the daemon nor the engine"));
    log::set_level(static_cast<log::Level>(q->level()));
    return grpc::Status::OK;
  }

  Daemon& daemon_;
  Watches watches_;
};

}  // namespace

struct ApiServer::Impl {
  explicit Impl(Daemon& daemon) : service(daemon) {}
  ApplianceService service;
  std::unique_ptr<grpc::Server> server;
  Listeners listeners;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ApiServer::~ApiServer() {
  impl_->listeners = {};
  impl_->service.watches().stop();
  // Calls that wait for the loop are answered by its end; the deadline is for clients that don't read.
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::start(const ListenOptions& listen, Daemon& daemon) {
  auto listeners = Listeners::prepare(listen);
  if (!listeners.ok()) return listeners.status();
  auto impl = std::make_unique<Impl>(daemon);
  impl->listeners = std::move(*listeners);
  // Both are of the process, and looked at when a server is built: grpc.health.v1, and the API's own description.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(&impl->service);
  log_calls(builder);
  auto server = impl->listeners.start(builder);
  if (!server.ok()) return server.status();
  impl->server = std::move(*server);
  impl->server->GetHealthCheckService()->SetServingStatus(v1::Appliance::service_full_name(), true);
  daemon.on_change([&watches = impl->service.watches()] { watches.changed(); });
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

}  // namespace guideway::mgmt
