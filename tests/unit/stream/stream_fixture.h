// Sources and bytes for the tests of src/stream.
#ifndef TUG_TESTS_UNIT_STREAM_FIXTURE_H_
#define TUG_TESTS_UNIT_STREAM_FIXTURE_H_

#include "stream/file_source.h"
#include "support/read_all.h"

#include <tug/blob.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tug::test {

// Yields at most `step` bytes at a time, whatever is asked for.
class DrippingSource final : public ByteSource {
 public:
  DrippingSource(std::string bytes, std::size_t step)
      : inner_(memory_source(std::move(bytes))), step_(step) {}
  std::size_t read(std::span<std::byte> buffer) override {
    return inner_->read(buffer.first(std::min(buffer.size(), step_)));
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::size_t step_;
};

// SplitMix64: the same numbers everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }

 private:
  std::uint64_t state_;
};

inline std::string random_bytes(std::size_t size, std::uint64_t seed = 1) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next() >> 56U);
  return bytes;
}

// Bytes like a layer's: words, repetitions from far and near, small numbers, runs of zeros, and a
// part of random data.
inline std::string layer_bytes(std::size_t size, std::uint64_t seed = 1) {
  constexpr std::string_view kWords[] = {"include", "return ", "static_cast<",
                                         "the ",    "\n  ",    "std::"};
  Random random(seed);
  std::string bytes;
  bytes.reserve(size + 70000);
  while (bytes.size() < size) {
    const std::size_t kind = random.below(10);
    if (kind < 5) {
      for (int i = 0; i < 200; ++i) bytes += kWords[random.below(std::size(kWords))];
    } else if (kind == 5 && bytes.size() > 1000) {
      const std::size_t back = 1 + random.below(std::min<std::size_t>(bytes.size(), 100000));
      bytes += bytes.substr(bytes.size() - back, 3000);
    } else if (kind == 6) {
      bytes.append(random.below(2000), '\0');
    } else if (kind == 7) {
      for (int i = 0; i < 500; ++i) {
        bytes += static_cast<char>(random.below(16));
        bytes.append(3, '\0');
      }
    } else if (kind == 8) {
      bytes += random_bytes(2000, random.next());
    } else if (random.below(20) == 0) {
      bytes += random_bytes(65536, random.next());
    }
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace tug::test

#endif  // TUG_TESTS_UNIT_STREAM_FIXTURE_H_
