#include "mgmt/api/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "log/log.h"

namespace guideway::mgmt {
namespace {

std::string_view view(const grpc_slice& s) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(s)), GRPC_SLICE_LENGTH(s)};
}

std::string_view view(const grpc::string_ref& s) { return {s.data(), s.size()}; }

std::string_view property(const grpc_auth_context* connection, const char* name) {
  auto it = grpc_auth_context_find_properties_by_name(connection, name);
  const grpc_auth_property* p = grpc_auth_property_iterator_next(&it);
  return p != nullptr ? std::string_view(p->value, p->value_length) : std::string_view();
}

// What is asked about certificates and calls, by gRPC's core above all, whose credentials outlive ours.
class Gate {
 public:
  Gate(TlsFiles files, Roles roles) : files_(std::move(files)), roles_(std::move(roles)) {}

  // Of connections, one after the other: an address has one socket, which accepts on one thread at a time.
  static grpc_ssl_certificate_config_reload_status fetch(void* gate, grpc_ssl_server_certificate_config** config) {
    return (*static_cast<std::shared_ptr<Gate>*>(gate))->fetch(config);
  }
  // Of calls, on any thread.
  static void process(void* gate, grpc_auth_context* connection, const grpc_metadata* metadata, size_t n,
                      grpc_process_auth_metadata_done_cb done, void* call) {
    std::string_view method;
    for (size_t i = 0; i < n; ++i)
      if (view(metadata[i].key) == ":path") method = view(metadata[i].value);
    const absl::Status s = (*static_cast<std::shared_ptr<Gate>*>(gate))->admit(connection, method);
    done(call, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(s.code()), std::string(s.message()).c_str());
  }
  static void destroy(void* gate) { delete static_cast<std::shared_ptr<Gate>*>(gate); }

  // `between`: what the client sent along with its certificate.
  absl::Status judge(std::string_view certificate, std::string_view between, std::string_view method) {
    const auto caller = subject_of(certificate);
    // gRPC lets nobody in without one.
    if (!caller) return absl::UnauthenticatedError("the connection has no certificate");
    return may_call(roles_, *caller, authorities()->objection(certificate, between), method);
  }

 private:
  grpc_ssl_certificate_config_reload_status fetch(grpc_ssl_server_certificate_config** config) {
    const std::lock_guard lock(mutex_);
    look();
    if (std::exchange(served_, version_) == version_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{in_use_.key.c_str(), in_use_.certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(in_use_.ca.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  // At the files, for what others have put there. With the mutex.
  void look() {
    next_look_ = Clock::now() + kLookEvery;
    auto read = read_identity(files_);
    const std::string trouble(read.status().message());
    if (trouble != trouble_ && !trouble.empty())
      log::error({"API", log::trouble_of(read.status()).text, "what was read before stays in use until it is mended"});
    trouble_ = trouble;
    if (!read.ok() || *read == in_use_) return;
    for (const std::string& why : lapses(*read, files_))
      log::warn({"API", why + ": clients can't call anything", "put a new one there"});
    if (version_++ > 0) spdlog::info("certificates changed: {} and what belongs to it", files_.certificate);
    std::swap(in_use_, *read);  // what was in use wipes its key
    authorities_ = std::make_shared<const Authorities>(in_use_.ca);
  }

  absl::Status admit(const grpc_auth_context* connection, std::string_view method) {
    const std::string_view certificate = property(connection, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    const absl::Status s = judge(certificate, property(connection, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME), method);
    if (s.ok()) return s;
    const auto caller = subject_of(certificate);
    const std::string path = shown(method);
    const std::string code = absl::StatusCodeToString(s.code());
    const std::string why(s.message());
    // Of strangers, who have any number of names, in all as many as of one.
    log::write(spdlog::level::warn, "refused " + path + ": " + why,
               {{"method", path.substr(path.rfind('/') + 1)},
                {"caller", caller ? shown(caller->name) : ""},
                {"code", code},
                {"error", why}},
               absl::IsUnauthenticated(s) || !caller ? "refused a stranger" : "refused " + shown(caller->name));
    return s;
  }

  std::shared_ptr<const Authorities> authorities() {
    const std::lock_guard lock(mutex_);
    if (Clock::now() >= next_look_) look();
    return authorities_;
  }

  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLookEvery{1};  // while nobody connects

  const TlsFiles files_;
  const Roles roles_;
  std::mutex mutex_;  // guards what follows
  Clock::time_point next_look_;
  TlsIdentity in_use_;
  std::shared_ptr<const Authorities> authorities_;  // of what is in use
  uint64_t version_ = 0;                            // of what is in use
  uint64_t served_ = 0;                             // that gRPC was given last
  std::string trouble_;                             // why the files as they are now aren't in use
};

// The handshake shows that the client has its certificate's key. Whether the certificate counts is judged with each
// call, as Kubernetes' API server does it: the caller is told why not in a status and named in the log, and who isn't
// vouched for any more is refused on connections that stand. By the core's API, for gRPC's C++ has nothing that keeps
// the old certificates where the new ones are broken: FileWatcherCertificateProvider gives them on unseen, or none at
// all.
class MutualTls final : public grpc::ServerCredentials {
 public:
  explicit MutualTls(std::shared_ptr<Gate>* gate)  // which it takes
      : credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY, Gate::fetch, gate))) {
    grpc_server_credentials_set_auth_metadata_processor(credentials_, {Gate::process, Gate::destroy, gate});
  }
  ~MutualTls() override { grpc_server_credentials_release(credentials_); }
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}  // the gate is it

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* credentials_;
};

}  // namespace

absl::StatusOr<TlsCredentials> tls_credentials(const TlsFiles& files, const Roles& roles) {
  if (const auto read = read_identity(files); !read.ok()) return read.status();
  const auto gate = std::make_shared<Gate>(files, roles);
  const auto judge = [gate](const grpc::ServerContextBase& call, std::string_view method) {
    const auto connection = call.auth_context();
    const auto certificate = connection->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    const auto between = connection->FindPropertyValues(GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME);
    if (certificate.empty()) return absl::OkStatus();
    return gate->judge(view(certificate[0]), between.empty() ? "" : view(between[0]), method);
  };
  return TlsCredentials{std::make_shared<MutualTls>(new std::shared_ptr<Gate>(gate)), judge};
}

}  // namespace guideway::mgmt
