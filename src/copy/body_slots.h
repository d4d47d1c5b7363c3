// How many bodies may be under way at once in all copies of a process.
#ifndef TUG_COPY_BODY_SLOTS_H_
#define TUG_COPY_BODY_SLOTS_H_

#include "base/stop.h"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>

namespace tug {

// Any thread.
class BodySlots {
 public:
  static constexpr std::size_t kDefault = 6;
  // Smaller bodies cost a round trip more than they cost bandwidth: unless the user has said how
  // many there may be, so many of them go beside the others.
  static constexpr std::uint64_t kSmall = 256 * 1024;
  static constexpr std::size_t kSmallBeside = 26;

  // `limit`: what the user has said.
  explicit BodySlots(std::optional<int> limit = std::nullopt)
      : count_(limit ? static_cast<std::size_t>(std::max(1, *limit)) : kDefault),
        small_are_free_(!limit),
        free_(count_) {}
  BodySlots(const BodySlots&) = delete;
  BodySlots& operator=(const BodySlots&) = delete;

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  // Whether a body of so many bytes needs no slot.
  [[nodiscard]] bool is_free(std::uint64_t bytes) const noexcept {
    return small_are_free_ && bytes <= kSmall;
  }

  // A slot, given back at the end.
  class Slot {
   public:
    // Waits for one. Throws Error(interrupted).
    Slot(BodySlots& slots, const std::stop_token& stop) : slots_(slots) {
      std::unique_lock lock(slots_.mutex_);
      if (!slots_.changed_.wait(lock, stop, [&] { return slots_.free_ > 0; })) {
        lock.unlock();
        throw_if_stopped(stop);
      }
      --slots_.free_;
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() {
      {
        const std::lock_guard lock(slots_.mutex_);
        ++slots_.free_;
      }
      slots_.changed_.notify_one();
    }

   private:
    BodySlots& slots_;
  };

 private:
  const std::size_t count_;
  const bool small_are_free_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t free_;
};

}  // namespace tug

#endif  // TUG_COPY_BODY_SLOTS_H_
