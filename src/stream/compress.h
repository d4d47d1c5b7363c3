// Compression as bytes pass: deterministic, in parallel chunks (design 6 and 9).
//
// gzip comes out as a sequence of members and zstd as a sequence of frames, one per fixed chunk of
// input, so that the same input, format and level give the same bytes with any number of threads,
// on any x86-64 CPU. What each level means, with measurements, is in chunk_encoder.cc.
#ifndef TUG_STREAM_COMPRESS_H_
#define TUG_STREAM_COMPRESS_H_

#include "base/cpu_pool.h"

#include <tug/blob.h>
#include <tug/copy.h>
#include <tug/digest.h>
#include <tug/transport.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

struct CompressionSpec {
  LayerCompression format = LayerCompression::gzip;
  std::optional<int> level;  // gzip 1-9, zstd 1-22; unset: the format's default
  // Throws Error(usage) naming the range.
  void validate() const;
  friend bool operator==(const CompressionSpec&, const CompressionSpec&) = default;
};

// Reads `inner` on the calling thread, compresses on `pool`, and yields the compressed bytes, from
// byte `skip` of them on. result() is digest and size of all compressed bytes (skipped ones
// included), with an empty media type. `pool` must outlive the source; destroying the source does
// not wait for the chunks that are being compressed.
//
// Memory, whatever the size: a chunk (gzip 1 MiB, zstd 4 MiB) for each permit that the sources of
// one pool share (threads + 2, or one for each source when those are more; CpuPool), and one for
// each thread with its encoder: 6 sources on 2 threads have at most 8 MiB for gzip and 38 MiB for
// zstd up to level 5.
//
// Throws Error(usage) for a bad level; read() throws what inner throws, Error(interrupted) after a
// stop request, and Error(integrity) when the compressed bytes end before byte `skip`.
std::unique_ptr<DigestingSource> compressing_source(std::unique_ptr<ByteSource> inner,
                                                    const CompressionSpec& spec, CpuPool& pool,
                                                    std::uint64_t skip = 0,
                                                    std::stop_token stop = {});

// Decompresses gzip (all members; zeros behind the last are padding), zstd (all frames, windows up
// to 128 MiB) or passes plain bytes, by magic number; throws Error(integrity) naming `name` when
// the stream is broken, truncated, or followed by something else.
std::unique_ptr<ByteSource> decompressing_source(std::unique_ptr<ByteSource> inner,
                                                 std::string name);
// Whether decompressing_source() decompresses what begins with `front` (4 bytes are enough).
bool is_compressed(std::string_view front) noexcept;

}  // namespace tug

#endif  // TUG_STREAM_COMPRESS_H_
