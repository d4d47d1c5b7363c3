// So many requests, or bytes of bodies, in a second at most (--req-per-sec, --limit-rate).
#ifndef TUG_REGISTRY_PACE_H_
#define TUG_REGISTRY_PACE_H_

#include "registry/host.h"

#include <tug/blob.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stop_token>

namespace tug::registry {

// Any thread. Who comes is given the next free moment, in the order of coming; nothing is saved up
// while nobody comes.
class Pace {
 public:
  // `timing` must outlive it.
  Pace(std::uint64_t per_second, const Timing& timing) : per_second_(per_second), timing_(timing) {}
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;

  [[nodiscard]] std::uint64_t per_second() const noexcept { return per_second_; }
  // Waits for the moment at which `units` may go. Throws Error(interrupted).
  void wait_for(std::uint64_t units, const std::stop_token& stop);

 private:
  const std::uint64_t per_second_;
  const Timing& timing_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_{};
};

// What a source gives, no faster than the pace. References must outlive it.
class PacedSource final : public ByteSource {
 public:
  PacedSource(ByteSource& source, Pace& pace, std::stop_token stop)
      : source_(source), pace_(pace), stop_(std::move(stop)) {}
  std::size_t read(std::span<std::byte> buffer) override;

 private:
  ByteSource& source_;
  Pace& pace_;
  const std::stop_token stop_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_PACE_H_
