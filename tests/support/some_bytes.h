// Content for blobs of tests.
#ifndef TUG_TESTS_SUPPORT_SOME_BYTES_H_
#define TUG_TESTS_SUPPORT_SOME_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tug::test {

// `size` bytes that differ from offset to offset and from seed to seed.
inline std::string some_bytes(std::size_t size, std::uint32_t seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_SOME_BYTES_H_
