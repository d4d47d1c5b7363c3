#include "registry/sleep_budget.h"

#include <algorithm>

namespace tug::registry {

bool SleepBudget::take(Time now, std::chrono::milliseconds duration) {
  const std::lock_guard lock(mutex_);
  const Time end = now + duration;
  const Time begin = std::max(now, paid_until_);
  if (end <= begin) return true;
  if (end - begin > left_) return false;
  left_ -= end - begin;
  paid_until_ = end;
  return true;
}

}  // namespace tug::registry
