// Digests: parse and try_parse agree, and a digest is its text.
#include "tug/digest.h"

#include "tug/error.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto digest = tug::Digest::try_parse(text);
  if (digest && digest->str() != text) std::abort();
  try {
    if (tug::Digest::parse(text) != digest) std::abort();
  } catch (const tug::Error& error) {
    if (digest || error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
