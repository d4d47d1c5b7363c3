#include "registry/retries.h"

#include "base/stop.h"
#include "registry/error_body.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;

constexpr int kTooManyRequests = 429;

// One failed attempt: why, and what the server wants before the next.
struct Failure {
  Error error;
  std::optional<milliseconds> retry_after;
  bool pauses_host = false;
};

}  // namespace

std::chrono::steady_clock::time_point now(const Timing& timing) {
  return timing.now ? timing.now() : std::chrono::steady_clock::now();
}

void sleep(const Timing& timing, milliseconds duration, const std::stop_token& stop) {
  if (timing.sleep) {
    timing.sleep(duration, stop);
  } else {
    sleep_for(duration, stop);
  }
}

double jitter(const Timing& timing) {
  if (timing.jitter) return timing.jitter();
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

void RateGate::pause_for(milliseconds duration) {
  const auto until = now(timing_) + duration;
  const std::lock_guard lock(mutex_);
  until_ = std::max(until_, until);
}

void RateGate::wait(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock(mutex_);
    const auto until = until_;
    lock.unlock();
    const auto left = std::chrono::ceil<milliseconds>(until - now(timing_));
    if (until == decltype(until){} || left <= milliseconds(0)) return;
    sleep(timing_, left, stop);
  }
}

Answer pass(const Environment& environment, RateGate& gate, const std::function<Answer()>& exchange,
            const std::stop_token& stop) {
  gate.wait(stop);
  Answer answer = exchange();
  if (answer.response.status == kTooManyRequests) {
    const RetryPolicy& policy = environment.retry;
    const auto asked = retry_after(answer.response);
    const auto pause = std::min(asked.value_or(policy.base_delay), policy.max_retry_after);
    if (environment.sleep_budget->take(now(environment.timing), pause)) gate.pause_for(pause);
  }
  return answer;
}

Answer with_retries(const Environment& environment, RateGate& gate,
                    const std::function<Answer()>& exchange, const std::stop_token& stop,
                    Patience patience) {
  Attempts attempts(environment, stop, patience);
  for (;;) {
    gate.wait(stop);
    std::optional<Failure> failure;
    try {
      Answer answer = exchange();
      const int status = answer.response.status;
      if (!http::is_retryable_status(status)) return answer;
      failure = Failure{error_from_response(answer.response, answer.url),
                        retry_after(answer.response), status == kTooManyRequests};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::network || !error.retryable()) throw;
      failure = Failure{error, std::nullopt, false};
    }
    const milliseconds delay = attempts.next(failure->error, failure->retry_after);
    if (environment.log.enabled()) {
      environment.log.debug("trying again in " + std::to_string(delay.count()) +
                            " ms: " + failure->error.what());
    }
    if (failure->pauses_host) {
      gate.pause_for(delay);
    } else {
      sleep(environment.timing, delay, stop);
    }
  }
}

}  // namespace tug::registry
