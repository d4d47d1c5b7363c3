#include "registry/host.h"

#include "base/strings.h"
#include "registry/challenge.h"
#include "registry/endpoint.h"
#include "registry/error_body.h"
#include "registry/redirects.h"
#include "registry/retries.h"
#include "registry/token.h"
#include "registry/token_cache.h"
#include "registry/token_service.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace tug::registry {
namespace {

// 3.5: per logical request. The number of sends bounds what no rule below foresees.
constexpr int kMaxFetches = 2;
constexpr int kMaxSends = 6;
constexpr std::size_t kMaxWidened = 256;

bool is_read(http::Method method) noexcept {
  return method == http::Method::get || method == http::Method::head;
}

// Header fields that only this file sets, or nobody (S8).
bool is_reserved_header(std::string_view name) noexcept {
  return equals_ignore_case(name, "Authorization") || equals_ignore_case(name, "Cookie") ||
         equals_ignore_case(name, "Proxy-Authorization");
}

http::Request make_request(const Call& call, const http::Url& url) {
  http::Request request{.method = call.method, .url = url};
  for (const auto& [name, value] : call.headers.fields()) {
    if (!is_reserved_header(name)) request.headers.add(name, value);
  }
  request.body = call.body;
  request.small_body = call.small_body;
  request.max_response_bytes = call.max_response_bytes;
  request.sink = call.sink;
  request.bytes_to_digest = call.bytes_to_digest;
  return request;
}

// What tells two credentials apart in the token cache, without a secret in it.
std::string identity_of(const Credential& credential) {
  return std::to_string(static_cast<int>(credential.kind)) + "\n" + credential.username + "\n" +
         credential.origin;
}

// "docker.io/library/registry:5000" was probably meant to be a host (user-asks 34).
std::string reference_hint(const RegistryReference& reference) {
  if (reference.registry() != "docker.io") return "";
  const std::string& repository = reference.repository();
  const std::string first = repository.substr(0, repository.find('/'));
  const std::string tag = reference.tag().value_or("");
  if (first == "library" && parse_uint(tag).value_or(65536) <= 65535) {
    const std::string name = repository.substr(repository.find('/') + 1) + ":" + tag;
    return name + " was read as " + reference.str() + "; a registry is named HOST:PORT/NAME";
  }
  const bool like_a_host =
      first.find_first_of(".:") != std::string::npos || first.find("registry") != std::string::npos;
  if (!like_a_host) return "";
  return "this was read as " + reference.str() +
         "; the name of a registry needs a dot, a port, or to be localhost";
}

// What the repositories of one registry share, when their access is the same.
struct Shared {
  Shared(const Environment& environment, const RegistryReference& reference,
         const RegistryAccess& access, bool verify, std::shared_ptr<Warnings> warnings)
      : endpoint(environment, reference.registry(), access.cert_dir, verify, std::move(warnings)),
        tokens(endpoint.environment().timing) {}
  Endpoint endpoint;
  TokenCache tokens;
  UploadHabits upload_habits;
};

void refuse_blocked(const RegistryReference& reference, const RegistryEntry* entry) {
  if (entry == nullptr || !entry->blocked) return;
  throw Error(ErrorKind::denied, reference.name() + " is blocked by " + entry->file +
                                     " (registry " + entry->prefix + ")");
}

// --tls-verify, else registries.conf, else true (R1.6).
bool verifies(const RegistryAccess& access, const RegistryEntry* entry) {
  return access.tls_verify.value_or(entry == nullptr || !entry->insecure);
}

// The scope that this very 401 asks for, "" if none. What other threads learn meanwhile is about
// other repositories.
std::string scope_asked_by(const http::Response& response) {
  const auto challenges = parse_challenges(response.headers.get_all("WWW-Authenticate"));
  const Challenge* chosen = choose_challenge(challenges);
  if (chosen == nullptr || chosen->scheme != "bearer") return "";
  return std::string(chosen->param("scope").value_or(""));
}

// How one send was authorised.
struct Authorization {
  Secret header;    // empty: none
  std::string key;  // of its token in the cache; "" when it is none of the cache's
  std::uint64_t serial = 0;
  bool fetched = false;
};

// The state of one logical request through its rounds of 401 (3.5).
struct Rounds {
  std::vector<std::string> scopes;
  int fetches = 0;
  int sends = 0;
};

}  // namespace

struct Host::Impl {
  Impl(const RegistryReference& name, RegistryAccess how, std::shared_ptr<Shared> what)
      : reference(name), access(std::move(how)), shared(std::move(what)) {}

  [[nodiscard]] const Environment& environment() const { return endpoint().environment(); }
  [[nodiscard]] Endpoint& endpoint() const { return shared->endpoint; }

  Answer exchange(const Call& call, const std::stop_token& stop);
  Answer authorised(const Call& call, const http::Url& url, std::optional<Answer> first,
                    const std::stop_token& stop);
  http::Response send(const Call& call, const http::Url& url, const Authorization& authorization,
                      const std::stop_token& stop);
  std::optional<Answer> open(const Call& call, const std::stop_token& stop);

  Authorization authorize(const std::vector<std::string>& scopes, std::chrono::seconds at_least,
                          const std::stop_token& stop);
  Authorization bearer(const Challenge& challenge, const Credential& credential,
                       const std::vector<std::string>& scopes, std::chrono::seconds at_least,
                       const std::stop_token& stop);
  Token fetch(const Challenge& challenge, Credential credential,
              const std::vector<std::string>& scopes, const std::stop_token& stop);
  bool next_round(const http::Response& response, const Authorization& used, Rounds& rounds,
                  const std::stop_token& stop);

  Credential credential(const std::stop_token& stop);
  [[nodiscard]] std::string describe_credential() const;
  [[nodiscard]] Error explain(const Error& said, const std::vector<std::string>& scopes) const;
  [[nodiscard]] std::string unusable_challenges() const;

  std::vector<std::string> widened(const std::vector<std::string>& scopes) const;
  void widen(const std::vector<std::string>& scopes, std::vector<std::string> wider);

  const RegistryReference reference;
  const RegistryAccess access;
  const std::shared_ptr<Shared> shared;
  SingleFlight<int, bool> looking_up;
  mutable std::mutex mutex;
  std::optional<CredentialLookup> lookup;
  std::map<std::string, std::vector<std::string>> wider_scopes;  // by the scopes first asked for
};

// ---- an exchange, with redirects
// -----------------------------------------------------------------

Answer Host::Impl::exchange(const Call& call, const std::stop_token& stop) {
  std::optional<Answer> first = open(call, stop);
  http::Url url = first ? first->url : call.url ? *call.url : endpoint().url(call.path);
  for (int hops = 0;; ++hops) {
    // S1, S5: what is not the registry's own origin gets no credentials, and its 401 no answer.
    Answer answer = first || endpoint().is_own(url)
                        ? authorised(call, url, std::exchange(first, std::nullopt), stop)
                        : Answer{send(call, url, {}, stop), url};
    const bool follows = call.follow_redirects && is_read(call.method);
    if (!is_redirect(answer.response.status) || !follows) return answer;
    if (hops == kMaxRedirects) {
      throw Error(ErrorKind::protocol, "too many redirects, the last from " + url.redacted());
    }
    url = redirect_target(answer, is_local(endpoint().url("/v2/")));
  }
}

http::Response Host::Impl::send(const Call& call, const http::Url& url,
                                const Authorization& authorization, const std::stop_token& stop) {
  http::Request request = make_request(call, url);
  request.authorization = authorization.header;
  return endpoint().send(std::move(request), stop);
}

// The answer to the call itself, when it was the one to carry the first question.
std::optional<Answer> Host::Impl::open(const Call& call, const std::stop_token& stop) {
  if (endpoint().is_open()) return std::nullopt;
  const auto may_log_in = [&] {
    return may_have_credential(access, reference.registry(), reference.repository(),
                               environment().registries_conf.credential_helpers());
  };
  const bool carries_question = is_read(call.method) && !call.url && call.sink == nullptr &&
                                !call.body && call.small_body.empty();
  if (!carries_question) return endpoint().open(nullptr, may_log_in, stop);
  const http::Request question = make_request(call, endpoint().url(call.path));
  return endpoint().open(&question, may_log_in, stop);
}

// `first`: the answer to the call without credentials, if that was the first question.
Answer Host::Impl::authorised(const Call& call, const http::Url& url, std::optional<Answer> first,
                              const std::stop_token& stop) {
  Rounds rounds{widened(call.scopes)};
  for (;;) {
    Authorization used;
    if (!first) used = authorize(rounds.scopes, std::chrono::seconds(0), stop);
    Answer answer = first ? std::move(*first) : Answer{send(call, url, used, stop), url};
    first.reset();
    if (answer.response.status != 401 || call.best_effort) return answer;
    ++rounds.sends;
    rounds.fetches += used.fetched ? 1 : 0;
    const bool again = next_round(answer.response, used, rounds, stop);
    widen(call.scopes, rounds.scopes);
    if (!again) throw explain(error_from_response(answer.response, url), rounds.scopes);
    if (call.body) return answer;  // only the caller can make the body again
  }
}

// ---- 401 (3.5)
// -----------------------------------------------------------------------------------

// Learns what a 401 tells. True when the same request may fare better with what is known now.
bool Host::Impl::next_round(const http::Response& response, const Authorization& used,
                            Rounds& rounds, const std::stop_token& stop) {
  if (!endpoint().learn(response)) endpoint().ping_for_challenges(stop);
  const auto challenge = endpoint().challenge();
  if (!challenge || rounds.sends >= kMaxSends) return false;

  const std::vector<std::string> before = rounds.scopes;
  rounds.scopes = merge_scopes(rounds.scopes, scope_asked_by(response));
  if (used.header.empty()) {
    return challenge->scheme == "bearer" || credential(stop).kind == Credential::Kind::password ||
           credential(stop).kind == Credential::Kind::bearer;
  }
  if (used.key.empty()) return false;  // Basic, or a token given by the user: there is no other
  shared->tokens.drop(used.key, used.serial);
  return rounds.fetches < kMaxFetches && (!used.fetched || rounds.scopes != before);
}

std::vector<std::string> Host::Impl::widened(const std::vector<std::string>& scopes) const {
  const std::lock_guard lock(mutex);
  const auto it = wider_scopes.find(join(scopes, " "));
  return it == wider_scopes.end() ? scopes : it->second;
}

void Host::Impl::widen(const std::vector<std::string>& scopes, std::vector<std::string> wider) {
  if (wider == scopes) return;
  const std::lock_guard lock(mutex);
  if (wider_scopes.size() >= kMaxWidened) wider_scopes.clear();
  wider_scopes[join(scopes, " ")] = std::move(wider);
}

// ---- authorisation
// -------------------------------------------------------------------------------

// Nothing before the registry asked, not even Basic (1.2, 3.7).
Authorization Host::Impl::authorize(const std::vector<std::string>& scopes,
                                    std::chrono::seconds at_least, const std::stop_token& stop) {
  const auto challenge = endpoint().challenge();
  if (!challenge) return {};
  const Credential mine = credential(stop);
  Authorization authorization;
  if (mine.kind == Credential::Kind::bearer) {
    authorization.header = Secret("Bearer " + std::string(mine.secret.reveal()));
  } else if (challenge->scheme == "bearer") {
    authorization = bearer(*challenge, mine, scopes, at_least, stop);
  } else if (mine.kind == Credential::Kind::password) {
    authorization.header = basic_authorization(mine.username, mine.secret);
  }
  return authorization;
}

Authorization Host::Impl::bearer(const Challenge& challenge, const Credential& mine,
                                 const std::vector<std::string>& scopes,
                                 std::chrono::seconds at_least, const std::stop_token& stop) {
  std::vector<std::string> sorted = scopes;
  std::sort(sorted.begin(), sorted.end());
  Authorization authorization;
  authorization.key =
      identity_of(mine) + "\n" + std::string(challenge.param("realm").value_or("")) + "\n" +
      std::string(challenge.param("service").value_or("")) + "\n" + join(sorted, " ");
  const auto token = shared->tokens.get(
      authorization.key, at_least, [&] { return fetch(challenge, mine, scopes, stop); }, stop);
  authorization.header = Secret("Bearer " + std::string(token.value.reveal()));
  authorization.serial = token.serial;
  authorization.fetched = token.fetched;
  return authorization;
}

Token Host::Impl::fetch(const Challenge& challenge, Credential mine,
                        const std::vector<std::string>& scopes, const std::stop_token& stop) {
  const std::string identity = identity_of(mine);
  const bool refreshes = mine.kind == Credential::Kind::identity_token;
  if (auto rotated = shared->tokens.rotated(identity); refreshes && rotated) {
    mine.secret = std::move(*rotated);
  }
  Token token = fetch_token(endpoint(), {challenge, scopes, std::move(mine)}, stop);
  if (refreshes && token.refresh_token) shared->tokens.rotate(identity, *token.refresh_token);
  return token;
}

Credential Host::Impl::credential(const std::stop_token& stop) {
  const auto known = [&]() -> std::optional<Credential> {
    const std::lock_guard lock(mutex);
    return lookup ? std::optional(lookup->credential) : std::nullopt;
  };
  if (auto found = known()) return std::move(*found);
  looking_up.run(0, stop, [&] {
    if (known()) return true;
    CredentialLookup found = find_credential(access, reference.registry(), reference.repository(),
                                             environment().registries_conf.credential_helpers(),
                                             environment().log, stop);
    if (found.credential.kind == Credential::Kind::bearer &&
        !is_usable_token(found.credential.secret.reveal())) {
      throw Error(ErrorKind::usage, "the bearer token from " + found.credential.origin +
                                        " has characters that no token has");
    }
    const std::lock_guard lock(mutex);
    lookup = std::move(found);
    return true;
  });
  return known().value();
}

// ---- saying what went wrong
// ----------------------------------------------------------------------

std::string Host::Impl::describe_credential() const {
  const std::lock_guard lock(mutex);
  if (!lookup) return "no credentials were asked for";
  if (lookup->credential.kind != Credential::Kind::anonymous) return describe(lookup->credential);
  return "no credentials found for " + reference.registry() + " (looked in " +
         join(lookup->looked_in, ", ") + ")";
}

std::string Host::Impl::unusable_challenges() const {
  if (endpoint().challenge()) return "";
  std::vector<std::string> schemes;
  for (const Challenge& challenge : endpoint().challenges()) {
    schemes.push_back(printable(challenge.scheme, 40));
  }
  if (schemes.empty()) return "; it does not say how to log in";
  return "; it offers no way to log in that tug knows: " + join(schemes, ", ");
}

// `said` with what only this class knows: whose credentials, for what, and what may be meant.
Error Host::Impl::explain(const Error& said, const std::vector<std::string>& scopes) const {
  std::string message = said.message();
  const bool refused = said.http_status() == 401 || said.http_status() == 403;
  if (said.http_status() == 401) message += unusable_challenges();
  if (refused) {
    message += "; " + describe_credential();
    if (!scopes.empty()) message += "; asked for " + join(scopes, " ");
  }
  Error error(said.kind(), message);
  error.set_registry_codes(said.registry_codes()).set_retryable(said.retryable());
  if (said.http_status()) error.set_http_status(*said.http_status());
  error.set_hint(said.hint());
  if (const std::string hint = reference_hint(reference); !hint.empty()) error.set_hint(hint);
  if (refused) {
    const std::lock_guard lock(mutex);
    const bool anonymous = lookup && lookup->credential.kind == Credential::Kind::anonymous;
    error.set_hint(anonymous ? "log in first, or give --creds"
                             : "the login may have expired, or the repository may not exist or "
                               "be closed to this user");
  }
  return error;
}

// ---- Host
// ----------------------------------------------------------------------------------------

Host::Host(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Host::Host(const Environment& environment, const RegistryReference& reference,
           RegistryAccess access) {
  const RegistryEntry* entry = environment.registries_conf.match(reference);
  refuse_blocked(reference, entry);
  auto shared = std::make_shared<Shared>(environment, reference, access, verifies(access, entry),
                                         std::make_shared<Warnings>(environment.note));
  impl_ = std::make_unique<Impl>(reference, std::move(access), std::move(shared));
}

Host::~Host() = default;

const std::string& Host::name() const noexcept { return impl_->reference.registry(); }
const Environment& Host::environment() const noexcept { return impl_->environment(); }

UploadHabits& Host::upload_habits() noexcept { return impl_->shared->upload_habits; }

Answer Host::call(const Call& call, const std::stop_token& stop) {
  const auto exchange = [&] { return impl_->exchange(call, stop); };
  RateGate& gate = impl_->endpoint().gate();
  // A last word (the cancelling of a session) is no reason to wait: it would be for nothing that
  // the caller still hopes for.
  if (call.best_effort) return exchange();
  const bool retries = call.retry && !call.body && call.method != http::Method::patch;
  const Patience patience = impl_->endpoint().is_open() ? Patience::for_restart : Patience::none;
  return retries ? with_retries(environment(), gate, exchange, stop, patience)
                 : pass(environment(), gate, exchange, stop);
}

void Host::refresh_token(const std::vector<std::string>& scopes, std::chrono::seconds at_least,
                         const std::stop_token& stop) {
  (void)impl_->authorize(impl_->widened(scopes), at_least, stop);
}

http::Url Host::resolve_location(const http::Url& base, std::string_view location) const {
  const http::Url target = base.resolve(location);
  const bool downgrade = base.origin().scheme == "https" && target.origin().scheme == "http";
  if (downgrade && target.origin().host != base.origin().host) {
    throw Error(ErrorKind::protocol,
                authority(base) + " sent an upload from https to plain http, " + target.redacted());
  }
  if (is_local(target) && !is_local(base) && !is_local(impl_->endpoint().url("/v2/"))) {
    throw Error(ErrorKind::protocol,
                authority(base) + " sent an upload to a private address, " + target.redacted());
  }
  if (!downgrade) return target;
  impl_->endpoint().warnings().note(
      name() +
      " gave an http URL over https, https is used (does its proxy set X-Forwarded-Proto?)");
  // Behind a proxy that ends TLS, a registry knows neither the scheme nor the port that we used.
  const bool port_told = target.origin().port != 80;
  if (port_told) return target.with_scheme("https");
  return http::Url::parse(base.origin().str() + target.target());
}

std::string Host::describe_credential() const { return impl_->describe_credential(); }

Error Host::failure(const Answer& answer, const std::vector<std::string>& scopes) const {
  const Error said = error_from_response(answer.response, answer.url);
  const int status = answer.response.status;
  const bool ours = impl_->endpoint().is_own(answer.url);
  const bool explained = ours && (status == 401 || status == 403 || status == 404);
  return explained ? impl_->explain(said, scopes) : said;
}

// ---- Hosts
// ---------------------------------------------------------------------------------------

struct Hosts::Impl {
  struct SharedBy {
    std::string registry;
    RegistryAccess access;
    bool verify;
    std::shared_ptr<Shared> shared;
  };
  std::shared_ptr<Shared> share(const RegistryReference& reference, const RegistryAccess& access,
                                bool verify);

  explicit Impl(Environment what)
      : environment(std::move(what)), warnings(std::make_shared<Warnings>(environment.note)) {}

  const Environment environment;
  const std::shared_ptr<Warnings> warnings;
  std::mutex mutex;
  std::vector<SharedBy> registries;
  std::vector<std::unique_ptr<Host>> hosts;
};

std::shared_ptr<Shared> Hosts::Impl::share(const RegistryReference& reference,
                                           const RegistryAccess& access, bool verify) {
  for (const SharedBy& known : registries) {
    if (known.registry == reference.registry() && known.verify == verify &&
        known.access == access) {
      return known.shared;
    }
  }
  auto shared = std::make_shared<Shared>(environment, reference, access, verify, warnings);
  registries.push_back({reference.registry(), access, verify, shared});
  return shared;
}

Hosts::Hosts(Environment environment) : impl_(std::make_unique<Impl>(std::move(environment))) {}
Hosts::~Hosts() = default;

Host& Hosts::get(const RegistryReference& reference, const RegistryAccess& access) {
  const RegistryEntry* entry = impl_->environment.registries_conf.match(reference);
  refuse_blocked(reference, entry);
  const std::lock_guard lock(impl_->mutex);
  for (const auto& host : impl_->hosts) {
    const Host::Impl& known = *host->impl_;
    if (known.reference.name() == reference.name() && known.access == access) return *host;
  }
  auto shared = impl_->share(reference, access, verifies(access, entry));
  impl_->hosts.push_back(std::unique_ptr<Host>(
      new Host(std::make_unique<Host::Impl>(reference, access, std::move(shared)))));
  return *impl_->hosts.back();
}

std::vector<Hosts::ReadPlace> Hosts::places_to_read(const RegistryReference& reference,
                                                    const RegistryAccess& access) {
  const RegistriesConf& conf = impl_->environment.registries_conf;
  refuse_blocked(reference, conf.match(reference));
  std::vector<ReadPlace> places;
  for (const PullPlace& place : conf.pull_places(reference, !access.no_mirrors)) {
    RegistryAccess there = access;
    there.no_mirrors = false;  // says nothing of how to reach a host
    if (place.reference.registry() != reference.registry()) {
      there.credentials.reset();
      there.bearer_token.reset();
    }
    // Of the registry itself, where it is, get() knows that.
    if (place.insecure && place.reference != reference && !there.tls_verify)
      there.tls_verify = false;
    places.push_back({place.reference, get(place.reference, there)});
  }
  return places;
}

}  // namespace tug::registry
