// --step-config KEY=VALUE: a key without white space around it and the value untouched, or
// Error(usage).
#include "base/strings.h"
#include "step/config.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const auto [key, value] = tug::step::parse_key_value(text);
    if (key.empty() || tug::trim(key) != key || !text.ends_with("=" + value)) std::abort();
    if (tug::step::parse_step_config({text, text}).as_map()->size() != 1) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
