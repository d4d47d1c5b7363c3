// How to reach a registry: what the command line's registry flags say (cli-surface.md A.2). A
// value; one for each end of a copy. Everything not said here comes from the environment and the
// configuration files (registry-protocol.md 2-4).
#ifndef TUG_REGISTRY_H_
#define TUG_REGISTRY_H_

#include "tug/secret.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace tug {

struct RegistryAccess {
  // --creds, or --username and --password.
  std::optional<std::pair<std::string, Secret>> credentials;
  // --registry-token: sent as the bearer token, without a token exchange.
  std::optional<Secret> bearer_token;
  // --no-creds: look for none.
  bool anonymous = false;
  // --authfile or $REGISTRY_AUTH_FILE: then the only file read.
  std::optional<std::string> authfile;
  // --cert-dir: used itself, not a directory per host below it.
  std::optional<std::string> cert_dir;
  // --tls-verify; unset: registries.conf decides, else true. False: no verification, and http after
  // https failed in transport.
  std::optional<bool> tls_verify;
  // --no-mirrors: read from the registry itself, whatever mirrors registries.conf has for it.
  bool no_mirrors = false;

  friend bool operator==(const RegistryAccess&, const RegistryAccess&) = default;
};

// registry-protocol.md 5.13. `attempts` counts the first try.
struct RetryPolicy {
  int attempts = 4;
  // --retry-delay: a fixed delay; unset: exponential with full jitter.
  std::optional<std::chrono::milliseconds> fixed_delay;
  std::chrono::milliseconds base_delay{500};
  std::chrono::milliseconds max_delay{30'000};
  std::chrono::milliseconds max_retry_after{60'000};
};

// Limits in time, registry-protocol.md 5.9.
struct Timeouts {
  std::chrono::milliseconds connect{30'000};
  // No byte accepted or received for this long: the peer is taken for dead (--stall-timeout). It
  // also bounds the wait for the answer to a request without a body; after a body of N bytes, and
  // at the commit of a blob of N bytes, the wait is this + 1 s per 10 MB, at most 15 min.
  std::chrono::milliseconds stall{60'000};
};

}  // namespace tug

#endif  // TUG_REGISTRY_H_
