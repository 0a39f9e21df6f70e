// Certificates and keys in PEM files: read, judged before they are used, and whom they name. X.509 is all OpenSSL's.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct x509_store_st;  // OpenSSL's

namespace guideway::mgmt {

// What one end of a mutual TLS connection needs: paths of PEM files.
struct TlsFiles {
  std::string certificate;  // its own, then those between it and the CA's
  std::string key;          // that certificate's, without a passphrase
  std::string ca;           // one of these signed the other end's certificate
};

// What stands in them.
struct TlsIdentity {
  std::string certificate;
  std::string key;
  std::string ca;

  TlsIdentity() = default;
  TlsIdentity(TlsIdentity&&) = default;
  TlsIdentity& operator=(TlsIdentity&&) = default;
  ~TlsIdentity();  // wipes the key
  friend bool operator==(const TlsIdentity&, const TlsIdentity&) = default;
};

// Fails with a sentence that names the file: it can't be read, holds no certificate, or no key of the certificate.
absl::StatusOr<TlsIdentity> read_identity(const TlsFiles& files);

// Sentences, each naming a file, about certificates whose time is over or hasn't come.
std::vector<std::string> lapses(const TlsIdentity& identity, const TlsFiles& files);

// Whom a certificate was given to, as it says itself.
struct Subject {
  std::string name;                        // CN
  std::vector<std::string> organizations;  // O
};
// Of the first certificate in a PEM text; nothing if there is none.
std::optional<Subject> subject_of(std::string_view pem);

// Those who vouch for others' certificates. May be asked by several threads.
class Authorities {
 public:
  explicit Authorities(std::string_view pem);
  // Why a client with this certificate isn't to be let in, such as "expired at Nov 26 12:00:00 2026 GMT"; empty if it
  // is. `between`: certificates between its and an authority's, or empty.
  std::string objection(std::string_view certificate, std::string_view between) const;

 private:
  std::shared_ptr<x509_store_st> store_;
};

}  // namespace guideway::mgmt
