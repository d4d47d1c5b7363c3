#include "base/cpu_limits.h"

#include "support/temp_dir.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

TEST_CASE("cpu.max is a quota and a period, or no limit") {
  struct Case {
    std::string_view text;
    std::optional<double> limit;
  };
  const Case cases[] = {
      {"max 100000\n", std::nullopt}, {"150000 100000\n", 1.5},   {"50000 100000", 0.5},
      {"400000 100000\n", 4.0},       {"", std::nullopt},         {"100000", std::nullopt},
      {"1 0", std::nullopt},          {"0 100000", std::nullopt}, {"-1 100000", std::nullopt},
      {"1 2 3", std::nullopt},        {"x y", std::nullopt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_cpu_max(c.text) == c.limit);
  }
}

TEST_CASE("version 1 has quota and period in two files, and -1 for no limit") {
  CHECK(parse_cfs_quota("-1\n", "100000\n") == std::nullopt);
  CHECK(parse_cfs_quota("250000\n", "100000\n") == 2.5);
  CHECK(parse_cfs_quota("", "100000\n") == std::nullopt);
  CHECK(parse_cfs_quota("250000", "") == std::nullopt);
}

TEST_CASE("the groups of a process are found in version 2, version 1 and both") {
  struct Case {
    std::string_view text;
    CgroupPaths paths;
  };
  const Case cases[] = {
      {"0::/user.slice/a.scope\n", {"/user.slice/a.scope", ""}},
      {"0::/\n", {"/", ""}},
      {"12:cpu,cpuacct:/docker/ab\n3:cpuset:/x\n1:name=systemd:/y\n0::/z:with:colons\n",
       {"/z:with:colons", "/docker/ab"}},
      {"4:cpuacct,cpu:/b\n", {"", "/b"}},
      {"3:cpuset:/x\n", {"", ""}},
      {"", {"", ""}},
      {"garbage\n::\n:\n", {"", ""}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_cgroup_paths(c.text) == c.paths);
  }
}

TEST_CASE("the least limit of a group and those above it counts") {
  using Files = std::vector<std::pair<std::string, std::string>>;
  struct Case {
    std::string name;
    Files files;
    std::optional<double> limit;
  };
  const std::string v2 = "sys/fs/cgroup";
  const Case cases[] = {
      {"no cgroups", {}, std::nullopt},
      {"no limit",
       {{"proc/self/cgroup", "0::/a\n"}, {v2 + "/a/cpu.max", "max 100000\n"}},
       std::nullopt},
      {"own limit",
       {{"proc/self/cgroup", "0::/a/b\n"}, {v2 + "/a/b/cpu.max", "200000 100000\n"}},
       2.0},
      {"a parent's limit",
       {{"proc/self/cgroup", "0::/a/b\n"},
        {v2 + "/a/cpu.max", "100000 100000\n"},
        {v2 + "/a/b/cpu.max", "200000 100000\n"}},
       1.0},
      {"less than a parent's limit",
       {{"proc/self/cgroup", "0::/a/b\n"},
        {v2 + "/a/cpu.max", "200000 100000\n"},
        {v2 + "/a/b/cpu.max", "100000 100000\n"}},
       1.0},
      {"the host's path in a container that sees its own group only",
       {{"proc/self/cgroup", "0::/docker/abc\n"}, {v2 + "/cpu.max", "300000 100000\n"}},
       3.0},
      {"outside of the namespace, where files mean something else",
       {{"proc/self/cgroup", "0::/../../x\n"},
        {"sys/x/cpu.max", "100000 100000\n"},
        {v2 + "/cpu.max", "300000 100000\n"}},
       3.0},
      {"version 1",
       {{"proc/self/cgroup", "4:cpu,cpuacct:/d\n"},
        {v2 + "/cpu,cpuacct/d/cpu.cfs_quota_us", "150000\n"},
        {v2 + "/cpu,cpuacct/d/cpu.cfs_period_us", "100000\n"},
        {v2 + "/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
        {v2 + "/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
       1.5},
      {"version 1 in a container",
       {{"proc/self/cgroup", "4:cpu:/docker/d\n0::/\n"},
        {v2 + "/cpu/cpu.cfs_quota_us", "50000\n"},
        {v2 + "/cpu/cpu.cfs_period_us", "100000\n"}},
       0.5},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const test::TempDir root;
    for (const auto& [path, text] : c.files) root.write(path, text);
    CHECK(cgroup_cpu_limit(root.path()) == c.limit);
  }
}

TEST_CASE(
    "the CPUs that may be used are the lesser of mask and limit, rounded up, and at least one") {
  CHECK(usable_cpus(8, std::nullopt) == 8);
  CHECK(usable_cpus(8, 2.0) == 2);
  CHECK(usable_cpus(8, 1.5) == 2);
  CHECK(usable_cpus(8, 0.01) == 1);
  CHECK(usable_cpus(2, 1e30) == 2);
  CHECK(usable_cpus(0, std::nullopt) == 1);
}

}  // namespace
}  // namespace tug
