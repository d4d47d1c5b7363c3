#include "stream/compress.h"
#include "stream/gzip.h"
#include "stream/zstd.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace tug {
namespace {

// Yields the bytes that were read to find out what they are, then the rest.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::string front, std::unique_ptr<ByteSource> inner)
      : front_(std::move(front)), inner_(std::move(inner)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    if (position_ == front_.size()) return inner_->read(buffer);
    const std::size_t size = std::min(buffer.size(), front_.size() - position_);
    std::memcpy(buffer.data(), front_.data() + position_, size);
    position_ += size;
    return size;
  }

 private:
  const std::string front_;
  std::size_t position_ = 0;
  const std::unique_ptr<ByteSource> inner_;
};

constexpr std::size_t kMagicSize = 4;

bool is_gzip(std::string_view magic) noexcept { return magic.starts_with("\x1f\x8b"); }

// A frame, or one of the 16 kinds of skippable frames (RFC 8878, 3.1.2), which pzstd begins with.
bool is_zstd(std::string_view magic) noexcept {
  if (magic.size() < kMagicSize) return false;
  return magic == "\x28\xb5\x2f\xfd" || ((static_cast<unsigned char>(magic[0]) & 0xf0U) == 0x50U &&
                                         magic.substr(1) == "\x2a\x4d\x18");
}

std::string read_magic(ByteSource& source) {
  std::string magic(kMagicSize, '\0');
  std::size_t size = 0;
  while (size < magic.size()) {
    const std::size_t got = source.read(std::as_writable_bytes(std::span(magic)).subspan(size));
    if (got == 0) break;
    size += got;
  }
  magic.resize(size);
  return magic;
}

// Looks at the first bytes when somebody reads, so that opening a source never blocks.
class DecompressingSource final : public ByteSource {
 public:
  DecompressingSource(std::unique_ptr<ByteSource> inner, std::string name)
      : inner_(std::move(inner)), name_(std::move(name)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    if (!plain_) plain_ = detect();
    return plain_->read(buffer);
  }

 private:
  std::unique_ptr<ByteSource> detect() {
    std::string magic = read_magic(*inner_);
    const bool gzip = is_gzip(magic);
    const bool zstd = is_zstd(magic);
    auto whole = std::make_unique<PeekedSource>(std::move(magic), std::move(inner_));
    if (gzip) return gunzip_source(std::move(whole), name_);
    if (zstd) return unzstd_source(std::move(whole), name_);
    return whole;
  }

  std::unique_ptr<ByteSource> inner_;
  const std::string name_;
  std::unique_ptr<ByteSource> plain_;
};

}  // namespace

bool is_compressed(std::string_view front) noexcept {
  const std::string_view magic = front.substr(0, kMagicSize);
  return is_gzip(magic) || is_zstd(magic);
}

std::unique_ptr<ByteSource> decompressing_source(std::unique_ptr<ByteSource> inner,
                                                 std::string name) {
  return std::make_unique<DecompressingSource>(std::move(inner), std::move(name));
}

}  // namespace tug
