// References and image names: what parses is printed and parsed again to the same value; only
// Error(usage) is thrown.
#include "tug/reference.h"

#include "tug/error.h"

#include <cstdint>
#include <cstdlib>

namespace {
template <typename Reference>
void round_trip(std::string_view text) {
  try {
    const auto reference = Reference::parse(text);
    if (!(Reference::parse(reference.str()) == reference)) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip<tug::RegistryReference>(text);
  round_trip<tug::ImageReference>(text);
  return 0;
}
