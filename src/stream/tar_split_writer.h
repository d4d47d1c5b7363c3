// Writes tar-split: the recipe from which TarSplitReader, and containers/storage, make a tar again
// (containers-storage-format.md 5.1).
#ifndef TUG_STREAM_TAR_SPLIT_WRITER_H_
#define TUG_STREAM_TAR_SPLIT_WRITER_H_

#include "stream/chunk_encoder.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// A line of JSON per entry, compressed with gzip and handed to `write` in pieces of some hundred
// KiB. A resource; one thread. Every method throws what `write` throws.
class TarSplitWriter {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;
  explicit TarSplitWriter(Write write);

  // Bytes of the tar, in pieces that a reader takes (at most 1 MiB each).
  void segment(std::string_view bytes);
  // A member whose `size` bytes of content belong here; `crc`: Crc64 of them.
  void file(std::string_view name, std::uint64_t size, std::uint64_t crc);
  void finish();

 private:
  void add(std::string_view text);
  void flush();

  Write write_;
  std::unique_ptr<ChunkEncoder> encoder_;
  std::vector<std::byte> encoded_;
  std::string pending_;
  std::uint64_t position_ = 0;
};

}  // namespace tug

#endif  // TUG_STREAM_TAR_SPLIT_WRITER_H_
