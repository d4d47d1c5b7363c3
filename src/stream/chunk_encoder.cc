// What the levels mean. Measured on 2 cores (AVX-512) over tars of this system's files: /usr/bin
// (536 MB), /usr/lib/{gcc,python3,git-core,…} (389 MB) and shared libraries (400 MB), in MB of
// input per CPU-second and MB of output; skopeo 1.9.3 beside it (its CPU includes two SHA-256).
//
//   gzip, 1 MiB members                      /usr/bin      lib           shared libraries
//   level 1      ISA-L 1                     423 → 223.7   439 → 148.7   444 → 158.2
//   unset, 2     libdeflate 2                113 → 200.6   120 → 134.3   117 → 142.2
//   levels 3-9   libdeflate 3 … 9            lib: 108 → 132.7, 102 → 131.8, 82 → 128.7, 67 → 127.8,
//                                            49 → 127.2, 23 → 126.7, 17 → 126.6
//   skopeo, unset                             54 → 206.5    58 → 136.2    59 → 146.0
//   skopeo, 1                                 81 → 230.8    83 → 153.3    87 → 162.7
//   libdeflate 1 (148 → 210.7, 162 → 139.7, 159 → 149.2) is 1.020-1.026 × skopeo's default: too
//   many bytes for a default. Members of 512 KiB cost 0.1 %, 256 KiB 0.4 %, 4 MiB gain 0.1 %.
//
//   zstd, 3 MiB frames, window 4 MiB
//   level 1                                  373 → 213.8   387 → 139.7   410 → 148.5
//   level 2                                  297 → 200.4   305 → 131.0   330 → 139.5
//   unset, 3     (own tables, see below)     184 → 188.9   198 → 121.7   199 → 131.8
//   level 4      (own tables)                153 → 188.3   165 → 120.8   165 → 131.4
//   levels 5-9   libzstd's                   lib: 122 → 119.4, 83 → 116.1, 71 → 113.2, 58 → 112.3,
//                                            52 → 112.1
//   libzstd 3 in 1 MiB frames                222 → 195.0   236 → 127.4   237 → 135.6
//   skopeo, unset                             81 → 190.2    86 → 122.7    84 → 134.3
//   Frames do not see each other, so that libzstd 3 in small frames loses to skopeo's one stream.
//   Frames of 3 MiB with a window that covers them, shorter matches (minMatch 4) and larger hash
//   tables win it back for a sixth more CPU. 4 MiB frames would give 0.8 % less output, but
//   6 sources on 2 cores must stay under 64 MB.
#include "stream/chunk_encoder.h"

#include "stream/gzip.h"
#include "stream/zstd.h"

#include <tug/error.h>

#include <fmt/format.h>

namespace tug {
namespace {

constexpr int kDefaultGzipLevel = 2;
constexpr int kDefaultZstdLevel = 3;

int level_of(const CompressionSpec& spec) {
  return spec.level.value_or(spec.format == LayerCompression::gzip ? kDefaultGzipLevel
                                                                   : kDefaultZstdLevel);
}

}  // namespace

void CompressionSpec::validate() const {
  const bool is_gzip = format == LayerCompression::gzip;
  const int highest = is_gzip ? 9 : 22;
  if (!level || (*level >= 1 && *level <= highest)) return;
  throw Error(ErrorKind::usage, fmt::format("compression level {} is not one of {}'s: 1 to {}",
                                            *level, is_gzip ? "gzip" : "zstd", highest));
}

std::size_t chunk_size(LayerCompression format) noexcept {
  constexpr std::size_t kMiB = 1024 * 1024;
  return format == LayerCompression::gzip ? kMiB : 4 * kMiB;
}

std::size_t encoded_bound(LayerCompression format) {
  const std::size_t size = chunk_size(format);
  return format == LayerCompression::gzip ? gzip_member_bound(size) : zstd_frame_bound(size);
}

std::unique_ptr<ChunkEncoder> make_chunk_encoder(const CompressionSpec& spec) {
  if (spec.format == LayerCompression::zstd) return zstd_frame_encoder(level_of(spec));
  return level_of(spec) == 1 ? fast_gzip_member_encoder() : gzip_member_encoder(level_of(spec));
}

}  // namespace tug
