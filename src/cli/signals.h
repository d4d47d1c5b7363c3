// SIGINT, SIGTERM and --command-timeout, as one stop token.
#ifndef TUG_CLI_SIGNALS_H_
#define TUG_CLI_SIGNALS_H_

#include "base/fd.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <stop_token>
#include <thread>

namespace tug::cli {

// Built first in main, before any other thread starts, because it blocks the signals for all of
// them. The first signal, or the end of the time, requests a stop; a second signal ends the process
// at once with 128 + its number.
class StopOnSignal {
 public:
  StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal();

  void set_time_limit(std::chrono::milliseconds limit);  // Call at most once.
  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }
  // The signal that stopped us, or 0.
  [[nodiscard]] int signal() const noexcept { return signal_; }
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }

 private:
  void watch();

  std::stop_source source_;
  std::atomic<int> signal_{0};
  std::atomic<bool> timed_out_{false};
  UniqueFd signals_;
  UniqueFd timer_;
  UniqueFd end_;
  std::jthread thread_;
};

}  // namespace tug::cli

#endif  // TUG_CLI_SIGNALS_H_
