// How long a push may sleep between attempts, all in all (registry-protocol.md 5.13).
#ifndef TUG_REGISTRY_SLEEP_BUDGET_H_
#define TUG_REGISTRY_SLEEP_BUDGET_H_

#include <chrono>
#include <mutex>

namespace tug::registry {

// Any thread.
class SleepBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit SleepBudget(std::chrono::milliseconds limit = std::chrono::minutes(15)) : left_(limit) {}

  // Somebody wants to sleep for `duration` from `now` on. False: there is not so much left. While
  // others sleep as well, it costs nothing: the push waits once, however many of its workers do.
  [[nodiscard]] bool take(Time now, std::chrono::milliseconds duration);

 private:
  std::mutex mutex_;
  Time::duration left_;
  Time paid_until_{};
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_SLEEP_BUDGET_H_
