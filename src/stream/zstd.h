// zstd: frames from chunks, and a stream of frames back to bytes. zstd.cc alone knows libzstd.
#ifndef TUG_STREAM_ZSTD_H_
#define TUG_STREAM_ZSTD_H_

#include "stream/chunk_encoder.h"

#include <tug/blob.h>

#include <cstddef>
#include <memory>
#include <string>

namespace tug {

std::size_t zstd_frame_bound(std::size_t size);

// Each frame has its content size and an XXH64 checksum (4 bytes per frame, so that `zstd -t`
// notices damage; skopeo writes it too).
std::unique_ptr<ChunkEncoder> zstd_frame_encoder(int level);

// See decompressing_source().
std::unique_ptr<ByteSource> unzstd_source(std::unique_ptr<ByteSource> inner, std::string name);

}  // namespace tug

#endif  // TUG_STREAM_ZSTD_H_
