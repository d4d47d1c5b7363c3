// Token responses and scopes (registry-protocol.md 3.2-3.5): parsing only, no I/O.
#ifndef TUG_REGISTRY_TOKEN_H_
#define TUG_REGISTRY_TOKEN_H_

#include <tug/secret.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

struct Token {
  Secret value;
  std::optional<Secret> refresh_token;  // rotated by the service: keep for the rest of the process
  std::chrono::seconds lifetime{60};    // clamped to [60 s, 24 h], counted from receipt
};

// Parses the body of a 200 response. Throws Error(auth) with content type and the first sanitised
// bytes when it is no JSON object with a usable token (rules R3.5, R3.6); the message never
// contains a token. `issued_at` is not looked at: counting from receipt is right for every value
// that a service can send, and a clock that differs cannot shorten or lengthen a token's life.
Token parse_token_response(std::string_view body, std::string_view content_type);

// Whether `text` can stand in "Authorization: Bearer …": visible ASCII, not empty, not too long.
bool is_usable_token(std::string_view text) noexcept;

// "repository:NAME:pull,push"
std::string repository_scope(std::string_view repository, std::string_view actions);

// `scopes`, which keep their order, and what the `scope` of a challenge (blank-separated) names
// beyond them: missing actions join the scope of the same resource, other resources go to the end.
// What a stranger adds is bounded: at most 16 scopes of at most 512 bytes.
std::vector<std::string> merge_scopes(std::vector<std::string> scopes,
                                      std::string_view challenge_scope);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_TOKEN_H_
