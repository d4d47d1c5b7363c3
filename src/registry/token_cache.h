// The tokens of one registry origin (registry-protocol.md 3.5).
#ifndef TUG_REGISTRY_TOKEN_CACHE_H_
#define TUG_REGISTRY_TOKEN_CACHE_H_

#include "registry/retries.h"
#include "registry/single_flight.h"
#include "registry/token.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

namespace tug::registry {

// Any thread.
class TokenCache {
 public:
  explicit TokenCache(const Timing& timing) : timing_(timing) {}

  struct Result {
    Secret value;
    std::uint64_t serial = 0;  // for drop()
    bool fetched = false;      // it is new: fetched for this call, or while it waited
  };
  // The token for `key`, from `fetch` unless one is here that is not about to expire (R3.7) and
  // lasts `at_least` longer. One fetch at a time per key.
  Result get(const std::string& key, std::chrono::seconds at_least,
             const std::function<Token()>& fetch, const std::stop_token& stop);
  // The registry refused the token `serial`. One that came after it stays.
  void drop(const std::string& key, std::uint64_t serial);

  // The refresh token that the service gave in exchange for the one of `identity`.
  [[nodiscard]] std::optional<Secret> rotated(const std::string& identity) const;
  void rotate(const std::string& identity, Secret refresh_token);

 private:
  struct Entry {
    Secret value;
    std::uint64_t serial = 0;
    std::chrono::seconds lifetime{};
    std::chrono::steady_clock::time_point received;
  };
  std::optional<Result> find(const std::string& key, std::chrono::seconds at_least) const;
  Result store(const std::string& key, Token token);

  const Timing timing_;
  SingleFlight<std::string, Result> flights_;
  mutable std::mutex mutex_;
  std::uint64_t next_serial_ = 1;
  std::map<std::string, Entry> entries_;
  std::map<std::string, Secret> rotated_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_TOKEN_CACHE_H_
