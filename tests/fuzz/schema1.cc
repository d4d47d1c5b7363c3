// A signed manifest of schema 1: what its digest is of, or Error(integrity).
#include "oci/schema1.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto payload = tug::schema1_payload(text);
    if (payload && payload->size() > 2 * size) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
