// gzip: members from chunks (ISA-L, libdeflate), and a stream of members back to bytes (zlib).
#ifndef TUG_STREAM_GZIP_H_
#define TUG_STREAM_GZIP_H_

#include "stream/chunk_encoder.h"

#include <tug/blob.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace tug {

// The most bytes a member of `size` bytes of input has, whichever encoder made it.
std::size_t gzip_member_bound(std::size_t size);

// Level 1: ISA-L on x86-64, libdeflate elsewhere.
std::unique_ptr<ChunkEncoder> fast_gzip_member_encoder();
// Levels 2-9: libdeflate, except for chunks in which there is nothing to find; those go to the fast
// encoder.
std::unique_ptr<ChunkEncoder> gzip_member_encoder(int level);

// Whether samples of `chunk` are as evenly spread as those of compressed or random data. Integers
// only: the same answer on every CPU.
bool looks_incompressible(std::span<const std::byte> chunk) noexcept;

// See decompressing_source().
std::unique_ptr<ByteSource> gunzip_source(std::unique_ptr<ByteSource> inner, std::string name);

}  // namespace tug

#endif  // TUG_STREAM_GZIP_H_
