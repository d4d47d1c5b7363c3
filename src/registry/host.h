// One registry as this process knows it: the scheme that works, the challenges, the credentials,
// the tokens.
//
// Host is the shared state of all repositories at one "host[:port]" reached with one
// RegistryAccess. It turns a request for a path into an authorised exchange: pings once, attaches
// Authorization only to the registry's own origin (rules S1-S8), fetches and refreshes tokens with
// one request in flight per scope set, answers 401 as section 3.5 says, and follows redirects of
// reads (5.10). Retrying (429, 5xx, resets) is done here for requests without a streamed body, and
// by upload.cc for bodies. Any thread may call it.
//
// How it is built: Endpoint (scheme, TLS, ping, challenges, the pause that a 429 asks for),
// TokenCache, token_service (the exchange of credentials for a token), and here what needs them
// all: authorisation, the answer to a 401, redirects.
#ifndef TUG_REGISTRY_HOST_H_
#define TUG_REGISTRY_HOST_H_

#include "base/log.h"
#include "http/client.h"
#include "http/retry.h"
#include "registry/credentials.h"
#include "registry/registries_conf.h"
#include "registry/resume_state.h"
#include "registry/sleep_budget.h"
#include "registry/upload_habits.h"

#include <tug/error.h>
#include <tug/reference.h>
#include <tug/registry.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

// Time and chance, replaced by tests; an empty member is the real thing.
struct Timing {
  std::function<std::chrono::steady_clock::time_point()> now;
  std::function<void(std::chrono::milliseconds, const std::stop_token&)>
      sleep;                       // throws Error(interrupted)
  std::function<double()> jitter;  // in [0, 1)
};

// What all hosts of a process share. Built in main; references must outlive every Host.
struct Environment {
  http::Client& http;
  const RegistriesConf& registries_conf;
  RetryPolicy retry;
  const Log& log;
  // Warnings of registries (Warning: 299), an upgraded http Location, …; called from any thread.
  // May be empty.
  std::function<void(std::string_view)> note;
  Timing timing = {};
  // Copies share it: it is one for all hosts and repositories of a push.
  std::shared_ptr<SleepBudget> sleep_budget = std::make_shared<SleepBudget>();
  // --chunk-size: larger blobs are sent in chunks of this size.
  std::optional<std::uint64_t> chunk_size = {};
  // --limit-rate: bytes of bodies that are sent, --req-per-sec: requests; of each registry.
  std::optional<std::uint64_t> bytes_per_second = {};
  std::optional<std::uint64_t> requests_per_second = {};
  // Where broken-off uploads are kept; may be empty.
  std::shared_ptr<ResumeState> resume = {};
};

// One request to a registry.
struct Call {
  http::Method method = http::Method::get;
  // A path below the registry ("/v2/…", query included), or an absolute URL (an upload session's)
  // in `url`.
  std::string path;
  std::optional<http::Url> url;
  http::Headers headers;
  std::string small_body;
  // Streamed: then neither retried nor repeated here, because only the caller can make it again. A
  // 401 is returned, after the refused token was dropped and the challenge learnt, so that the
  // caller's next try carries a new one; a 401 for a token that was fetched for this very call is
  // Error(auth) as usual, so that callers need no cap of their own.
  std::optional<http::RequestBody> body;
  std::vector<std::string> scopes;  // the token's scopes; the one needed most first
  std::size_t max_response_bytes = 64 * 1024;
  // Then a network failure or 5xx before the body is retried here, and a body that breaks off is
  // the caller's to go on with: see Response::truncated.
  http::BodySink* sink = nullptr;
  std::uint64_t bytes_to_digest = 0;  // see http::Request
  // 429, 5xx and network failures, by the policy. Never for PATCH, which appends (5.8). Then the
  // errors thrown are not retryable any more: there is one level of retrying.
  bool retry = true;
  // Its 401 is the answer, and nothing is learnt from it: neither a challenge nor a scope, and the
  // token stays. For what may be refused without harm, and would ask for rights that nothing else
  // needs (3.2: cancelling an upload wants `delete`).
  bool best_effort = false;
  // Of GET and HEAD. False: a redirect is the answer.
  bool follow_redirects = true;
};

// A response and the URL that gave it (after redirects).
struct Answer {
  http::Response response;
  http::Url url;
};

class Host {
 public:
  // Throws Error(denied) when registries.conf blocks `reference`, naming the file, before any
  // traffic (R2.2).
  Host(const Environment& environment, const RegistryReference& reference, RegistryAccess access);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  // "host[:port]", as written.
  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] const Environment& environment() const noexcept;
  // Of all repositories there.
  [[nodiscard]] UploadHabits& upload_habits() noexcept;

  // The exchange. The first one also learns what the registry asks for (1.2), and which scheme it
  // speaks when TLS is not verified: a GET or HEAD carries the question itself, without
  // credentials; for others GET /v2/ does. A first answer that may be for strangers only (403, 404)
  // is checked by GET /v2/, and the call repeated with credentials if that asks for them. Whatever
  // the status is, it is in the answer, but for: 401 after the refreshes of 3.5 → Error(auth) which
  // says which credential was used and what was asked; token service failures →
  // Error(auth/network/…); after retries Error(network), Error(rate_limited), Error(server).
  // Redirects of GET and HEAD are followed (5 hops, S4-S6); one of a write is the answer, for
  // write.h to judge.
  Answer call(const Call& call, const std::stop_token& stop);

  // Before a streamed body: makes sure that a token for `scopes` outlives `at_least` (rule R3.9).
  void refresh_token(const std::vector<std::string>& scopes, std::chrono::seconds at_least,
                     const std::stop_token& stop);

  // Resolves a Location against the URL that gave it: http on the same host is upgraded to https
  // with a note, private IP literals and downgrades are refused (5.4, S6).
  http::Url resolve_location(const http::Url& base, std::string_view location) const;

  // "no credentials found for HOST (looked in …)" or "user NAME from FILE": for messages.
  [[nodiscard]] std::string describe_credential() const;

  // The Error for an answer that is a failure: error_from_response(), and for 401, 403 and 404
  // which credential was used, which scopes were asked for, and a hint where the reference was
  // probably meant otherwise (user-asks 34).
  [[nodiscard]] Error failure(const Answer& answer, const std::vector<std::string>& scopes) const;

 private:
  friend class Hosts;
  struct Impl;
  explicit Host(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The hosts of a process, so that pings, challenges and tokens are shared by all repositories of a
// registry. Any thread.
class Hosts {
 public:
  explicit Hosts(Environment environment);
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;
  ~Hosts();
  // Lives as long as this object. Repositories with credentials of their own get a Host of their
  // own; ping and challenges are shared. Throws as Host's constructor.
  Host& get(const RegistryReference& reference, const RegistryAccess& access);
  // Where to read `reference` from, best first; what each says is the next one's chance. `access`'s
  // credentials are for the registry that the user named, and go to no other. Throws
  // Error(usage/denied) for what registries.conf blocks or sends nowhere.
  struct ReadPlace {
    RegistryReference reference;
    Host& host;
  };
  std::vector<ReadPlace> places_to_read(const RegistryReference& reference,
                                        const RegistryAccess& access);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_HOST_H_
