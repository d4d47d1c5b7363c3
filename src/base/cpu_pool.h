// Threads for computation: as many as the affinity mask and the cgroup's CPU quota allow.
#ifndef TUG_BASE_CPU_POOL_H_
#define TUG_BASE_CPU_POOL_H_

#include <atomic>
#include <functional>
#include <memory>

namespace tug {

// CPUs this process may use: affinity mask, cut by cgroup v2 cpu.max or v1 cfs quota, at least 1.
unsigned available_cpus();

// Runs tasks on its threads; the destructor finishes what was submitted. Tasks must not throw and
// must not wait for other tasks of the pool. submit() may be called by any thread; the tasks
// waiting are bounded by their submitters (each keeps a fixed number in flight).
class CpuPool {
 public:
  explicit CpuPool(unsigned threads = available_cpus());
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;
  ~CpuPool();
  [[nodiscard]] unsigned threads() const noexcept;
  void submit(std::function<void()> task);

  // For submitters whose tasks hold much memory: each may always have one in flight, and one more
  // for every permit it holds. threads() + 2 permits are out at most, over all submitters, so that
  // memory grows with submitters plus threads and not with their product. Any thread.
  [[nodiscard]] bool try_take_permit() noexcept {
    unsigned out = permits_out_.load();
    while (out < threads() + 2) {
      if (permits_out_.compare_exchange_weak(out, out + 1)) return true;
    }
    return false;
  }
  void return_permit() noexcept { permits_out_.fetch_sub(1); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<unsigned> permits_out_{0};
};

}  // namespace tug

#endif  // TUG_BASE_CPU_POOL_H_
