#include "registry/token_cache.h"

#include <algorithm>
#include <utility>

namespace tug::registry {
namespace {

using std::chrono::seconds;

// A copy of many images meets many repositories; a token may have 128 KiB.
constexpr std::size_t kMaxEntries = 256;

// Renewed when less than this remains: 10 s or a tenth of its life (R3.7), or `at_least`, but never
// so early that a short-lived token would be fetched more often than every 50 s (F31).
seconds margin(seconds lifetime, seconds at_least) {
  const seconds usual = std::max(seconds(10), lifetime / 10);
  return std::max(usual, std::min(at_least, lifetime - seconds(50)));
}

}  // namespace

TokenCache::Result TokenCache::get(const std::string& key, seconds at_least,
                                   const std::function<Token()>& fetch,
                                   const std::stop_token& stop) {
  if (auto known = find(key, at_least)) return std::move(*known);
  return flights_.run(key, stop, [&] {
    // Another flight may have landed since.
    if (auto known = find(key, at_least)) return std::move(*known);
    return store(key, fetch());
  });
}

std::optional<TokenCache::Result> TokenCache::find(const std::string& key, seconds at_least) const {
  const auto time = now(timing_);
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return std::nullopt;
  const Entry& entry = it->second;
  if (entry.received + entry.lifetime - time < margin(entry.lifetime, at_least)) {
    return std::nullopt;
  }
  return Result{entry.value, entry.serial, false};
}

TokenCache::Result TokenCache::store(const std::string& key, Token token) {
  const auto time = now(timing_);
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMaxEntries && entries_.find(key) == entries_.end()) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](auto& a, auto& b) {
      return a.second.serial < b.second.serial;
    }));
  }
  const Entry& entry = entries_[key] =
      Entry{std::move(token.value), next_serial_++, token.lifetime, time};
  return Result{entry.value, entry.serial, true};
}

void TokenCache::drop(const std::string& key, std::uint64_t serial) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it != entries_.end() && it->second.serial == serial) entries_.erase(it);
}

std::optional<Secret> TokenCache::rotated(const std::string& identity) const {
  const std::lock_guard lock(mutex_);
  const auto it = rotated_.find(identity);
  return it == rotated_.end() ? std::nullopt : std::optional(it->second);
}

void TokenCache::rotate(const std::string& identity, Secret refresh_token) {
  const std::lock_guard lock(mutex_);
  rotated_[identity] = std::move(refresh_token);
}

}  // namespace tug::registry
