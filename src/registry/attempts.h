// The attempts of one operation (registry-protocol.md 5.13): counts failures and sleeps between
// them.
#ifndef TUG_REGISTRY_ATTEMPTS_H_
#define TUG_REGISTRY_ATTEMPTS_H_

#include "http/client.h"
#include "registry/host.h"

#include <tug/error.h>
#include <tug/registry.h>

#include <array>
#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

namespace tug::registry {

// The response's Retry-After, where it has a usable one.
std::optional<std::chrono::milliseconds> retry_after(const http::Response& response);

// A place that is only eventually consistent is asked again after these pauses: 0, 1, 3 s with the
// default policy (5.8, 6.6).
std::array<std::chrono::milliseconds, 3> poll_pauses(const RetryPolicy& policy) noexcept;

// Whether a registry that cannot be reached is given the time to come back (5.13): one that has
// answered before is being restarted, one that never has is probably not there.
enum class Patience { none, for_restart };

// One thread. Sleep is bounded for this operation and, by the environment's budget, for the push.
class Attempts {
 public:
  // `environment` must outlive this.
  Attempts(const Environment& environment, std::stop_token stop, Patience patience = Patience::none)
      : environment_(environment), stop_(std::move(stop)), patience_(patience) {}

  // An attempt failed with `error`: how long to sleep before the next one. Throws `error`, saying
  // after how many attempts and no longer retryable, when there is none.
  std::chrono::milliseconds next(const Error& error,
                                 std::optional<std::chrono::milliseconds> retry_after);
  // The same, and sleeps.
  void failed(const Error& error, std::optional<std::chrono::milliseconds> retry_after);
  // Something was achieved: the count starts again, so that a large blob gets over a bad link. The
  // budget of sleep goes on.
  void progress() noexcept { failures_ = 0; }

 private:
  bool pay(std::chrono::milliseconds delay);
  [[nodiscard]] bool waits_for_restart(const Error& error) const noexcept;

  const Environment& environment_;
  std::stop_token stop_;
  const Patience patience_;
  int failures_ = 0;
  std::chrono::milliseconds slept_{0};
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_ATTEMPTS_H_
