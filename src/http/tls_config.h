// How far the peer of one origin is trusted. A value.
#ifndef TUG_HTTP_TLS_CONFIG_H_
#define TUG_HTTP_TLS_CONFIG_H_

#include <string>
#include <utility>
#include <vector>

namespace tug::http {

// Connections are reused only between requests whose configurations are equal.
struct TlsConfig {
  bool verify = true;
  std::vector<std::string> ca_files;  // PEM, added to the system's CAs
  // Certificate and key files, PEM. Only the first pair is offered.
  std::vector<std::pair<std::string, std::string>> client_certificates;

  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

}  // namespace tug::http

#endif  // TUG_HTTP_TLS_CONFIG_H_
