#include "support/error_of.h"
#include "tug/descriptor.h"

#include <string>
#include <vector>

namespace tug {
namespace {

TEST_CASE("a platform is parsed and printed") {
  const Platform two = Platform::parse("linux/amd64");
  CHECK(two.os == "linux");
  CHECK(two.architecture == "amd64");
  CHECK(two.variant.empty());
  CHECK(two.str() == "linux/amd64");
  CHECK(Platform::parse("linux/arm/v7").variant == "v7");
  CHECK(Platform::parse("linux/arm/v7").str() == "linux/arm/v7");
}

TEST_CASE("whatever is no platform is refused") {
  for (const char* text : {"", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x",
                           "linux//v7", "linux/am d64", "linux/amd64\n", "linux/\xC3\xA4"}) {
    CAPTURE(text);
    test::check_error(ErrorKind::usage, "OS/ARCHITECTURE", [&] { return Platform::parse(text); });
  }
}

TEST_CASE("this machine has a platform in Go's names") {
  const Platform host = Platform::host();
  CHECK(host.os == "linux");
  CHECK(!host.architecture.empty());
  CHECK(host.architecture != "x86_64");
  CHECK(host.architecture != "aarch64");
#ifdef __x86_64__
  CHECK(host.str() == "linux/amd64");
#endif
}

TEST_CASE("compatible variants come best first") {
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {"linux/amd64", {"", "v1"}},
      {"linux/amd64/v1", {"v1", ""}},
      {"linux/amd64/v3", {"v3", "v2", "v1", ""}},
      {"linux/arm", {"", "v8", "v7", "v6", "v5"}},
      {"linux/arm/v8", {"v8", "v7", "v6", "v5", ""}},
      {"linux/arm/v7", {"v7", "v6", "v5", ""}},
      {"linux/arm/v5", {"v5", ""}},
      {"linux/arm/v9", {"v9", ""}},
      {"linux/arm64", {"", "v8"}},
      {"linux/arm64/v8", {"v8", ""}},
      {"linux/arm64/v9", {"v9", ""}},
      {"linux/s390x", {""}},
      {"linux/ppc64le/power9", {"power9", ""}},
  };
  for (const auto& row : cases) {
    const auto& platform = row.first;
    const auto& variants = row.second;
    CAPTURE(platform);
    CHECK(Platform::parse(platform).compatible_variants() == variants);
  }
}

}  // namespace
}  // namespace tug
