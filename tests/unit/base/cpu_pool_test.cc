#include "base/cpu_pool.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace tug {
namespace {

TEST_CASE("one CPU in the mask means one thread") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(available_cpus() >= 1);
  CHECK(available_cpus() <= static_cast<unsigned>(CPU_COUNT(&before)));
  int first = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(first), &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(first), &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  const unsigned available = available_cpus();
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(available == 1);
}

TEST_CASE("the destructor finishes what was submitted, by any number of threads") {
  for (const unsigned threads : {0U, 1U, 2U, 16U}) {
    std::atomic<int> done = 0;
    {
      CpuPool pool(threads);
      CHECK(pool.threads() == std::max(1U, threads));
      std::vector<std::thread> submitters;
      for (int t = 0; t < 4; ++t) {
        submitters.emplace_back([&] {
          for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
        });
      }
      for (std::thread& submitter : submitters) submitter.join();
    }
    CHECK(done == 400);
  }
}

// Tasks that meet: each waits until `parties` of them are there.
class Meeting {
 public:
  explicit Meeting(int parties) : missing_(parties) {}
  void arrive_and_wait() {
    std::unique_lock lock(mutex_);
    --missing_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int missing_;
};

TEST_CASE("as many tasks run at once as there are threads, however they come in") {
  CpuPool pool(4);
  for (int round = 0; round < 20; ++round) {
    auto meeting = std::make_shared<Meeting>(4);
    auto finished = std::make_shared<Meeting>(5);
    for (int i = 0; i < 4; ++i) {
      pool.submit([=] {
        meeting->arrive_and_wait();
        finished->arrive_and_wait();
      });
    }
    finished->arrive_and_wait();
  }
}

TEST_CASE("no more threads work than were asked for, and what a task holds ends with it") {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  const auto held = std::make_shared<int>(0);
  {
    CpuPool pool(2);
    for (int i = 0; i < 200; ++i) {
      pool.submit([&mutex, &ids, held] {
        const std::lock_guard lock(mutex);
        ids.insert(std::this_thread::get_id());
      });
    }
  }
  CHECK(ids.size() <= 2);
  CHECK(held.use_count() == 1);
}

TEST_CASE("what a task holds may use the pool when it ends") {
  std::atomic<int> done = 0;
  {
    CpuPool pool(1);
    for (int i = 0; i < 10; ++i) {
      const std::shared_ptr<void> last(nullptr, [&](void*) { pool.submit([&] { ++done; }); });
      pool.submit([last] {});
    }
  }
  CHECK(done == 10);
}

}  // namespace
}  // namespace tug
