#include "base/stop.h"

#include <tug/error.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace tug {

void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
}

void sleep_for(std::chrono::milliseconds duration, const std::stop_token& stop) {
  // A longer wait would only be an overflow of the clock.
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  std::mutex mutex;
  std::condition_variable_any never_notified;
  std::unique_lock lock(mutex);
  never_notified.wait_for(lock, stop, std::min(duration, kLongest), [] { return false; });
  throw_if_stopped(stop);
}

}  // namespace tug
