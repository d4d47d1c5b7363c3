// tar-split: the recipe from which containers-storage rebuilds a layer's tar byte for byte
// (containers-storage-format.md 5.1), a sequence of JSON objects: pieces of the tar (headers,
// padding, the end), and between them the names of the files whose contents belong there.
#ifndef TUG_STREAM_TAR_SPLIT_H_
#define TUG_STREAM_TAR_SPLIT_H_

#include <tug/blob.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tug {

// One object. The views are valid until the reader's next next().
struct TarSplitEntry {
  enum class Kind { segment, file };
  Kind kind = Kind::segment;
  std::string_view payload;          // segment: bytes of the tar; may be empty
  std::string_view name;             // file: the member's name as it is in the tar, without NUL
  std::uint64_t size = 0;            // file: the size that the member's header gives
  std::optional<std::uint64_t> crc;  // file: Crc64 of its contents, when recorded
};

// Reads the JSON stream without building a document of it: layers with many small files have more
// of it than of contents. A resource that can be moved; one thread at a time.
class TarSplitReader {
 public:
  // `json` is decompressed already; `name` is for messages.
  TarSplitReader(std::unique_ptr<ByteSource> json, std::string name);
  TarSplitReader(TarSplitReader&&) noexcept;
  TarSplitReader& operator=(TarSplitReader&&) noexcept;
  ~TarSplitReader();

  // The next entry in the order of the tar; false at the end. Throws what the source throws, and
  // Error(integrity), naming the file, the entry and the byte, for anything that tar-split does not
  // write: truncated or other JSON, unknown types, positions out of order, sizes that do not add up
  // to 63 bits, a segment over 8 MiB, a name over 64 KiB or with a NUL.
  bool next(TarSplitEntry& entry);

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

// A member's name as a path inside the layer's directory: `.`, `..` and repeated slashes taken out
// as if it were absolute, before the file system sees it (5.2); "" is the directory itself.
std::string clean_member_name(std::string_view name);

// CRC-64 as Go's hash/crc64 has it under the name ISO: what tells which file of a layer is damaged.
class Crc64 {
 public:
  void update(std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] std::uint64_t value() const noexcept { return ~state_; }

 private:
  std::uint64_t state_ = ~std::uint64_t{0};
};

}  // namespace tug

#endif  // TUG_STREAM_TAR_SPLIT_H_
