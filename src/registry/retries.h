// Trying an exchange again by the policy (registry-protocol.md 5.13), and the pause of a whole host
// that a 429 asks for.
#ifndef TUG_REGISTRY_RETRIES_H_
#define TUG_REGISTRY_RETRIES_H_

#include "registry/attempts.h"
#include "registry/host.h"

#include <chrono>
#include <functional>
#include <mutex>
#include <stop_token>

namespace tug::registry {

// Timing with its defaults filled in.
std::chrono::steady_clock::time_point now(const Timing& timing);
void sleep(const Timing& timing, std::chrono::milliseconds duration, const std::stop_token& stop);
double jitter(const Timing& timing);

// Every request to a host passes here; while the host is paused, nobody gets through. Any thread.
class RateGate {
 public:
  explicit RateGate(const Timing& timing) : timing_(timing) {}
  void pause_for(std::chrono::milliseconds duration);
  void wait(const std::stop_token& stop);

 private:
  const Timing& timing_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point until_{};
};

// A single exchange behind the gate: a 429 pauses the host for what it asks, within the policy, or
// for the policy's first delay, as long as the push may still sleep.
Answer pass(const Environment& environment, RateGate& gate, const std::function<Answer()>& exchange,
            const std::stop_token& stop);

// Exchanges until the status is none that trying again may cure, or attempts or the time to sleep
// are used up (Attempts): then throws the Error of the last one (network, rate_limited, server), no
// longer retryable.
Answer with_retries(const Environment& environment, RateGate& gate,
                    const std::function<Answer()>& exchange, const std::stop_token& stop,
                    Patience patience = Patience::none);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_RETRIES_H_
