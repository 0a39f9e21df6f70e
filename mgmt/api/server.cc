#include "mgmt/api/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "log/level.h"
#include "mgmt/api/access.h"
#include "mgmt/api/appliance.grpc.pb.h"
#include "mgmt/api/call.h"
#include "mgmt/api/call_log.h"
#include "mgmt/api/calls.h"
#include "mgmt/api/change.h"
#include "mgmt/api/connections.h"
#include "mgmt/api/counters.h"
#include "mgmt/api/enums.h"
#include "mgmt/api/fields.h"
#include "mgmt/api/filters.h"
#include "mgmt/api/objects.h"
#include "mgmt/api/reflection_limit.h"
#include "mgmt/api/responses.h"
#include "mgmt/api/trace.h"
#include "mgmt/api/watches.h"
#include "mgmt/bad_request.h"

namespace guideway::mgmt {
namespace {

// Of the engine's tables (8,192 buckets each), that are looked through for a page.
constexpr int kMaxParts = 512;

// As gRPC names a method of ours.
std::string path(const char* method) { return std::string("/") + v1::Appliance::service_full_name() + "/" + method; }

// gRPC's reflection lists what is registered, which a generic service isn't: this is, by a method without a name.
class Listed final : public grpc::Service {
 public:
  Listed() {
    AddMethod(new grpc::internal::RpcServiceMethod(
        nameless_.c_str(), grpc::internal::RpcMethod::NORMAL_RPC,
        new grpc::internal::ErrorMethodHandler<grpc::StatusCode::UNIMPLEMENTED>("the method's name is missing")));
  }

 private:
  const std::string nameless_ = path("");
};

// The bytes of requests and answers, taken by hand and by the method's name: so a call is ours from its headers on,
// whatever its request turns out to be, and no thread waits for a client.
class ApplianceService final : public grpc::CallbackGenericService {
  using Self = ApplianceService;

 public:
  ApplianceService(Daemon& daemon, Judge judge) : daemon_(daemon), watches_(daemon, std::move(judge), arrivals_) {}
  Watches& watches() { return watches_; }
  // No call is answered any more, but those under way.
  void stop() {
    watches_.stop();
    questions_.stop();
    manifests_.stop();
  }

 private:
  using Context = CallContext;
  using Method = std::function<grpc::ServerGenericBidiReactor*(CallContext&)>;

  grpc::ServerGenericBidiReactor* CreateReactor(CallContext* context) override {
    const std::string& method = context->method();
    if (const auto s = bounded_headers(*context); !s.ok()) return new Refusal(s);
    if (const auto found = methods_.find(method); found != methods_.end()) return found->second(*context);
    return new Refusal(absl::UnimplementedError("guidewayd " GUIDEWAY_VERSION " has no method " + shown(method) +
                                                ": is it older than its client?"));
  }

  // What was changed, for the log; whether something was.
  template <typename Request, typename Response>
  static bool note(CallContext& context, const Request& q, const Response& r) {
    if constexpr (requires { change_of(q, r); }) {
      note_change(context, change_of(q, r));
      if constexpr (requires { q.dry_run(); }) return !q.dry_run();
      return true;
    }
    return false;
  }
  template <typename Request, typename Response>
  Method one(Calls& calls, absl::Status (Self::*answer)(const Context&, const Request&, Response&)) {
    const Calls::Answer bytes = [this, answer](CallContext& context, grpc::ByteBuffer& request,
                                               Calls::Response& response) {
      Request q;
      absl::Status s = parse(request, q);
      request.Clear();
      if (!s.ok()) return s;
      Response r;
      s = (this->*answer)(context, q, r);
      if (!s.ok()) return s;
      response = {bytes_of(r), note(context, q, r)};
      return s;
    };
    return [&calls, bytes](CallContext& context) { return calls.begin(context, bytes); };
  }

  absl::Status get_status(const Context&, const v1::GetStatusRequest&, v1::GetStatusResponse& r) {
    const auto s = daemon_.take_snapshot(Question::kStatus);
    if (s.ok()) fill(**s, r);
    return s.status();
  }
  template <typename Request, typename Response>
  absl::Status list_of_services(const Context&, const Request& q, Response& r) {
    const auto filter = to_filter(q.namespace_(), q.name());
    if (!filter.ok()) return filter.status();
    const auto s = daemon_.take_snapshot(Question::kCounters);
    if (s.ok()) fill(**s, *filter, r);
    return s.status();
  }
  absl::Status get_service(const Context&, const v1::GetServiceRequest& q, v1::GetServiceResponse& r) {
    const auto key = to_service(q);
    if (!key.ok()) return key.status();
    const auto s = daemon_.take_snapshot(Question::kCounters);
    if (!s.ok()) return s.status();
    const auto former = daemon_.take_former();
    return former.ok() ? fill(**s, *former, *key, r) : former.status();
  }
  absl::Status get_backend(const Context&, const v1::GetBackendRequest& q, v1::GetBackendResponse& r) {
    const auto key = to_backend(q);
    if (!key.ok()) return key.status();
    const auto s = daemon_.take_snapshot(Question::kCounters);
    return s.ok() ? fill(**s, *key, r) : s.status();
  }
  absl::Status list_drops(const Context&, const v1::ListDropsRequest&, v1::ListDropsResponse& r) {
    const auto taken = daemon_.take_snapshot(Question::kStatus);
    if (!taken.ok()) return taken.status();
    const SnapshotPtr& s = *taken;
    if (!s->hello || !s->status)
      return absl::FailedPreconditionError("the engine doesn't say what it dropped: " +
                                           (s->engine_trouble.empty() ? "it doesn't answer" : s->engine_trouble));
    fill_drops(*s->hello, *s->status, r);
    return absl::OkStatus();
  }
  absl::Status list_source_filters(const Context&, const v1::ListSourceFiltersRequest&,
                                   v1::ListSourceFiltersResponse& r) {
    const auto s = daemon_.take_snapshot(std::nullopt);
    if (s.ok()) fill(**s, r);
    return s.status();
  }
  absl::Status list_denied_prefixes(const Context&, const v1::ListDeniedPrefixesRequest& q,
                                    v1::ListDeniedPrefixesResponse& r) {
    const auto s = daemon_.take_snapshot(std::nullopt);
    return s.ok() ? fill(**s, q, r) : s.status();
  }
  // Part by part, as the engine gives them, until `take` has enough, all is told, or so many parts are that the caller
  // had better ask again.
  template <typename Request, typename Response, typename Take>
  absl::Status list(const Context& context, const Request& q, uint32_t rows, Response& r, Take take) {
    engine::ConnectionsRequest request;
    request.set_rows(rows);
    auto filter = to_engine(q.filter());
    if (!filter.ok()) return filter.status();
    *request.mutable_filter() = std::move(*filter);
    auto from = position_of(q.page_token());
    if (!from.ok()) return from.status();
    *request.mutable_from() = std::move(*from);
    for (int parts = 0; parts < kMaxParts; ++parts) {
      if (context.IsCancelled()) return gone();
      auto part = daemon_.list_connections(request);
      if (!part.ok()) return part.status();
      const bool more = take(*part, request) && part->has_next();
      r.set_next_page_token(part->has_next() ? page_token(part->next()) : "");
      if (!more) break;
      *request.mutable_from() = part->next();
    }
    return absl::OkStatus();
  }
  absl::Status list_connections(const Context& context, const v1::ListConnectionsRequest& q,
                                v1::ListConnectionsResponse& r) {
    const uint32_t page = rows_of_page(q.page_size());
    return list(context, q, page, r, [&](const engine::Connections& part, engine::ConnectionsRequest& next) {
      for (const engine::Connection& c : part.connections()) fill(c, *r.add_connections());
      const auto rows = static_cast<uint32_t>(r.connections_size());
      next.set_rows(page - std::min(rows, page));
      return rows < page;
    });
  }
  absl::Status count_connections(const Context& context, const v1::CountConnectionsRequest& q,
                                 v1::CountConnectionsResponse& r) {
    return list(context, q, 0, r, [&](const engine::Connections& part, engine::ConnectionsRequest&) {
      r.set_connections(r.connections() + part.matched());
      return true;
    });
  }
  absl::Status trace(const Context&, const v1::TraceRequest& q, v1::TraceResponse& r) {
    const auto request = to_engine(q);
    if (!request.ok()) return request.status();
    const auto trace = daemon_.trace(*request);
    if (!trace.ok()) return trace.status();
    const auto vips = daemon_.take_vips();
    if (vips.ok()) fill(*trace, *vips, r);
    return vips.status();
  }

  absl::Status get_gateway_config(const Context&, const v1::GetGatewayConfigRequest&, v1::GetGatewayConfigResponse& r) {
    const auto gateway = daemon_.get_gateway();
    if (gateway.ok()) fill(*gateway, r);
    return gateway.status();
  }
  absl::Status get_object(const Context&, const v1::GetObjectRequest& q, v1::GetObjectResponse& r) {
    const auto key = to_key(q.object(), "object");
    if (!key.ok()) return key.status();
    const auto object = daemon_.get_object(*key);
    if (object.ok()) fill(*object, r);
    return object.status();
  }
  absl::Status apply_objects(const Context&, const v1::ApplyObjectsRequest& q, v1::ApplyObjectsResponse& r) {
    const auto condition = to_condition(q.condition());
    if (!condition.ok()) return condition.status();
    const auto result = daemon_.api().apply(q.manifests(), *condition, q.dry_run());
    if (!result.ok()) return result.status();
    fill(*result, r);
    if (q.dry_run()) return absl::OkStatus();
    const Confirmation c = daemon_.await_applied(keys_of(result->objects));
    r.set_pending(c.pending);
    for (const Problem& p : c.refusals)
      if (std::ranges::find(result->problems, p) == result->problems.end()) fill(p, *r.add_problems());
    return absl::OkStatus();
  }
  absl::Status delete_objects(const Context&, const v1::DeleteObjectsRequest& q, v1::DeleteObjectsResponse& r) {
    auto keys = keys_of(q);
    if (!keys.ok()) return keys.status();
    const auto removed = daemon_.api().remove(std::move(*keys), q.ignore_missing(), q.dry_run());
    if (!removed.ok()) return removed.status();
    fill(*removed, r);
    if (!q.dry_run()) r.set_pending(why_not_in_force(keys_of(*removed)));
    return absl::OkStatus();
  }
  static std::set<ObjectKey> keys_of(const std::vector<Applied>& objects) {
    std::set<ObjectKey> keys;
    for (const Applied& a : objects) keys.insert(a.key);
    return keys;
  }
  // Of responses without problems of their own.
  std::string why_not_in_force(const std::set<ObjectKey>& changed) {
    const Confirmation c = daemon_.await_applied(changed);
    return c.refusals.empty() ? c.pending : to_string(c.refusals.front());
  }
  absl::StatusOr<std::vector<ObjectKey>> keys_of(const v1::DeleteObjectsRequest& q) {
    std::vector<ObjectKey> keys;
    if (!q.manifests().empty() || q.objects().empty()) {
      auto named = daemon_.api().keys_of(q.manifests());
      if (!named.ok()) return named.status();
      keys = std::move(*named);
    }
    std::set<ObjectKey> there(keys.begin(), keys.end());  // each once, however often it is named
    for (int i = 0; i < q.objects_size(); ++i) {
      const auto key = to_key(q.objects(i), "objects[" + std::to_string(i) + "]");
      if (!key.ok()) return key.status();
      if (there.insert(*key).second) keys.push_back(*key);
    }
    return keys;
  }
  absl::Status set_backend_weight(const Context&, const v1::SetBackendWeightRequest& q,
                                  v1::SetBackendWeightResponse& r) {
    const auto key = to_override(q.namespace_(), q.name(), q.address());
    if (!key.ok()) return key.status();
    const auto set = daemon_.api().set_weight(*key, q.weight());
    if (!set.ok()) return set.status();
    for (const ObjectKey& s : set->services) fill(s, *r.add_services());
    for (const ObjectKey& s : set->except) fill(s, *r.add_except());
    r.set_pending(why_not_in_force({set->services.begin(), set->services.end()}));
    return absl::OkStatus();
  }
  absl::Status reset_backend_weight(const Context&, const v1::ResetBackendWeightRequest& q,
                                    v1::ResetBackendWeightResponse& r) {
    const auto key = to_override(q.namespace_(), q.name(), q.address());
    if (!key.ok()) return key.status();
    const auto reset = daemon_.api().reset_weight(*key, q.only_drained());
    if (!reset.ok()) return reset.status();
    if (reset->weight) r.set_weight(*reset->weight);
    if (reset->instead) r.set_instead(*reset->instead);
    for (const ObjectKey& s : reset->services) fill(s, *r.add_services());
    r.set_pending(why_not_in_force({reset->services.begin(), reset->services.end()}));
    return absl::OkStatus();
  }
  absl::Status get_log_levels(const Context&, const v1::GetLogLevelsRequest&, v1::GetLogLevelsResponse& r) {
    v1::ProgramLogLevel& daemon = *r.add_programs();
    daemon.set_program(v1::PROGRAM_DAEMON);
    daemon.set_level(static_cast<v1::LogLevel>(log::level()));
    v1::ProgramLogLevel& engine = *r.add_programs();
    engine.set_program(v1::PROGRAM_ENGINE);
    const auto level = daemon_.set_engine_log_level(engine::LOG_LEVEL_UNSPECIFIED);
    if (level.ok())
      engine.set_level(static_cast<v1::LogLevel>(*level));
    else
      engine.set_trouble(std::string(level.status().message()));
    return absl::OkStatus();
  }
  absl::Status set_log_level(const Context&, const v1::SetLogLevelRequest& q, v1::SetLogLevelResponse&) {
    std::vector<FieldViolation> wrong;
    if (q.program() == v1::PROGRAM_UNSPECIFIED || !v1::Program_IsValid(q.program()))
      wrong.push_back({"program", "must be one of " + choices<v1::Program>()});
    if (q.level() == v1::LOG_LEVEL_UNSPECIFIED || !v1::LogLevel_IsValid(q.level()))
      wrong.push_back({"level", "must be one of " + choices<v1::LogLevel>()});
    if (!wrong.empty()) return bad_request(wrong);
    if (q.program() == v1::PROGRAM_ENGINE)
      return daemon_.set_engine_log_level(static_cast<engine::LogLevel>(q.level())).status();
    log::set_level(static_cast<log::Level>(q.level()));
    return absl::OkStatus();
  }

  Daemon& daemon_;
  Arrivals arrivals_;
  Watches watches_;
  Calls manifests_{{.request = kMaxManifests, .at_once = 16, .of_connection = 4}, arrivals_};
  Calls questions_{{.request = kMaxRequest}, arrivals_};  // and small changes
  const std::map<std::string, Method> methods_ = {
      {path("GetStatus"), one(questions_, &Self::get_status)},
      {path("ListServices"),
       one(questions_, &Self::list_of_services<v1::ListServicesRequest, v1::ListServicesResponse>)},
      {path("GetService"), one(questions_, &Self::get_service)},
      {path("ListBackends"),
       one(questions_, &Self::list_of_services<v1::ListBackendsRequest, v1::ListBackendsResponse>)},
      {path("GetBackend"), one(questions_, &Self::get_backend)},
      {path("WatchServices"), [this](CallContext& context) { return watches_.services(context); }},
      {path("WatchBackends"), [this](CallContext& context) { return watches_.backends(context); }},
      {path("ListDrops"), one(questions_, &Self::list_drops)},
      {path("ListSourceFilters"), one(questions_, &Self::list_source_filters)},
      {path("ListDeniedPrefixes"), one(questions_, &Self::list_denied_prefixes)},
      {path("ListConnections"), one(questions_, &Self::list_connections)},
      {path("CountConnections"), one(questions_, &Self::count_connections)},
      {path("Trace"), one(questions_, &Self::trace)},
      {path("GetGatewayConfig"), one(questions_, &Self::get_gateway_config)},
      {path("GetObject"), one(questions_, &Self::get_object)},
      {path("ApplyObjects"), one(manifests_, &Self::apply_objects)},
      {path("DeleteObjects"), one(manifests_, &Self::delete_objects)},
      {path("SetBackendWeight"), one(questions_, &Self::set_backend_weight)},
      {path("ResetBackendWeight"), one(questions_, &Self::reset_backend_weight)},
      {path("GetLogLevels"), one(questions_, &Self::get_log_levels)},
      {path("SetLogLevel"), one(questions_, &Self::set_log_level)},
  };
};

}  // namespace

struct ApiServer::Impl {
  Impl(Daemon& daemon, Listeners l) : service(daemon, l.judge()), listeners(std::move(l)) {}
  Listed listed;
  ApplianceService service;
  std::unique_ptr<grpc::Server> server;
  Listeners listeners;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ApiServer::~ApiServer() {
  impl_->listeners = {};
  impl_->service.stop();
  // Calls that wait for the loop are answered by its end; the deadline is for clients that don't read.
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::start(const ListenOptions& listen, Daemon& daemon) {
  auto listeners = Listeners::prepare(listen);
  if (!listeners.ok()) return listeners.status();
  auto impl = std::make_unique<Impl>(daemon, std::move(*listeners));
  // Both are of the process, and looked at when a server is built: grpc.health.v1, and the API's own description.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(&impl->listed);
  builder.RegisterCallbackGenericService(&impl->service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(call_log());
  interceptors.push_back(reflection_limit());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  auto server = impl->listeners.start(builder);
  if (!server.ok()) return server.status();
  impl->server = std::move(*server);
  impl->server->GetHealthCheckService()->SetServingStatus(v1::Appliance::service_full_name(), true);
  daemon.on_change([&watches = impl->service.watches()] { watches.changed(); });
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

}  // namespace guideway::mgmt
