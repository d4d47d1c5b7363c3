#include "base/cpu_limits.h"

#include "base/fd.h"
#include "base/strings.h"

#include <tug/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace tug {

namespace {

constexpr std::size_t kMaxFile = 65536;
constexpr std::string_view kMount = "/sys/fs/cgroup";

std::optional<double> ratio(std::optional<std::uint64_t> quota,
                            std::optional<std::uint64_t> period) {
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> least(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// "" for a file that cannot be read: no limit is known then, and that is not an error.
std::string content(const std::string& path) {
  try {
    return read_file_if_exists(path, kMaxFile).value_or("");
  } catch (const Error&) {
    return {};
  }
}

std::optional<double> v2_limit(const std::string& group) {
  return parse_cpu_max(content(group + "/cpu.max"));
}

std::optional<double> v1_limit(const std::string& group) {
  return parse_cfs_quota(content(group + "/cpu.cfs_quota_us"),
                         content(group + "/cpu.cfs_period_us"));
}

// Asks the group and each one above it. A container without its own cgroup namespace sees the
// host's path here but only its own group mounted: then the groups on the way do not exist and the
// mount point itself has the limit.
template <typename Limit>
std::optional<double> least_upwards(const std::string& mount, std::string group,
                                    const Limit& limit) {
  const std::vector<std::string_view> parts = split(group, '/');
  if (std::find(parts.begin(), parts.end(), "..") != parts.end())
    group.clear();  // outside of our cgroup namespace
  std::optional<double> result;
  for (;;) {
    result = least(result, limit(mount + group));
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) return result;
    group.resize(slash);
  }
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) {
  const std::vector<std::string_view> words = split(trim(text), ' ');
  if (words.size() != 2) return std::nullopt;
  return ratio(parse_uint(words[0]), parse_uint(words[1]));
}

std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period) {
  return ratio(parse_uint(trim(quota)), parse_uint(trim(period)));
}

CgroupPaths parse_cgroup_paths(std::string_view text) {
  CgroupPaths paths;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view path = line.substr(second + 1);
    const std::vector<std::string_view> controllers =
        split(line.substr(first + 1, second - first - 1), ',');
    if (line.starts_with("0::")) paths.v2 = path;
    if (std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end())
      paths.v1_cpu = path;
  }
  return paths;
}

std::optional<double> cgroup_cpu_limit(const std::string& root) {
  const CgroupPaths paths = parse_cgroup_paths(content(root + "/proc/self/cgroup"));
  const std::string mount = root + std::string(kMount);
  std::optional<double> limit;
  if (!paths.v2.empty()) limit = least_upwards(mount, paths.v2, v2_limit);
  if (paths.v1_cpu.empty()) return limit;
  for (const char* hierarchy : {"/cpu", "/cpu,cpuacct", "/cpuacct,cpu"}) {
    limit = least(limit, least_upwards(mount + hierarchy, paths.v1_cpu, v1_limit));
  }
  return limit;
}

unsigned usable_cpus(unsigned affinity, std::optional<double> limit) {
  const unsigned most = std::max(1U, affinity);
  if (!limit || *limit >= most) return most;
  return std::max(1U, static_cast<unsigned>(std::ceil(*limit)));
}

}  // namespace tug
