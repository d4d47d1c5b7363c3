// A bounded queue between threads: ownership moves with the item, waiting ends at a stop request.
#ifndef TUG_BASE_QUEUE_H_
#define TUG_BASE_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace tug {

// Any number of threads on both sides.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room. False when the queue was closed or `stop` was requested; then `item` was not
  // taken.
  bool push(T&& item, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    (void)changed_.wait(lock, stop, [&] { return closed_ || items_.size() < capacity_; });
    if (closed_ || stop.stop_requested()) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }
  // Waits for an item. nullopt when the queue is closed and empty, or `stop` was requested.
  std::optional<T> pop(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    (void)changed_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
    if (items_.empty() || stop.stop_requested()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }
  // No more items come; what is in the queue can still be taken.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<T> items_;
  std::size_t capacity_;
  bool closed_ = false;
};

}  // namespace tug

#endif  // TUG_BASE_QUEUE_H_
