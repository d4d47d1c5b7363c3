// The text helpers of base: what strangers send is made printable, and base64 is decoded or
// refused.
#include "base/cpu_limits.h"
#include "base/strings.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string shown = tug::printable(text, 200);
  if (shown.size() > 200 || tug::printable(shown, 200) != shown) std::abort();
  if (shown.find_first_of("\n\r\x1b") != std::string::npos) std::abort();
  if (tug::base64_decode(tug::base64_encode(text)) != std::string(text)) std::abort();
  if (const auto bytes = tug::base64_decode(text); bytes && bytes->size() > size) std::abort();
  (void)tug::nearest(text, {"copy", "inspect", "list-tags"});
  (void)tug::parse_cgroup_paths(text);
  (void)tug::parse_cpu_max(text);
  return 0;
}
