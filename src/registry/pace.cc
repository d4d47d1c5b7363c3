#include "registry/pace.h"

#include "registry/retries.h"

#include <algorithm>

namespace tug::registry {

void Pace::wait_for(std::uint64_t units, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  const auto takes = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(static_cast<double>(units) / static_cast<double>(per_second_)));
  const auto present = now(timing_);
  std::unique_lock lock(mutex_);
  const auto turn = std::max(next_, present);
  next_ = turn + takes;
  lock.unlock();
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(turn - present);
  if (left > left.zero()) sleep(timing_, left, stop);
}

std::size_t PacedSource::read(std::span<std::byte> buffer) {
  // Small enough that the bytes flow, and no peer takes the pauses for a stall.
  constexpr std::uint64_t kPiecesPerSecond = 20;
  const std::uint64_t piece = std::max<std::uint64_t>(1, pace_.per_second() / kPiecesPerSecond);
  const std::size_t got = source_.read(buffer.first(std::min<std::uint64_t>(buffer.size(), piece)));
  if (got > 0) pace_.wait_for(got, stop_);
  return got;
}

}  // namespace tug::registry
