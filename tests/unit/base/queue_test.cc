#include "base/queue.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

namespace tug {
namespace {

TEST_CASE("items come out in order, also after close, and then no more") {
  BoundedQueue<std::unique_ptr<int>> queue(3);
  for (int i = 0; i < 3; ++i) CHECK(queue.push(std::make_unique<int>(i), {}));
  queue.close();
  auto rejected = std::make_unique<int>(9);
  CHECK_FALSE(queue.push(std::move(rejected), {}));
  CHECK(rejected);  // NOLINT(bugprone-use-after-move): it was not taken
  for (int i = 0; i < 3; ++i) CHECK(**queue.pop({}) == i);
  CHECK_FALSE(queue.pop({}));
}

TEST_CASE("a stop request ends both waits and takes precedence over what could be done") {
  BoundedQueue<int> full(1);
  BoundedQueue<int> empty(1);
  CHECK(full.push(1, {}));
  std::stop_source source;
  std::thread pusher([&] { CHECK_FALSE(full.push(2, source.get_token())); });
  std::thread popper([&] { CHECK_FALSE(empty.pop(source.get_token())); });
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  source.request_stop();
  pusher.join();
  popper.join();
  CHECK_FALSE(full.pop(source.get_token()));
  CHECK_FALSE(empty.push(1, source.get_token()));
  CHECK(full.pop({}) == 1);
}

TEST_CASE("closing wakes those who wait") {
  BoundedQueue<int> full(1);
  BoundedQueue<int> empty(1);
  CHECK(full.push(1, {}));
  std::thread pusher([&] { CHECK_FALSE(full.push(2, {})); });
  std::thread popper([&] { CHECK_FALSE(empty.pop({})); });
  full.close();
  empty.close();
  pusher.join();
  popper.join();
}

TEST_CASE("many threads on both sides lose nothing and never hold more than the capacity") {
  BoundedQueue<int> queue(4);
  constexpr int kEach = 500;
  std::atomic<int> in_flight = 0;
  std::atomic<int> most = 0;
  std::atomic<long> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 1; i <= kEach; ++i) {
        int item = i;
        REQUIRE(queue.push(std::move(item), {}));
        const int now = ++in_flight;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
      }
    });
  }
  std::vector<std::thread> consumers;
  for (int t = 0; t < 3; ++t) {
    consumers.emplace_back([&] {
      while (const std::optional<int> item = queue.pop({})) {
        --in_flight;
        sum += *item;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  queue.close();
  for (std::thread& thread : consumers) thread.join();
  CHECK(sum == 3L * kEach * (kEach + 1) / 2);
  CHECK(most <=
        4 + 3);  // in the queue, and one in the hands of each consumer that has not counted it yet
}

}  // namespace
}  // namespace tug
