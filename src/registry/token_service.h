// Exchanging credentials for a token (registry-protocol.md 3.2-3.4), at a service that the registry
// names and that may be somewhere else (S2-S4).
#ifndef TUG_REGISTRY_TOKEN_SERVICE_H_
#define TUG_REGISTRY_TOKEN_SERVICE_H_

#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/endpoint.h"
#include "registry/token.h"

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

// The URL of the `realm` that the registry at `registry` names, if credentials may go there. Throws
// Error(auth) which quotes it. Pure.
http::Url check_realm(const http::Url& registry, std::string_view realm);

// "Basic …" for RFC 7617.
Secret basic_authorization(std::string_view username, const Secret& password);

struct TokenOrder {
  Challenge challenge;              // Bearer, with a realm
  std::vector<std::string> scopes;  // the one needed most first
  Credential credential;            // anonymous, password or identity_token
};

// A token from the service: by POST for an identity token, else by GET. Retries by the policy.
// Throws Error(auth) when the service refuses or its answer is unusable, else network, server, …
Token fetch_token(Endpoint& endpoint, const TokenOrder& order, const std::stop_token& stop);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_TOKEN_SERVICE_H_
