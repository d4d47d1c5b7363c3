#include "registry/upload_content.h"

#include "base/stop.h"
#include "registry/upload_rules.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tug::registry {
namespace {

constexpr std::size_t kSkipBuffer = 64 * 1024;

Hasher::Kind hasher_kind(DigestAlgorithm algorithm) noexcept {
  return algorithm == DigestAlgorithm::sha512 ? Hasher::Kind::sha512 : Hasher::Kind::sha256;
}

Error wrong_content(const Descriptor& descriptor, const std::string& found) {
  return Error(ErrorKind::integrity, fmt::format("the content of blob {} ({} bytes) is not what "
                                                 "its digest names: {}",
                                                 descriptor.digest.str(), descriptor.size, found));
}

// A source that threw is only good for destruction: the next seek() must open another.
template <typename Source>
std::size_t read_or_drop(std::unique_ptr<Source>& source, std::span<std::byte> buffer) {
  try {
    return source->read(buffer);
  } catch (...) {
    source.reset();
    throw;
  }
}

}  // namespace

// --- BlobContent ---------------------------------------------------------------------------------

// So many bytes of the blob from where it stands.
class BlobContent::PieceSource final : public ByteSource {
 public:
  PieceSource(BlobContent& content, std::uint64_t length) : content_(content), left_(length) {}
  std::size_t read(std::span<std::byte> buffer) override {
    if (left_ == 0) return 0;
    if (buffer.size() > left_) buffer = buffer.first(static_cast<std::size_t>(left_));
    const std::size_t count = content_.read(buffer);
    left_ -= count;
    return count;
  }

 private:
  BlobContent& content_;
  std::uint64_t left_;
};

BlobContent::BlobContent(const Blob& blob, std::stop_token stop)
    : blob_(blob), stop_(std::move(stop)), hasher_(fresh_hasher()) {}
BlobContent::~BlobContent() = default;

Hasher BlobContent::fresh_hasher() const {
  return Hasher(hasher_kind(blob_.descriptor.digest.algorithm()));
}

void BlobContent::seek(std::uint64_t offset) {
  if (source_ && position_ == offset) return;
  source_ = blob_.open(0);
  hasher_ = fresh_hasher();
  position_ = 0;
  checked_ = false;
  std::vector<std::byte> buffer(offset == 0 ? 0 : kSkipBuffer);
  while (position_ < offset) {
    throw_if_stopped(stop_);
    const auto wanted = std::min<std::uint64_t>(buffer.size(), offset - position_);
    read(std::span(buffer).first(static_cast<std::size_t>(wanted)));
  }
}

// Never 0 before the blob's size is reached: a body that ends early would be the network's fault.
std::size_t BlobContent::read(std::span<std::byte> buffer) {
  const std::size_t count = read_or_drop(source_, buffer);
  if (count == 0)
    throw wrong_content(blob_.descriptor, fmt::format("it ends after {} bytes", position_));
  hasher_.update(buffer.first(count));
  position_ += count;
  return count;
}

UploadContent::Piece BlobContent::piece(std::uint64_t length) {
  piece_ = std::make_unique<PieceSource>(*this, length);
  return {piece_.get(), length, position_ + length == blob_.descriptor.size};
}

UploadContent::Piece BlobContent::rest() { return piece(blob_.descriptor.size - position_); }

UploadContent::Piece BlobContent::chunk(std::uint64_t size, std::uint64_t max) {
  return piece(next_chunk(blob_.descriptor.size - position_, size, max));
}

Descriptor BlobContent::finish() {
  if (checked_) return blob_.descriptor;
  std::array<std::byte, 1> more;
  if (source_->read(more) != 0) throw wrong_content(blob_.descriptor, "there are more bytes");
  const Digest found = Digest::from_bytes(blob_.descriptor.digest.algorithm(), hasher_.finish());
  if (found != blob_.descriptor.digest)
    throw wrong_content(blob_.descriptor, "it hashes to " + found.str());
  checked_ = true;
  return blob_.descriptor;
}

// --- StreamContent -------------------------------------------------------------------------------

// Straight from the source to its end.
class StreamContent::RestSource final : public ByteSource {
 public:
  explicit RestSource(StreamContent& content) : content_(content) {}
  std::size_t read(std::span<std::byte> buffer) override { return content_.read(buffer); }

 private:
  StreamContent& content_;
};

// Bytes that wait in the window.
class StreamContent::WindowSource final : public ByteSource {
 public:
  explicit WindowSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = std::min(buffer.size(), bytes_.size());
    std::copy_n(bytes_.begin(), count, buffer.begin());
    bytes_ = bytes_.subspan(count);
    return count;
  }

 private:
  std::span<const std::byte> bytes_;
};

StreamContent::StreamContent(const StreamedBlob& blob, std::stop_token stop)
    : blob_(blob), stop_(std::move(stop)) {}
StreamContent::~StreamContent() = default;

std::optional<std::uint64_t> StreamContent::size() const {
  return measured_ ? std::optional(measured_->size) : std::nullopt;
}

void StreamContent::open(std::uint64_t offset) {
  source_ = blob_.open(offset);
  position_ = offset;
  ended_ = false;
  window_.clear();
}

void StreamContent::seek(std::uint64_t offset) {
  const std::uint64_t window_start = position_ - window_.size();
  if (!source_ || offset < window_start || offset > position_) open(offset);
  offset_ = offset;
}

std::size_t StreamContent::read(std::span<std::byte> buffer) {
  const std::size_t count = ended_ ? 0 : read_or_drop(source_, buffer);
  ended_ = count == 0;
  position_ += count;
  return count;
}

UploadContent::Piece StreamContent::rest() {
  if (offset_ != position_) open(offset_);
  window_ = {};  // what it held is not needed any more, and its memory neither
  piece_ = std::make_unique<RestSource>(*this);
  return {piece_.get(), measured_ ? std::optional(measured_->size - offset_) : std::nullopt, true};
}

// Drops what is before offset_, and reads until `bytes` wait or the end is reached.
void StreamContent::fill_window(std::size_t bytes) {
  const std::uint64_t start = position_ - window_.size();
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(offset_ - start));
  std::size_t filled = window_.size();
  if (filled >= bytes) return;
  window_.resize(bytes);
  while (filled < bytes) {
    throw_if_stopped(stop_);
    const std::size_t count = read(std::span(window_).subspan(filled));
    if (count == 0) break;
    filled += count;
  }
  window_.resize(filled);
}

UploadContent::Piece StreamContent::chunk(std::uint64_t size, std::uint64_t max) {
  const auto capacity = static_cast<std::size_t>(size);
  fill_window(capacity + 2);  // two more, to know whether a single byte would be left
  const std::uint64_t remaining = ended_ ? window_.size() : UINT64_MAX;
  const std::uint64_t length = next_chunk(remaining, size, max);
  piece_ =
      std::make_unique<WindowSource>(std::span(window_).first(static_cast<std::size_t>(length)));
  return {piece_.get(), length, length == remaining};
}

Descriptor StreamContent::finish() {
  std::array<std::byte, 1> more;
  if (read(more) != 0) throw Error(ErrorKind::integrity, "a layer became longer while it was sent");
  Descriptor result = source_->result();
  result.media_type = blob_.media_type;
  if (measured_ && (result.digest != measured_->digest || result.size != measured_->size))
    throw wrong_content(*measured_, "made a second time, it hashes to " + result.digest.str());
  return result;
}

void StreamContent::measure() {
  open(0);
  std::vector<std::byte> buffer(kSkipBuffer);
  while (read(buffer) != 0) throw_if_stopped(stop_);
  measured_ = source_->result();
  measured_->media_type = blob_.media_type;
  offset_ = 0;
}

}  // namespace tug::registry
