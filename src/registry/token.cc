#include "registry/token.h"

#include "base/strings.h"
#include "oci/json.h"

#include <tug/error.h>

#include <algorithm>
#include <cmath>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxBodyBytes = 1024 * 1024;
constexpr std::size_t kMaxTokenBytes = 128 * 1024;
constexpr std::chrono::seconds kMinLifetime{60};
constexpr std::chrono::seconds kMaxLifetime{24 * 60 * 60};
constexpr std::size_t kMaxScopes = 16;
constexpr std::size_t kMaxScopeBytes = 512;

// The beginning of a body that is certainly no token: a page, or a sentence. Anything that looks
// like JSON or like one long word might be one, and is not shown.
std::string excerpt(std::string_view body) {
  const std::string_view start = trim(body.substr(0, 200)).substr(0, 50);
  const bool page = start.starts_with('<');
  const bool json = start.starts_with('{') || start.starts_with('[') || start.starts_with('"');
  const bool sentence = !json && start.find(' ') < 20;
  return page || sentence ? ": \"" + printable(start, 50) + "\"" : "";
}

Error unusable(std::string_view what, std::string_view content_type, std::string_view body) {
  std::string message = "the token service returned " + std::string(what);
  if (!content_type.empty()) message += " (" + printable(content_type, 80) + ")";
  return Error(ErrorKind::auth, message + excerpt(body));
}

std::optional<double> seconds_in(const Json& value) {
  if (const auto number = value.as_double()) return number;
  if (const std::string* text = value.as_string()) {
    if (const auto number = parse_uint(*text)) return static_cast<double>(*number);
  }
  return std::nullopt;
}

std::chrono::seconds clamp_lifetime(const Json* expires_in) {
  const std::optional<double> seconds = expires_in ? seconds_in(*expires_in) : std::nullopt;
  if (!seconds || !std::isfinite(*seconds)) return kMinLifetime;
  const double low = static_cast<double>(kMinLifetime.count());
  const double high = static_cast<double>(kMaxLifetime.count());
  return std::chrono::seconds(static_cast<std::int64_t>(std::clamp(*seconds, low, high)));
}

// "repository:a/b" of "repository:a/b:pull,push", and the actions behind the last colon.
struct Scope {
  std::string resource;
  std::vector<std::string> actions;
};

Scope parse_scope(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {std::string(text), {}};
  Scope scope{std::string(text.substr(0, colon)), {}};
  for (const std::string_view action : split(text.substr(colon + 1), ',')) {
    if (!action.empty()) scope.actions.emplace_back(action);
  }
  return scope;
}

// True when `text` now covers `wanted`; false when it is about another resource.
bool widen(std::string& text, const Scope& wanted) {
  Scope scope = parse_scope(text);
  if (scope.resource != wanted.resource) return false;
  const std::size_t before = scope.actions.size();
  for (const std::string& action : wanted.actions) {
    if (std::find(scope.actions.begin(), scope.actions.end(), action) == scope.actions.end()) {
      scope.actions.push_back(action);
    }
  }
  if (scope.actions.size() != before) text = scope.resource + ":" + join(scope.actions, ",");
  return true;
}

}  // namespace

bool is_usable_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxTokenBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

Token parse_token_response(std::string_view body, std::string_view content_type) {
  Json document;
  try {
    document = Json::parse(body, {.max_bytes = kMaxBodyBytes, .max_depth = 32});
  } catch (const Error&) {
    throw unusable("something that is not JSON", content_type, body);
  }
  if (!document.is_object()) {
    throw unusable("JSON that is no object", content_type, body);
  }
  std::string value = document.string_or_empty("token");
  if (value.empty()) value = document.string_or_empty("access_token");
  if (value.empty()) throw unusable("no token", content_type, body);
  if (!is_usable_token(value)) {
    throw unusable(
        "a token of " + std::to_string(value.size()) + " bytes that cannot be sent in a header",
        content_type, body);
  }
  Token token;
  token.value = Secret(std::move(value));
  token.lifetime = clamp_lifetime(document.find("expires_in"));
  if (std::string refresh = document.string_or_empty("refresh_token"); !refresh.empty()) {
    token.refresh_token = Secret(std::move(refresh));
  }
  return token;
}

std::string repository_scope(std::string_view repository, std::string_view actions) {
  return "repository:" + std::string(repository) + ":" + std::string(actions);
}

std::vector<std::string> merge_scopes(std::vector<std::string> scopes,
                                      std::string_view challenge_scope) {
  for (const std::string_view word : split(challenge_scope, ' ')) {
    if (word.empty() || word.size() > kMaxScopeBytes) continue;
    const Scope wanted = parse_scope(word);
    const bool covered = std::any_of(scopes.begin(), scopes.end(), [&](std::string& scope) {
      return scope.size() <= 2 * kMaxScopeBytes && widen(scope, wanted);
    });
    if (!covered && scopes.size() < kMaxScopes) scopes.emplace_back(word);
  }
  return scopes;
}

}  // namespace tug::registry
