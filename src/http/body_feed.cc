#include "http/body_feed.h"

#include <algorithm>
#include <cstring>

namespace tug::http {
namespace {
constexpr std::uint64_t kWakeBytes = 32 * 1024;
}

BodyFeed::BodyFeed(std::size_t capacity)
    : capacity_(std::max<std::size_t>(capacity, 4)), ring_(new std::byte[capacity_]) {}

std::span<std::byte> BodyFeed::room() {
  const std::size_t quarter = capacity_ / 4;
  std::unique_lock lock(mutex_);
  room_made_.wait(lock, [&] { return cancelled_ || committed_ - taken_ + quarter <= capacity_; });
  if (cancelled_) return {};
  const std::size_t begin = static_cast<std::size_t>(committed_ % capacity_);
  return {ring_.get() + begin, std::min(quarter, capacity_ - begin)};
}

bool BodyFeed::commit(std::size_t size) {
  const std::lock_guard lock(mutex_);
  released_ = committed_;
  committed_ += size;
  return should_wake();
}

bool BodyFeed::finish() {
  const std::lock_guard lock(mutex_);
  released_ = committed_;
  finished_ = true;
  return should_wake();
}

bool BodyFeed::should_wake() const noexcept {
  return consumer_waits_ && !cancelled_ && (finished_ || released_ - taken_ >= kWakeBytes);
}

std::size_t BodyFeed::take(std::span<std::byte> target) {
  std::uint64_t from = 0;
  std::size_t size = 0;
  {
    const std::lock_guard lock(mutex_);
    from = taken_;
    size = static_cast<std::size_t>(std::min<std::uint64_t>(released_ - taken_, target.size()));
    consumer_waits_ = size == 0 && !finished_;
  }
  if (size == 0) return 0;
  const std::size_t begin = static_cast<std::size_t>(from % capacity_);
  const std::size_t first = std::min(size, capacity_ - begin);
  std::memcpy(target.data(), ring_.get() + begin, first);
  std::memcpy(target.data() + first, ring_.get(), size - first);

  const std::lock_guard lock(mutex_);
  taken_ += size;
  room_made_.notify_one();
  return size;
}

bool BodyFeed::ended() const {
  const std::lock_guard lock(mutex_);
  return finished_ && taken_ == committed_;
}

bool BodyFeed::has_released() const {
  const std::lock_guard lock(mutex_);
  return released_ > taken_;
}

void BodyFeed::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  room_made_.notify_all();
}

}  // namespace tug::http
