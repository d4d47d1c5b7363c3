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
//   zstd, 4 MiB frames, window 4 MiB: libzstd alone, over /usr/bin (540 MB), /usr/lib/{gcc,python3,
//   git-core} (316 MB) and shared libraries (496 MB)
//   level 1                                  361 → 212.8   373 → 118.1   389 → 182.8
//   level 2                                  310 → 194.6   309 → 110.8   326 → 170.8
//   unset, 3     (own tables, see below)     179 → 176.6   174 → 100.4   180 → 159.4
//   level 4      (own tables)                162 → 176.7   165 → 100.3   168 → 159.3
//   levels 5-7   libzstd's                   lib: 120 → 100.4, 83 → 98.1, 72 → 94.3
//   libzstd's 3                              lib: 233 → 104.5
//   level 3 in 3 MiB frames, smaller tables  lib: 188 → 102.4
//   Frames do not see each other, so that libzstd's level 3 in small frames loses to skopeo's one
//   stream. Frames of 4 MiB with a window that covers them, shorter matches (minMatch 4) and a larger
//   hash table win it back: an image of 3.4 GB in 8 layers became 934.9 MB, with skopeo 936.6 MB, and
//   with 3 MiB frames 950.4 MB. Larger frames would not fit: 6 sources on 2 cores must stay under
//   64 MB.
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
