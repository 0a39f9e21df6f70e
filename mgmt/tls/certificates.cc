#include "mgmt/tls/certificates.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "log/trouble.h"

namespace guideway::mgmt {
namespace {

template <auto free>
struct Free {
  void operator()(auto* p) const { free(p); }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
struct FreeStack {  // sk_X509_free is a macro
  void operator()(STACK_OF(X509) * s) const { sk_X509_free(s); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

constexpr std::streamoff kLargestFile = 1 << 20;  // bytes: a bundle of every public CA has a quarter of it

constexpr const char* kRemedy = "docs/operations.md says how they are made";
constexpr int kDepth = 8;          // certificates between one and an authority's
constexpr int kSecurityLevel = 2;  // of OpenSSL's: keys of 112 bits of security at least, as for TLS by default

absl::Status broken(const std::string& path, const std::string& why, std::string_view remedy = kRemedy) {
  return log::failure(absl::StatusCode::kFailedPrecondition, path + ": " + why, remedy);
}

absl::StatusOr<std::string> read(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff{file.tellg()} : -1;
  if (size < 0)
    return broken(path, std::string("can't be read: ") + std::strerror(errno), "is it there, and ours to read?");
  if (size > kLargestFile) return broken(path, "is too large for a file of certificates or keys");
  std::string text(static_cast<size_t>(size), '\0');
  if (!file.seekg(0).read(text.data(), size)) return broken(path, "can't be read");
  return text;
}

Bio over(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Nobody is there to be asked for one.
int no_passphrase(char*, int, int, void*) { return 0; }

// The first ones of a text; none if one of them is broken.
std::vector<Certificate> certificates_in(std::string_view text, size_t most = SIZE_MAX) {
  std::vector<Certificate> all;
  const Bio in = over(text);
  ERR_clear_error();
  while (all.size() < most) {
    Certificate c{PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)};
    if (c == nullptr) break;
    all.push_back(std::move(c));
  }
  if (all.size() < most && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) all.clear();
  ERR_clear_error();
  return all;
}

absl::Status check(const TlsIdentity& identity, const TlsFiles& files) {
  const auto chain = certificates_in(identity.certificate);
  if (chain.empty()) return broken(files.certificate, "is no certificate in PEM");
  if (certificates_in(identity.ca).empty()) return broken(files.ca, "is no certificate in PEM");
  const Bio in = over(identity.key);
  const Key key{PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr)};
  const bool match = key && X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (!key) return broken(files.key, "is no private key in PEM, or has a passphrase", "it must have none");
  if (!match)
    return broken(files.key, "is not the key of the certificate in " + files.certificate, "they come in pairs");
  return absl::OkStatus();
}

// "expired at Nov 26 12:00:00 2026 GMT"; empty while it is valid.
std::string lapse(const X509& c) {
  const ASN1_TIME* begin = X509_get0_notBefore(&c);
  const ASN1_TIME* end = X509_get0_notAfter(&c);
  const bool early = X509_cmp_current_time(begin) > 0;
  if (!early && X509_cmp_current_time(end) > 0) return "";
  const Bio out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), early ? begin : end);
  const char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return (early ? "isn't valid before " : "expired at ") + std::string(text, static_cast<size_t>(size));
}

std::vector<std::string> values_of(const X509& c, int nid) {
  std::vector<std::string> all;
  const X509_NAME* name = X509_get_subject_name(&c);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    if (size >= 0) all.emplace_back(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
  }
  return all;
}

}  // namespace

TlsIdentity::~TlsIdentity() { OPENSSL_cleanse(key.data(), key.size()); }

absl::StatusOr<TlsIdentity> read_identity(const TlsFiles& files) {
  TlsIdentity identity;
  for (const auto& [path, text] : {std::pair(&files.certificate, &identity.certificate),
                                   std::pair(&files.key, &identity.key), std::pair(&files.ca, &identity.ca)}) {
    auto bytes = read(*path);
    if (!bytes.ok()) return bytes.status();
    *text = std::move(*bytes);
  }
  if (absl::Status s = check(identity, files); !s.ok()) return s;
  return identity;
}

std::vector<std::string> lapses(const TlsIdentity& identity, const TlsFiles& files) {
  std::vector<std::string> all;
  const auto chain = certificates_in(identity.certificate);
  for (const Certificate& c : chain)
    if (std::string why = lapse(*c); !why.empty()) all.push_back("the certificate in " + files.certificate + " " + why);
  // Old ones may stay beside new ones.
  const auto ca = certificates_in(identity.ca);
  if (std::ranges::none_of(ca, [](const Certificate& c) { return lapse(*c).empty(); }))
    for (const Certificate& c : ca) all.push_back("the certificate in " + files.ca + " " + lapse(*c));
  return all;
}

std::optional<Subject> subject_of(std::string_view pem) {
  const auto all = certificates_in(pem, 1);
  if (all.empty()) return std::nullopt;
  const auto names = values_of(*all.front(), NID_commonName);
  return Subject{names.empty() ? "" : names.front(), values_of(*all.front(), NID_organizationName)};
}

Authorities::Authorities(std::string_view pem) : store_(X509_STORE_new(), X509_STORE_free) {
  for (const Certificate& c : certificates_in(pem)) X509_STORE_add_cert(store_.get(), c.get());
  // One that isn't at the top of its own chain vouches as well, as gRPC has it.
  X509_STORE_set_flags(store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
}

std::string Authorities::objection(std::string_view certificate, std::string_view between) const {
  const auto own = certificates_in(certificate, 1);
  if (own.empty()) return "is no certificate";
  if (std::string why = lapse(*own.front()); !why.empty()) return why;
  const Stack untrusted(sk_X509_new_null());
  const auto others = certificates_in(between, kDepth);  // of a stranger's, who may send many
  for (const Certificate& c : others) sk_X509_push(untrusted.get(), c.get());
  const std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store_.get(), own.front().get(), untrusted.get()) != 1 ||
      X509_STORE_CTX_set_default(context.get(), "ssl_client") != 1)
    return "can't be looked into";
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context.get()), kSecurityLevel);
  X509_STORE_CTX_set_depth(context.get(), kDepth);
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (good) return "";
  return std::string("isn't accepted: ") + X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace guideway::mgmt
