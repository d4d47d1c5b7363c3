#include "registry/upload_habits.h"

namespace tug::registry {

UploadHabits::Values UploadHabits::get() const {
  const std::lock_guard lock(mutex_);
  return values_;
}

void UploadHabits::learn(const std::function<void(Values&)>& change) {
  const std::lock_guard lock(mutex_);
  change(values_);
}

}  // namespace tug::registry
