// parse_retry_after: never negative, never more than ten years. The input is the value, a newline,
// the response's Date.
#include "http/retry.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view value = text.substr(0, text.find('\n'));
  const std::string_view date = text.substr(value.size() == size ? size : value.size() + 1);
  const std::chrono::system_clock::time_point now{std::chrono::seconds(784111777)};
  const auto delay = tug::http::parse_retry_after(value, date, now);
  if (delay && (delay->count() < 0 || *delay > std::chrono::hours(24 * 3650))) std::abort();
  return 0;
}
