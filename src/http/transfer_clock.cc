#include "http/transfer_clock.h"

#include <algorithm>

namespace tug::http {
namespace {
using std::chrono::milliseconds;

// Servers hash, move or multipart-complete N bytes before they answer, in silence: after a body,
// and at a commit, whose own body is empty.
constexpr std::uint64_t kBytesPerSecond = 10'000'000;
constexpr milliseconds kMaxWait = std::chrono::minutes(15);
}  // namespace

void TransferClock::on_request(Time now, bool has_body, std::uint64_t bytes_to_digest) {
  started_ = true;
  sending_ = has_body;
  starved_ = false;
  bytes_to_digest_ = bytes_to_digest;
  last_activity_ = now;
}

void TransferClock::on_sent(Time now) {
  if (sending_) last_activity_ = now;
}

void TransferClock::on_starved(Time now, bool starved) {
  if (starved_ && !starved) last_activity_ = now;
  starved_ = starved;
}

void TransferClock::on_body_done(Time now, std::uint64_t bytes) {
  if (!sending_) return;
  sending_ = false;
  bytes_to_digest_ = std::max(bytes_to_digest_, bytes);
  last_activity_ = now;
}

void TransferClock::on_head(Time now) {
  head_done_ = true;
  last_activity_ = now;
}

void TransferClock::on_received(Time now) {
  if (head_done_) last_activity_ = now;  // a dripping head does not earn more time (fault F10)
}

TransferClock::Phase TransferClock::phase() const noexcept {
  if (!started_) return Phase::connecting;
  if (starved_ && (sending_ || head_done_)) return Phase::starved;
  if (head_done_) return Phase::receiving;
  return sending_ ? Phase::sending : Phase::waiting;
}

milliseconds TransferClock::limit() const {
  if (phase() != Phase::waiting) return timeouts_.stall;
  const milliseconds wait =
      timeouts_.stall + std::chrono::seconds(bytes_to_digest_ / kBytesPerSecond);
  return std::min(wait, std::max(kMaxWait, timeouts_.stall));
}

std::optional<TransferClock::Time> TransferClock::deadline() const {
  const Phase now = phase();
  if (now == Phase::connecting || now == Phase::starved) return std::nullopt;
  return last_activity_ + limit();
}

}  // namespace tug::http
