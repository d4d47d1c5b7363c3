// The same work on many items at once.
#ifndef TUG_BASE_PARALLEL_H_
#define TUG_BASE_PARALLEL_H_

#include "base/stop.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

namespace tug {

// Calls `work(item, stop)` for every item, in order of the list, on up to `threads` threads (the
// caller's is one of them; where no more can be started, those that there are do all). The first
// exception stops the others, and is rethrown when all have ended; what they throw because of that
// stop is dropped. Throws Error(interrupted) when `outer` was stopped: returning means that all was
// done.
template <typename Item, typename Work>
void parallel_for_each(std::vector<Item>& items, std::size_t threads, const std::stop_token& outer,
                       Work work) {
  std::stop_source inner;
  const std::stop_callback pass_on(outer, [&inner] { inner.request_stop(); });
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&] {
    for (;;) {
      const std::size_t i = next.fetch_add(1);
      if (i >= items.size() || inner.stop_requested()) return;
      try {
        work(items[i], inner.get_token());
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        inner.request_stop();
        return;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    const std::size_t count = std::min(threads, items.size());
    try {
      while (helpers.size() + 1 < count) helpers.emplace_back(run);
    } catch (const std::system_error&) {  // EAGAIN: fewer threads do the same work
    }
    run();
  }
  if (first) std::rethrow_exception(first);
  throw_if_stopped(outer);
}

}  // namespace tug

#endif  // TUG_BASE_PARALLEL_H_
