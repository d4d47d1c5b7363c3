#include "registry/attempts.h"

#include "http/retry.h"
#include "registry/retries.h"

#include <fmt/format.h>

#include <algorithm>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;

// Per operation (5.13). Retry-After may ask for 60 s each time, so the number of attempts alone is
// no bound on a blob whose every chunk is progress.
constexpr milliseconds kSleepBudget = std::chrono::minutes(5);
// A registry that is restarted is away for some seconds, while four attempts with full jitter may
// be over in one. So it is asked at this pace until it was waited for as long as this.
constexpr milliseconds kRestartPause{1'000};
constexpr milliseconds kRestartTime{15'000};

// `error` of the last of so many attempts, saying so.
Error out_of_attempts(Error error, int attempts, std::optional<milliseconds> retry_after,
                      const RetryPolicy& policy) {
  if (attempts > 1) error.add_context(fmt::format("after {} attempts", attempts));
  if (retry_after && *retry_after > policy.max_retry_after) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*retry_after);
    error.set_hint(fmt::format("it asks to wait {} s (Retry-After)", seconds.count()));
  }
  return error.set_retryable(false);
}

}  // namespace

std::optional<milliseconds> retry_after(const http::Response& response) {
  const auto value = response.headers.get("Retry-After");
  if (!value) return std::nullopt;
  return http::parse_retry_after(*value, response.headers.get("Date").value_or(""),
                                 std::chrono::system_clock::now());
}

std::array<milliseconds, 3> poll_pauses(const RetryPolicy& policy) noexcept {
  return {milliseconds(0), std::min(policy.max_delay, policy.base_delay * 2),
          std::min(policy.max_delay, policy.base_delay * 6)};
}

milliseconds Attempts::next(const Error& error, std::optional<milliseconds> retry_after) {
  ++failures_;
  RetryPolicy policy = environment_.retry;
  // Being told to wait is no failure: skopeo waits too, whatever --retry-times says.
  if (error.kind() == ErrorKind::rate_limited)
    policy.attempts = std::max(policy.attempts, RetryPolicy{}.attempts);
  auto delay = http::retry_delay(policy, failures_, jitter(environment_.timing), retry_after);
  if (!delay && waits_for_restart(error)) delay = kRestartPause;
  if (!delay || !pay(*delay)) throw out_of_attempts(error, failures_, retry_after, policy);
  return *delay;
}

void Attempts::failed(const Error& error, std::optional<milliseconds> retry_after) {
  sleep(environment_.timing, next(error, retry_after), stop_);
}

// Who says fewer times, or how long to wait, means it.
bool Attempts::waits_for_restart(const Error& error) const noexcept {
  const RetryPolicy& policy = environment_.retry;
  return patience_ == Patience::for_restart && error.kind() == ErrorKind::network &&
         !policy.fixed_delay && policy.attempts >= RetryPolicy{}.attempts && slept_ < kRestartTime;
}

bool Attempts::pay(milliseconds delay) {
  if (slept_ + delay > kSleepBudget) return false;
  if (!environment_.sleep_budget->take(now(environment_.timing), delay)) return false;
  slept_ += delay;
  return true;
}

}  // namespace tug::registry
