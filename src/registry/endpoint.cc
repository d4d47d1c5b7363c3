#include "registry/endpoint.h"

#include "base/strings.h"
#include "registry/certs.h"
#include "registry/error_body.h"
#include "registry/redirects.h"

#include <tug/error.h>

#include <chrono>
#include <utility>

namespace tug::registry {
namespace {

constexpr std::string_view kPingPath = "/v2/";

// Every configuration key of the Hub is docker.io, but its API is elsewhere (1.1).
std::string api_host_of(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

std::shared_ptr<const http::TlsConfig> own_tls(const std::string& registry,
                                               const std::optional<std::string>& cert_dir,
                                               bool verify, const Environment& environment) {
  auto tls = std::make_shared<http::TlsConfig>(
      load_certificates(registry, cert_dir, environment.log, environment.note));
  tls->verify = verify;
  return tls;
}

std::string tls_hint(const http::Url& url, const http::TlsConfig& tls) {
  const std::string host = authority(url);
  const std::string cas = tls.ca_files.empty() ? "the system's CAs"
                                               : "the system's CAs and " + join(tls.ca_files, ", ");
  return "trusted are " + cas + "; put another CA into /etc/containers/certs.d/" + host +
         "/ca.crt, or see --cert-dir and --tls-verify";
}

bool is_transport_failure(const Error& error) noexcept {
  return error.kind() == ErrorKind::network || error.kind() == ErrorKind::tls;
}

// A registry spoke plain http, and does not send us to https. It may be overloaded: then it is
// asked again.
bool speaks_http(const Answer& answer) {
  const int status = answer.response.status;
  return answer.url.origin().scheme == "http" &&
         (status == 200 || status == 401 || http::is_retryable_status(status));
}

// To a question that carried its own content: nothing but a registry answers like this.
bool is_of_registry(const Answer& answer) {
  const http::Headers& headers = answer.response.headers;
  return answer.response.status == 401 || headers.get("Docker-Distribution-Api-Version") ||
         headers.get("Docker-Content-Digest");
}

Error neither(const Error& https, const std::string& http_outcome) {
  return Error(https).add_context("neither by http (" + http_outcome + ") nor by https");
}

// What `send` gets by http, after https failed.
template <typename Send>
Answer by_http_after(const Error& https, Send send) {
  try {
    return send();
  } catch (const Error& http) {
    if (http.kind() == ErrorKind::interrupted) throw;
    Error error = neither(https, http.message());
    // A port without TLS has only http to answer by, and may yet.
    if (http.kind() == ErrorKind::network && http.retryable())
      error.set_kind(ErrorKind::network).set_retryable(true);
    throw error;
  }
}

// Says nothing of credentials: a server in trouble, not a decision about who asks.
bool is_no_answer(int status) noexcept {
  return http::is_retryable_status(status) || status >= 500;
}

// "There is no such thing", or "not for you"? Registries hide what is private behind 403 or 404.
bool may_be_for_strangers(int status) noexcept {
  return status >= 400 && status <= 499 && status != 401;
}

}  // namespace

Endpoint::Endpoint(const Environment& environment, std::string registry,
                   const std::optional<std::string>& cert_dir, bool verify,
                   std::shared_ptr<Warnings> warnings)
    : environment_(environment),
      registry_(std::move(registry)),
      api_host_(api_host_of(registry_)),
      verify_(verify),
      warnings_(std::move(warnings)),
      tls_(own_tls(registry_, cert_dir, verify, environment)),
      gate_(environment_.timing) {
  if (const auto limit = environment_.requests_per_second)
    requests_.emplace(*limit, environment_.timing);
  if (const auto limit = environment_.bytes_per_second)
    bodies_.emplace(*limit, environment_.timing);
  if (verify_) state_.scheme = "https";  // R1.4: never anything else
}

// ---- the scheme and the first question
// -----------------------------------------------------------

bool Endpoint::is_open() const {
  const std::lock_guard lock(mutex_);
  return state_.opened;
}

// Without credentials a refusal is final, there is nothing to ask again with: at an open registry a
// 404 is a tag that is not there yet. With some, or with helpers that would have to be asked, the
// ping comes first: it costs less than a helper program.
std::optional<Answer> Endpoint::open(const http::Request* question,
                                     const std::function<bool()>& may_log_in,
                                     const std::stop_token& stop) {
  std::optional<Answer> answer;
  bool asked = false;
  // Whoever waited for a question that got no answer puts its own: the scheme may still be unknown.
  while (!asked && !is_open()) {
    opening_.run(0, stop, [&] {
      asked = true;
      if (!is_open()) answer = first_question(question, may_log_in, stop);
      return true;
    });
  }
  return answer;
}

std::optional<Answer> Endpoint::first_question(const http::Request* question,
                                               const std::function<bool()>& may_log_in,
                                               const std::stop_token& stop) {
  if (question == nullptr) {
    ping(stop);
    return std::nullopt;
  }
  std::optional<Answer> answer = ask(*question, stop);
  if (!answer) return answer;
  const int status = answer->response.status;
  if (status == 401) learn(answer->response);
  if (is_no_answer(status)) return answer;  // the next request may ask again
  if (may_be_for_strangers(status) && may_log_in()) {
    ping_for_challenges(stop);
    if (challenge()) answer.reset();
  }
  const std::lock_guard lock(mutex_);
  state_.opened = true;
  return answer;
}

// With the scheme settled, unless the server is in trouble. nullopt: the answer was not the
// registry's.
std::optional<Answer> Endpoint::ask(const http::Request& question, const std::stop_token& stop) {
  const auto known = state().scheme;
  try {
    Answer answer = ask_over(known.value_or("https"), question, stop);
    if (!known) settle_scheme("https");
    return answer;
  } catch (const Error& https) {
    if (known || !is_transport_failure(https)) throw;
    return ask_over_http(question, https, stop);
  }
}

// As ping_over_http(); what anybody may have said is no proof of a registry, a ping is.
std::optional<Answer> Endpoint::ask_over_http(const http::Request& question, const Error& https,
                                              const std::stop_token& stop) {
  std::optional<Answer> answer =
      by_http_after(https, [&] { return ask_over("http", question, stop); });
  if (is_no_answer(answer->response.status)) return answer;
  if (is_of_registry(*answer)) {
    settle_scheme("http");
    return answer;
  }
  judge_ping(ping_over_http(https, stop));
  if (state().scheme != "http") answer.reset();
  return answer;
}

Answer Endpoint::ask_over(std::string_view scheme, const http::Request& question,
                          const std::stop_token& stop) {
  http::Request request = question;
  request.url = url_over(scheme, question.url.target());
  return {send(request, stop), request.url};
}

void Endpoint::settle_scheme(std::string_view scheme) {
  const std::lock_guard lock(mutex_);
  state_.scheme = scheme;
}

// GCR's repositories say 401 without more; its ping has the challenge.
void Endpoint::ping_for_challenges(const std::stop_token& stop) {
  if (!challenges().empty()) return;
  try {
    ping(stop);
  } catch (const Error& error) {
    // No registry at /v2/: then the answer so far is what there is to tell.
    if (error.kind() != ErrorKind::protocol && error.kind() != ErrorKind::denied) throw;
  }
}

void Endpoint::ping(const std::stop_token& stop) {
  pinging_.run(0, stop, [&] {
    if (state().pinged) return true;
    const Answer answer = with_retries(
        environment_, gate_, [&] { return ping_once(stop); }, stop);
    judge_ping(answer);
    return true;
  });
}

// This and ask() alone may turn to http, and carry no credentials (1.3, R1.5).
Answer Endpoint::ping_once(const std::stop_token& stop) {
  const auto known = state().scheme;
  try {
    return ping_over(known.value_or("https"), stop);
  } catch (const Error& https) {
    if (known || !is_transport_failure(https)) throw;
    return ping_over_http(https, stop);
  }
}

// https may have failed for a moment only, and a TLS port, too, has an answer to plain http (nginx:
// 400). So http counts when a registry answers; else it is `https` that has to be told, and tried
// again if it was the network.
Answer Endpoint::ping_over_http(const Error& https, const std::stop_token& stop) {
  Answer answer = by_http_after(https, [&] { return ping_over("http", stop); });
  if (speaks_http(answer)) return answer;
  throw neither(https, answer.url.redacted() + " answered " + status_text(answer.response.status));
}

Answer Endpoint::ping_over(std::string_view scheme, const std::stop_token& stop) {
  const http::Url first = url_over(scheme, kPingPath);
  http::Request request{.method = http::Method::get, .url = first};
  for (int hops = 0;; ++hops) {
    Answer answer{send(request, stop), request.url};
    if (!is_redirect(answer.response.status) || hops == kMaxRedirects) return answer;
    request.url = redirect_target(answer, is_local(first));
  }
}

void Endpoint::judge_ping(const Answer& answer) {
  const int status = answer.response.status;
  const std::string content_type(answer.response.headers.get("Content-Type").value_or(""));
  const bool page = status == 200 && is_html(answer.response.body, content_type);
  if ((status != 200 && status != 401) || page) {
    const Error said = error_from_response(answer.response, answer.url);
    const bool refused = said.kind() == ErrorKind::denied || said.kind() == ErrorKind::server;
    throw Error(refused ? said.kind() : ErrorKind::protocol, said.message())
        .set_http_status(status)
        .set_hint("this should be the answer of a registry to GET " + answer.url.redacted());
  }
  const std::string scheme = answer.url.origin().scheme;
  const bool own = answer.url.origin() == url_over(scheme, kPingPath).origin();
  // Another origin may not say where this registry's credentials go (S5).
  if (status == 401 && own) learn(answer.response);
  const std::lock_guard lock(mutex_);
  state_.scheme = scheme;
  state_.pinged = true;
  state_.opened = true;
}

bool Endpoint::learn(const http::Response& response) {
  auto challenges = parse_challenges(response.headers.get_all("WWW-Authenticate"));
  if (challenges.empty()) return false;
  for (Challenge& challenge : challenges) {
    std::erase_if(challenge.params, [](const auto& param) {
      return param.first != "realm" && param.first != "service";
    });
  }
  const std::lock_guard lock(mutex_);
  state_.challenges = std::move(challenges);
  return true;
}

std::vector<Challenge> Endpoint::challenges() const { return state().challenges; }

std::optional<Challenge> Endpoint::challenge() const {
  const State known = state();
  const Challenge* chosen = choose_challenge(known.challenges);
  return chosen ? std::optional(*chosen) : std::nullopt;
}

Endpoint::State Endpoint::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

// ---- URLs
// ----------------------------------------------------------------------------------------

http::Url Endpoint::url_over(std::string_view scheme, std::string_view path) const {
  return http::Url::parse(std::string(scheme) + "://" + api_host_ + std::string(path));
}

http::Url Endpoint::url(std::string_view path) const {
  return url_over(state().scheme.value_or("https"), path);
}

bool Endpoint::is_own(const http::Url& url) const {
  return url.origin() == this->url(kPingPath).origin();
}

// While the scheme is being found out, either is.
bool Endpoint::may_be_own(const http::Url& url) const {
  const auto known = state().scheme;
  return url.origin() == url_over(known.value_or(url.origin().scheme), kPingPath).origin();
}

// ---- sending
// -------------------------------------------------------------------------------------

http::Response Endpoint::send(http::Request request, const std::stop_token& stop) {
  request.tls = tls_for(request.url);
  // http is tried next, should https fail.
  request.spare_connection = !state().scheme && request.url.origin().scheme == "https";
  if (requests_) requests_->wait_for(1, stop);
  std::optional<PacedSource> paced;
  if (bodies_ && request.body)
    request.body->source = &paced.emplace(*request.body->source, *bodies_, stop);
  const auto begun = std::chrono::steady_clock::now();
  try {
    http::Response response = environment_.http.send(request, stop);
    log_exchange(request, std::to_string(response.status), begun);
    pass_warnings_on(response, request.url);
    return response;
  } catch (Error& error) {
    log_exchange(request, error.message(), begun);
    if (error.kind() == ErrorKind::tls) error.set_hint(tls_hint(request.url, *request.tls));
    throw;
  }
}

void Endpoint::log_exchange(const http::Request& request, std::string_view outcome,
                            std::chrono::steady_clock::time_point begun) const {
  if (!environment_.log.enabled()) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  environment_.log.debug(std::string(http::to_string(request.method)) + " " +
                         request.url.redacted() + " → " + std::string(outcome) + " (" +
                         std::to_string(elapsed.count()) + " ms)");
}

void Endpoint::pass_warnings_on(const http::Response& response, const http::Url& url) {
  if (!may_be_own(url)) return;
  for (const std::string_view value : response.headers.get_all("Warning")) {
    if (const auto text = parse_warning(value)) warnings_->note(registry_ + " warns: " + *text);
  }
}

// certs.d and --tls-verify are for the registry's host alone (1.4, 1.5); its client certificate for
// its origin alone (S5). Another host has its own certs.d directory and its own registries.conf
// entry.
std::shared_ptr<const http::TlsConfig> Endpoint::tls_for(const http::Url& url) {
  if (may_be_own(url)) return tls_;
  const std::string key = url.origin().str();
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = foreign_tls_.find(key); it != foreign_tls_.end()) return it->second;
  }
  auto tls = load_foreign_tls(url);
  const std::lock_guard lock(mutex_);
  return foreign_tls_.emplace(key, std::move(tls)).first->second;
}

std::shared_ptr<const http::TlsConfig> Endpoint::load_foreign_tls(const http::Url& url) const {
  const std::string host = authority(url);
  auto tls =
      std::make_shared<http::TlsConfig>(load_certificates(host, std::nullopt, environment_.log));
  const RegistryEntry* entry = environment_.registries_conf.match_host(host);
  tls->verify = entry == nullptr || !entry->insecure;
  if (url.origin().host == url_over("https", kPingPath).origin().host) {  // another port of it
    tls->verify = tls->verify && tls_->verify;
    tls->ca_files.insert(tls->ca_files.end(), tls_->ca_files.begin(), tls_->ca_files.end());
  }
  return tls;
}

}  // namespace tug::registry
