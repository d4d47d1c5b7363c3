// One registry origin: the scheme that works, how far its TLS is trusted, what it asks for
// (registry-protocol.md 1.2-1.5). It knows of no credentials, and sends none by itself.
#ifndef TUG_REGISTRY_ENDPOINT_H_
#define TUG_REGISTRY_ENDPOINT_H_

#include "registry/challenge.h"
#include "registry/host.h"
#include "registry/pace.h"
#include "registry/retries.h"
#include "registry/single_flight.h"
#include "registry/warnings.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

// Any thread.
class Endpoint {
 public:
  // `verify`: whether TLS is verified, and http therefore out of the question. Throws as
  // load_certificates().
  Endpoint(const Environment& environment, std::string registry,
           const std::optional<std::string>& cert_dir, bool verify,
           std::shared_ptr<Warnings> warnings);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  [[nodiscard]] const Environment& environment() const noexcept { return environment_; }
  // "host[:port]" as the user wrote it.
  [[nodiscard]] const std::string& registry() const noexcept { return registry_; }
  [[nodiscard]] RateGate& gate() noexcept { return gate_; }
  [[nodiscard]] Warnings& warnings() const noexcept { return *warnings_; }

  // `path` at this registry. Before it is open, the scheme is a guess.
  [[nodiscard]] http::Url url(std::string_view path) const;
  [[nodiscard]] bool is_own(const http::Url& url) const;

  [[nodiscard]] bool is_open() const;  // it is known whether the registry wants credentials
  // Before the first request: learns the scheme, and whether the registry wants credentials. One
  // thread asks, with `question` (a GET or HEAD without credentials, whose answer it gets back) or,
  // for nullptr, by a ping; the others wait. `may_log_in`: whether there may be credentials, asked
  // once at most; then a refusal, which may be meant for strangers only, is followed by a ping.
  // nullopt: no need to ask, another thread did, or the question has to be put again, because it
  // went to no registry or needs credentials.
  std::optional<Answer> open(const http::Request* question, const std::function<bool()>& may_log_in,
                             const std::stop_token& stop);
  // Unless challenges are known: pings for an answer that came without (R1.1).
  void ping_for_challenges(const std::stop_token& stop);

  // The challenges of a 401 of this registry replace those known. False when it has none. Only
  // realm and service are kept: they are the registry's, while a scope belongs to the request it
  // answers.
  bool learn(const http::Response& response);
  [[nodiscard]] std::vector<Challenge> challenges() const;
  [[nodiscard]] std::optional<Challenge> challenge() const;  // the chosen one (R3.3)

  // One exchange with this registry or a place that it named: TLS settings, debug line, warnings.
  http::Response send(http::Request request, const std::stop_token& stop);

 private:
  struct State {
    std::optional<std::string> scheme;
    bool opened = false;
    bool pinged = false;
    std::vector<Challenge> challenges;
  };
  std::shared_ptr<const http::TlsConfig> tls_for(const http::Url& url);
  std::shared_ptr<const http::TlsConfig> load_foreign_tls(const http::Url& url) const;
  void ping(const std::stop_token& stop);  // GET /v2/, once per process
  std::optional<Answer> first_question(const http::Request* question,
                                       const std::function<bool()>& may_log_in,
                                       const std::stop_token& stop);
  std::optional<Answer> ask(const http::Request& question, const std::stop_token& stop);
  std::optional<Answer> ask_over_http(const http::Request& question, const Error& https,
                                      const std::stop_token& stop);
  Answer ask_over(std::string_view scheme, const http::Request& question,
                  const std::stop_token& stop);
  void settle_scheme(std::string_view scheme);
  Answer ping_once(const std::stop_token& stop);
  Answer ping_over_http(const Error& https, const std::stop_token& stop);
  Answer ping_over(std::string_view scheme, const std::stop_token& stop);
  void judge_ping(const Answer& answer);
  [[nodiscard]] http::Url url_over(std::string_view scheme, std::string_view path) const;
  [[nodiscard]] bool may_be_own(const http::Url& url) const;
  [[nodiscard]] State state() const;
  void log_exchange(const http::Request& request, std::string_view outcome,
                    std::chrono::steady_clock::time_point begun) const;
  void pass_warnings_on(const http::Response& response, const http::Url& url);

  const Environment environment_;
  const std::string registry_;
  const std::string api_host_;
  const bool verify_;
  const std::shared_ptr<Warnings> warnings_;
  const std::shared_ptr<const http::TlsConfig> tls_;
  RateGate gate_;
  std::optional<Pace> requests_;
  std::optional<Pace> bodies_;
  SingleFlight<int, bool> opening_;
  SingleFlight<int, bool> pinging_;
  mutable std::mutex mutex_;
  State state_;
  std::map<std::string, std::shared_ptr<const http::TlsConfig>> foreign_tls_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_ENDPOINT_H_
