#include "registry/token_service.h"

#include "base/strings.h"
#include "registry/error_body.h"
#include "registry/redirects.h"

#include <tug/error.h>

#include <utility>

namespace tug::registry {
namespace {

constexpr std::string_view kClientId = "tug";
constexpr std::size_t kMaxTokenResponse = 1024 * 1024;

Error bad_realm(const http::Url& registry, std::string_view realm, const std::string& why) {
  // A realm with a user name in it may hold a password: not quoted.
  const bool quote = realm.find('@') == std::string_view::npos;
  return Error(ErrorKind::auth, authority(registry) + " names a token service that is refused" +
                                    (quote ? ", \"" + printable(realm, 200) + "\"" : "") + ": " +
                                    why);
}

// Absolute http and https URLs as they are; anything else is relative to the ping's URL.
http::Url resolve_realm(const http::Url& registry, std::string_view realm) {
  try {
    if (starts_with_ignore_case(realm, "http://") || starts_with_ignore_case(realm, "https://")) {
      return http::Url::parse(realm);
    }
    const http::Url url = registry.resolve(realm);
    if (url.origin() == registry.origin()) return url;
  } catch (const Error& error) {
    throw bad_realm(registry, realm, error.message());
  }
  throw bad_realm(registry, realm, "it is neither an http(s) URL nor a path");
}

// "a=1&b=2" as application/x-www-form-urlencoded.
std::string form(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  std::string text;
  for (const auto& [key, value] : fields) {
    if (value.empty()) continue;
    text += (text.empty() ? "" : "&") + percent_encode(key) + "=" + percent_encode(value);
  }
  return text;
}

class Service {
 public:
  Service(Endpoint& endpoint, const TokenOrder& order, const std::stop_token& stop)
      : endpoint_(endpoint),
        order_(order),
        stop_(stop),
        registry_(endpoint.url("/v2/")),
        realm_(check_realm(registry_, order.challenge.param("realm").value_or(""))),
        service_(order.challenge.param("service").value_or("")),
        gate_(endpoint.environment().timing) {}

  Token token() {
    if (order_.credential.kind == Credential::Kind::identity_token) {
      const Answer answer = exchange(oauth_request(), false);
      const int status = answer.response.status;
      const bool knows_post = status != 404 && status != 405 && status != 501;
      if (knows_post) return judge(answer);
      if (order_.credential.password.empty()) throw no_post(answer);
    }
    return judge(exchange(get_request(), true));
  }

  [[nodiscard]] const http::Url& realm() const noexcept { return realm_; }

 private:
  http::Request get_request() const {
    const Credential& credential = order_.credential;
    const Secret& password =
        credential.kind == Credential::Kind::password ? credential.secret : credential.password;
    const bool anonymous = credential.kind == Credential::Kind::anonymous;
    http::Url url = realm_;
    if (!anonymous && !credential.username.empty()) {
      url = url.with_query("account", credential.username);
    }
    if (!service_.empty()) url = url.with_query("service", service_);
    for (const std::string& scope : order_.scopes) url = url.with_query("scope", scope);
    url = url.with_query("client_id", kClientId);
    http::Request request{.method = http::Method::get, .url = url};
    if (!anonymous) request.authorization = basic_authorization(credential.username, password);
    request.max_response_bytes = kMaxTokenResponse;
    return request;
  }

  http::Request oauth_request() const {
    http::Request request{.method = http::Method::post, .url = realm_};
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    request.small_body = form({{"grant_type", "refresh_token"},
                               {"service", service_},
                               {"client_id", kClientId},
                               {"scope", join(order_.scopes, " ")},
                               {"refresh_token", order_.credential.secret.reveal()}});
    request.max_response_bytes = kMaxTokenResponse;
    return request;
  }

  // `retry_404`: GitLab's service says 404 now and then (podman#16065).
  Answer exchange(const http::Request& request, bool retry_404) {
    return with_retries(
        endpoint_.environment(), gate_,
        [&] {
          Answer answer = follow(request);
          if (answer.response.status == 404 && retry_404) answer = follow(request);
          return answer;
        },
        stop_);
  }

  // S4: another origin gets no Authorization, and never a body with a refresh token in it.
  Answer follow(http::Request request) {
    for (int hops = 0;; ++hops) {
      Answer answer{endpoint_.send(request, stop_), request.url};
      const int status = answer.response.status;
      if (!is_redirect(status)) return answer;
      if (hops == kMaxRedirects) throw refused(answer, "too many redirects");
      http::Url target = redirect_target(answer, is_local(registry_));
      const bool same = target.origin() == request.url.origin();
      const bool repeats = status == 307 || status == 308;
      if (request.method == http::Method::post && !(same && repeats)) {
        throw refused(answer, "a redirect to " + target.redacted() +
                                  ", where the identity token must not go");
      }
      if (!same) request.authorization = Secret();
      request.url = std::move(target);
    }
  }

  Token judge(const Answer& answer) {
    const http::Response& response = answer.response;
    if (response.status != 200) throw failed(answer);
    if (response.truncated) throw refused(answer, "an answer that is too long or broke off");
    return parse_token_response(response.body, response.headers.get("Content-Type").value_or(""));
  }

  Error failed(const Answer& answer) const {
    const int status = answer.response.status;
    const Error said = error_from_response(answer.response, answer.url);
    std::string message = said.message();
    if (status == 401 || status == 403) message += "; it refused " + describe(order_.credential);
    Error error(status >= 500 ? ErrorKind::server : ErrorKind::auth, message);
    error.set_http_status(status).set_registry_codes(said.registry_codes());
    if (status == 404) {
      error.set_hint("the repository or project may not exist, or you may not see it");
    }
    return error;
  }

  Error no_post(const Answer& answer) const {
    return refused(answer, "no exchange of identity tokens (" +
                               status_text(answer.response.status) + "), and " +
                               describe(order_.credential) + " comes without a password");
  }

  static Error refused(const Answer& answer, const std::string& what) {
    return Error(ErrorKind::auth, authority(answer.url) + " offers " + what)
        .set_http_status(answer.response.status);
  }

  Endpoint& endpoint_;
  const TokenOrder& order_;
  const std::stop_token& stop_;
  const http::Url registry_;
  const http::Url realm_;
  const std::string service_;
  RateGate gate_;  // the service's pauses are not the registry's
};

}  // namespace

Secret basic_authorization(std::string_view username, const Secret& password) {
  const std::string pair = std::string(username) + ":" + std::string(password.reveal());
  return Secret("Basic " + base64_encode(pair));
}

http::Url check_realm(const http::Url& registry, std::string_view realm) {
  if (realm.find('#') != std::string_view::npos) {
    throw bad_realm(registry, realm, "it has a fragment");
  }
  http::Url url = resolve_realm(registry, realm);
  if (registry.origin().scheme == "https" && url.origin().scheme != "https") {
    throw bad_realm(registry, realm, "credentials would travel over plain http");
  }
  const bool same_host = url.origin().host == registry.origin().host;
  if (!same_host && is_local(url) && !is_local(registry)) {
    throw bad_realm(registry, realm, "a private address, which a public registry cannot mean");
  }
  return url;
}

Token fetch_token(Endpoint& endpoint, const TokenOrder& order, const std::stop_token& stop) {
  Service service(endpoint, order, stop);
  return with_context([&] { return "token service " + service.realm().redacted(); },
                      [&] { return service.token(); });
}

}  // namespace tug::registry
