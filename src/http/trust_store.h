// Which CAs a TLS peer is checked against: the system's and those of certs.d, loaded once and
// shared by all connections with the same configuration. The one file that knows OpenSSL's X509 API
// is trust_store.cc.
//
// libcurl would load the CA file anew for each connection (tens of milliseconds with OpenSSL 3), or
// keep a cached store that it shares between configurations, to which nothing may be added then.
#ifndef TUG_HTTP_TRUST_STORE_H_
#define TUG_HTTP_TRUST_STORE_H_

#include "http/tls_config.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tug::http {

// What one TLS handshake told of the peer's certificate, for messages. Written by the thread that
// does the handshake.
struct PeerCertificate {
  std::vector<std::string> names;  // DNS names and IP addresses (or the common name)
};

// Immutable; any thread.
class TrustStore {
 public:
  // System CAs ($SSL_CERT_FILE and $SSL_CERT_DIR if set; else `system_bundle`, libcurl's own, or
  // the usual places of other distributions) and `ca_files`. What cannot be read is left out and
  // noted.
  TrustStore(const std::vector<std::string>& ca_files, const char* system_bundle);
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;
  ~TrustStore();

  // Makes `ssl_ctx` (an OpenSSL SSL_CTX) verify its peer against this store and note it in `peer`,
  // which lives as long as the SSL_CTX does.
  void install(void* ssl_ctx, std::shared_ptr<PeerCertificate> peer) const;
  // "/etc/ssl/certs/ca-certificates.crt, /etc/containers/certs.d/reg/ca.crt (no certificate in
  // it)".
  [[nodiscard]] const std::string& description() const noexcept { return description_; }

 private:
  void load_system(const char* system_bundle);
  void load_directory(const std::string& path);
  bool load_file(const std::string& path, bool required);
  std::size_t add_file(const std::string& path);
  std::size_t add_pem(const std::string& path, const std::string& pem);
  void note(const std::string& path, std::string_view problem = {});

  struct Store;
  std::unique_ptr<Store> store_;
  std::string description_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_TRUST_STORE_H_
