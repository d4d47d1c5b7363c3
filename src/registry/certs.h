// certs.d: extra CAs and client certificates for a registry (registry-protocol.md 1.4).
#ifndef TUG_REGISTRY_CERTS_H_
#define TUG_REGISTRY_CERTS_H_

#include "base/log.h"
#include "http/client.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tug::registry {

// The material for `registry` ("host[:port]" as written): from `cert_dir` itself if given, else
// from the first existing directory of the three places. A named directory that is not there has
// no certificates, as in skopeo, since scripts name it for every registry; `note` hears of it.
// Throws Error(usage): a .cert without its .key or the reverse, a directory that cannot be read.
http::TlsConfig load_certificates(std::string_view registry,
                                  const std::optional<std::string>& cert_dir, const Log& log,
                                  const std::function<void(std::string_view)>& note = {});

}  // namespace tug::registry

#endif  // TUG_REGISTRY_CERTS_H_
