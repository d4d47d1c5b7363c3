// Image configurations: what comes out is one that comes out of itself; only Error(integrity) is
// thrown.
#include "oci/image_config.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const tug::OciConfig once = tug::oci_config(bytes);
    const tug::OciConfig twice = tug::oci_config(once.bytes);
    if (twice.bytes != once.bytes || !twice.lost.empty()) std::abort();
    static_cast<void>(tug::platform_of_config(bytes));
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
