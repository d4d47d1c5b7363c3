#include "base/parallel.h"

#include <tug/error.h>

#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace tug {
namespace {

TEST_CASE("every item is worked on once, with any number of threads") {
  for (const std::size_t threads : {0U, 1U, 3U, 100U}) {
    std::vector<int> items(50, 0);
    parallel_for_each(items, threads, {}, [](int& item, const std::stop_token&) { ++item; });
    CHECK(items == std::vector<int>(50, 1));
  }
  std::vector<int> none;
  parallel_for_each(none, 4, {},
                    [](int&, const std::stop_token&) { FAIL("there is nothing to do"); });
}

TEST_CASE("one thread takes the items in the order of the list") {
  std::vector<int> items = {3, 1, 2};
  std::vector<int> seen;
  parallel_for_each(items, 1, {}, [&](int item, const std::stop_token&) { seen.push_back(item); });
  CHECK(seen == items);
}

TEST_CASE("the first failure stops the others and is the one that is told") {
  std::vector<int> items = {0, 1, 2, 3};
  std::atomic<int> waiting = 0;
  const auto work = [&](int item, const std::stop_token& stop) {
    if (item == 3) {
      while (waiting < 3) std::this_thread::yield();
      throw std::runtime_error("cause");
    }
    ++waiting;
    while (!stop.stop_requested()) std::this_thread::yield();
    throw std::runtime_error("consequence");
  };
  CHECK_THROWS_WITH_AS(parallel_for_each(items, 4, {}, work), "cause", std::runtime_error);
}

TEST_CASE("a stop from outside is never mistaken for having done everything") {
  std::vector<int> items(10, 0);
  std::stop_source source;
  int done = 0;
  const auto work = [&](int&, const std::stop_token&) {
    if (++done == 3) source.request_stop();
  };
  CHECK_THROWS_AS(parallel_for_each(items, 1, source.get_token(), work), Error);
  CHECK(done == 3);
  CHECK_THROWS_AS(parallel_for_each(items, 4, source.get_token(), work), Error);
  CHECK(done == 3);
}

// While it lives, no thread can be started: none gets a stack of that size.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, std::size_t{1} << 60U);
    REQUIRE(pthread_setattr_default_np(&attributes) == 0);
    pthread_attr_destroy(&attributes);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;
  ~NoMoreThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_{};
};

TEST_CASE("when no thread can be started, the caller's does all the work") {
  std::vector<int> items(50, 0);
  {
    const NoMoreThreads guard;
    parallel_for_each(items, 4, {}, [](int& item, const std::stop_token&) { ++item; });
  }
  CHECK(items == std::vector<int>(50, 1));
}

}  // namespace
}  // namespace tug
