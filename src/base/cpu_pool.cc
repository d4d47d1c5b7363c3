#include "base/cpu_pool.h"

#include "base/cpu_limits.h"

#include <tug/error.h>

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace tug {

namespace {

// The mask of a machine with many CPUs does not fit cpu_set_t (1024): sched_getaffinity then says
// EINVAL, and a larger one is tried.
unsigned affinity_cpus() {
  for (std::size_t bits = CPU_SETSIZE; bits <= (std::size_t{1} << 20U); bits *= 2) {
    const std::size_t bytes = CPU_ALLOC_SIZE(bits);
    std::vector<cpu_set_t> mask((bytes + sizeof(cpu_set_t) - 1) / sizeof(cpu_set_t));
    if (::sched_getaffinity(0, bytes, mask.data()) == 0)
      return static_cast<unsigned>(CPU_COUNT_S(bytes, mask.data()));
  }
  return std::thread::hardware_concurrency();
}

}  // namespace

unsigned available_cpus() { return usable_cpus(affinity_cpus(), cgroup_cpu_limit()); }

struct CpuPool::Impl {
  explicit Impl(unsigned most) : limit(std::max(1U, most)) {}

  // Threads start when there is work for them: a push that finds everything there already starts
  // none.
  void start_thread() {
    try {
      threads.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      if (!threads.empty()) return;  // fewer threads do the same work
      throw Error(ErrorKind::local, std::string("cannot start a thread: ") + error.what());
    }
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return closing || !tasks.empty(); });
      --idle;
      if (tasks.empty()) return;
      std::function<void()> task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds ends outside of the lock
      lock.lock();
    }
  }

  const std::size_t limit;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  std::size_t idle = 0;
  bool closing = false;
};

CpuPool::CpuPool(unsigned threads) : impl_(std::make_unique<Impl>(threads)) {}

CpuPool::~CpuPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->changed.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

unsigned CpuPool::threads() const noexcept { return static_cast<unsigned>(impl_->limit); }

void CpuPool::submit(std::function<void()> task) {
  {
    const std::lock_guard lock(impl_->mutex);
    // A thread that was just started is not idle yet, so that a burst may start one too many: never
    // more than the limit.
    // While the pool closes (a task may submit another when it ends) those that are there go on.
    const bool more = impl_->tasks.size() >= impl_->idle && impl_->threads.size() < impl_->limit;
    if (more && !impl_->closing) impl_->start_thread();
    impl_->tasks.push_back(std::move(task));
  }
  impl_->changed.notify_one();
}

}  // namespace tug
