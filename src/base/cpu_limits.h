// How much CPU the control groups of this process allow. The files' formats are parsed by pure
// functions; which files they are is in cgroups(7) and the kernel's cgroup-v2.rst, "CPU Interface
// Files".
#ifndef TUG_BASE_CPU_LIMITS_H_
#define TUG_BASE_CPU_LIMITS_H_

#include <optional>
#include <string>
#include <string_view>

namespace tug {

// CPUs by "<quota> <period>" of cpu.max; nullopt for "max" and for anything that is not understood.
std::optional<double> parse_cpu_max(std::string_view text);
// The same from cpu.cfs_quota_us (-1: no limit) and cpu.cfs_period_us.
std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period);

// The process's groups as /proc/self/cgroup names them; "" when there is none.
struct CgroupPaths {
  std::string v2;      // of the line "0::/…"
  std::string v1_cpu;  // of the hierarchy with the controller "cpu"
  friend bool operator==(const CgroupPaths&, const CgroupPaths&) = default;
};
CgroupPaths parse_cgroup_paths(std::string_view text);

// The least limit of the groups of this process and all groups above them. `root` is "" but in
// tests.
std::optional<double> cgroup_cpu_limit(const std::string& root = "");

// Threads for an affinity mask of `affinity` CPUs and a limit: rounded up, so that the last part of
// a CPU is used too; at least 1.
unsigned usable_cpus(unsigned affinity, std::optional<double> limit);

}  // namespace tug

#endif  // TUG_BASE_CPU_LIMITS_H_
