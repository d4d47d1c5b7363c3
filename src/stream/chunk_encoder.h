// One chunk of a layer into one gzip member or zstd frame: the part of compression that is pure.
#ifndef TUG_STREAM_CHUNK_ENCODER_H_
#define TUG_STREAM_CHUNK_ENCODER_H_

#include "stream/compress.h"

#include <cstddef>
#include <memory>
#include <span>

namespace tug {

// Bytes of input per chunk: a constant of the format, part of what makes output reproducible.
std::size_t chunk_size(LayerCompression format) noexcept;
// The most bytes that a chunk of chunk_size() can become.
std::size_t encoded_bound(LayerCompression format);

// Holds the codec's working memory, which is why it is used again and again. One thread at a time.
class ChunkEncoder {
 public:
  ChunkEncoder() = default;
  ChunkEncoder(const ChunkEncoder&) = delete;
  ChunkEncoder& operator=(const ChunkEncoder&) = delete;
  virtual ~ChunkEncoder() = default;
  // The bytes written to `out`, which has encoded_bound() bytes. The same chunk gives the same
  // bytes, whatever was encoded before. `chunk` may be empty.
  virtual std::size_t encode(std::span<const std::byte> chunk, std::span<std::byte> out) = 0;
};

// Requires a valid spec. Throws std::bad_alloc.
std::unique_ptr<ChunkEncoder> make_chunk_encoder(const CompressionSpec& spec);

}  // namespace tug

#endif  // TUG_STREAM_CHUNK_ENCODER_H_
