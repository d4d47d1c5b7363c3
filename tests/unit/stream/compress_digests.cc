// Prints the digest of what each level makes of the same bytes: one line per level. Run natively
// and on emulated CPUs by cpu_determinism.sh.
#include "stream/compress.h"
#include "stream_fixture.h"

#include <cstdio>

int main() {
  // A whole chunk of each format and a part of another, with random parts as well.
  const std::string bytes =
      tug::test::layer_bytes(3 * 1024 * 1024 + 500000, 7) + tug::test::random_bytes(1024 * 1024, 8);
  tug::CpuPool pool(2);
  const auto print = [&](const char* format, const tug::CompressionSpec& spec) {
    auto source = tug::compressing_source(tug::memory_source(bytes), spec, pool);
    tug::test::read_all(*source);
    std::printf("%s %d %s %llu\n", format, *spec.level, source->result().digest.str().c_str(),
                static_cast<unsigned long long>(source->result().size));
  };
  for (const int level : {1, 2, 6, 9}) print("gzip", {tug::LayerCompression::gzip, level});
  for (const int level : {1, 3}) print("zstd", {tug::LayerCompression::zstd, level});
  return 0;
}
