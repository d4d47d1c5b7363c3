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

  // For submitters whose tasks hold much memory. threads() + 2 permits are to be out, over all
  // submitters: then memory grows with threads and not with submitters times threads. So that
  // everyone gets on, take_permit() gives a submitter's first one whether there is one or not;
  // while permits are overdrawn, those who hold more than one give back. Any thread.
  void take_permit() noexcept { permits_out_.fetch_add(1); }
  [[nodiscard]] bool try_take_permit() noexcept {
    unsigned out = permits_out_.load();
    while (out < threads() + 2) {
      if (permits_out_.compare_exchange_weak(out, out + 1)) return true;
    }
    return false;
  }
  void return_permit() noexcept { permits_out_.fetch_sub(1); }
  [[nodiscard]] bool permits_are_overdrawn() const noexcept {
    return permits_out_.load() > threads() + 2;
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<unsigned> permits_out_{0};
};

}  // namespace tug

#endif  // TUG_BASE_CPU_POOL_H_
