// Decompression: any bytes are decompressed, passed, or refused with Error(integrity); in pieces of
// any size with the same result.
#include "stream/compress.h"
#include "stream/file_source.h"

#include <tug/error.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace {

// nullopt for a refusal. At most 4 MiB are looked at: small inputs may stand for huge ones.
std::optional<std::string> decompress(const std::string& bytes, std::size_t step) {
  std::string all;
  std::array<std::byte, 65536> piece{};
  try {
    const auto source = tug::decompressing_source(tug::memory_source(bytes), "x");
    while (const std::size_t got = source->read(std::span(piece).first(step))) {
      all.append(reinterpret_cast<const char*>(piece.data()), got);
      if (all.size() >= 4U << 20U) break;
    }
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
    return std::nullopt;
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (decompress(bytes, 65536) != decompress(bytes, 1024)) std::abort();
  return 0;
}
