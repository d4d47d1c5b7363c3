// The hand-over of one request body from the thread that reads it to the loop that sends it: a ring
// of bytes, and the rule that the last bytes are held back until the body is known to be whole.
#ifndef TUG_HTTP_BODY_FEED_H_
#define TUG_HTTP_BODY_FEED_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace tug::http {

// One producer and one consumer thread. The ring's bytes are not locked while they are copied: the
// producer writes only where nothing is, the consumer reads only what was released.
class BodyFeed {
 public:
  explicit BodyFeed(std::size_t capacity);
  BodyFeed(const BodyFeed&) = delete;
  BodyFeed& operator=(const BodyFeed&) = delete;

  // Producer: waits for room of a quarter of the ring, and gives at most that. Empty after
  // cancel().
  std::span<std::byte> room();
  // Producer: `size` bytes were put into room(). They are held back; what commit() added before
  // them is released. True when the consumer waits and should be told.
  [[nodiscard]] bool commit(std::size_t size);
  // Producer: the body ends here; everything is released. True as for commit().
  [[nodiscard]] bool finish();

  // Consumer: copies released bytes to `target` and says how many. 0: the end when ended(), else
  // there is nothing yet, and the consumer counts as waiting until take() gives something again.
  std::size_t take(std::span<std::byte> target);
  // Consumer: everything was taken and nothing more comes.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool has_released() const;
  // Consumer: no more is wanted. Wakes the producer.
  void cancel();

 private:
  // Worth waking the consumer for: the body's end, or so much that it does not go out in dribbles,
  // which Docker Hub answered with 504 (registry-protocol.md 5.14).
  [[nodiscard]] bool should_wake() const noexcept;

  const std::size_t capacity_;
  const std::unique_ptr<std::byte[]> ring_;
  mutable std::mutex mutex_;
  std::condition_variable room_made_;
  // Counts of bytes since the start; taken_ ≤ released_ ≤ committed_ ≤ taken_ + capacity_.
  std::uint64_t committed_ = 0;
  std::uint64_t released_ = 0;
  std::uint64_t taken_ = 0;
  bool finished_ = false;
  bool cancelled_ = false;
  bool consumer_waits_ = false;
};

}  // namespace tug::http

#endif  // TUG_HTTP_BODY_FEED_H_
