// When to try again: pure decisions, so that they can be tested as tables
// (registry-protocol.md 5.13).
#ifndef TUG_HTTP_RETRY_H_
#define TUG_HTTP_RETRY_H_

#include <tug/registry.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace tug::http {

// 408, 425, 429, 499, 500, 502, 503, 504, 520-527, 530. Not 501, 505, 507.
bool is_retryable_status(int status) noexcept;

// Retry-After in seconds or as an HTTP date relative to `date` (the response's Date header; "" =
// `now`). Unparsable, negative or past is nullopt (GHCR sends Go durations).
std::optional<std::chrono::milliseconds> parse_retry_after(
    std::string_view value, std::string_view date, std::chrono::system_clock::time_point now);

// The sleep before attempt `attempt` + 1, given that `attempt` ≥ 1 attempts failed. `jitter` in [0,
// 1). `retry_after` is a lower bound. nullopt: do not try again (attempts used up, or retry_after
// is longer than the policy waits).
std::optional<std::chrono::milliseconds> retry_delay(
    const RetryPolicy& policy, int attempt, double jitter,
    std::optional<std::chrono::milliseconds> retry_after) noexcept;

}  // namespace tug::http

#endif  // TUG_HTTP_RETRY_H_
