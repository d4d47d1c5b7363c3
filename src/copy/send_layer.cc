#include "copy/send_layer.h"

#include "base/stop.h"
#include "stream/file_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

namespace tug {
namespace {

// What compresses to less is known by its digest before a byte is sent.
constexpr std::size_t kKnownInTime = 1024 * 1024;
// A larger layer hardly ever becomes so small: it is not held back to find out.
constexpr std::uint64_t kMayBecomeSmall = 16 * 1024 * 1024;
// To be raised when the same tar and level give other bytes than before. (A new version of a
// library does that too: then the registry refuses the sum of both halves, and all is sent again.)
constexpr int kCompressorVersion = 1;

// A compressed layer whose first bytes have been made already.
class PrefixedSource : public DigestingSource {
 public:
  PrefixedSource(std::string prefix, std::unique_ptr<DigestingSource> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    if (position_ == prefix_.size()) return rest_->read(buffer);
    const std::size_t size = std::min(buffer.size(), prefix_.size() - position_);
    std::copy_n(reinterpret_cast<const std::byte*>(prefix_.data()) + position_, size,
                buffer.begin());
    position_ += size;
    if (position_ == prefix_.size()) {
      prefix_ = std::string();
      position_ = 0;
    }
    return size;
  }
  [[nodiscard]] Descriptor result() const override { return rest_->result(); }

 private:
  std::string prefix_;
  std::size_t position_ = 0;
  std::unique_ptr<DigestingSource> rest_;
};

std::string read_prefix(ByteSource& source, const std::stop_token& stop) {
  std::string prefix(kKnownInTime, '\0');
  std::size_t filled = 0;
  while (filled < prefix.size()) {
    throw_if_stopped(stop);
    const std::size_t size = source.read(std::as_writable_bytes(std::span(prefix).subspan(filled)));
    if (size == 0) break;
    filled += size;
  }
  prefix.resize(filled);
  return prefix;
}

SentLayer send_known(const std::string& bytes, Descriptor descriptor, ImageDestination& destination,
                     const SentCallback& sent, const std::stop_token& stop) {
  if (destination.has_blob(descriptor, stop)) return {std::move(descriptor), 0, true};
  const Blob made{.descriptor = descriptor,
                  .open_size = bytes.size(),
                  .open = [&bytes](std::uint64_t offset) { return memory_source(bytes, offset); }};
  const std::uint64_t bytes_sent = destination.put_blob(made, sent, stop);
  return {std::move(descriptor), bytes_sent, false};
}

}  // namespace

std::string compressed_key(const Blob& layer, const CompressionSpec& spec) {
  if (!layer.diff_id) return {};
  return fmt::format("{} {}-{} v{}", layer.diff_id->str(),
                     spec.format == LayerCompression::gzip ? "gzip" : "zstd",
                     spec.level ? std::to_string(*spec.level) : "default", kCompressorVersion);
}

SentLayer send_compressed(const Blob& layer, const CompressionSpec& spec, const std::string& type,
                          ImageDestination& destination, const std::function<CpuPool&()>& pool,
                          const SentCallback& sent, const std::stop_token& stop) {
  const auto compressed = [&](std::uint64_t offset) {
    return compressing_source(layer.open(0), spec, pool(), offset, stop);
  };
  std::unique_ptr<DigestingSource> first = compressed(0);
  if (layer.open_size <= kMayBecomeSmall) {
    std::string prefix = read_prefix(*first, stop);
    if (prefix.size() < kKnownInTime) {
      Descriptor known = first->result();
      known.media_type = type;
      return send_known(prefix, std::move(known), destination, sent, stop);
    }
    first = std::make_unique<PrefixedSource>(std::move(prefix), std::move(first));
  }
  const auto open = [&](std::uint64_t offset) {
    if (first && offset == 0) return std::exchange(first, nullptr);
    first.reset();  // it holds threads and memory
    return compressed(offset);
  };
  const bool is_large = layer.open_size > kMayBecomeSmall;
  const StreamedBlob streamed{type, open, is_large ? compressed_key(layer, spec) : std::string()};
  Descriptor made = destination.put_stream(streamed, sent, stop);
  made.media_type = type;
  const std::uint64_t size = made.size;
  return {std::move(made), size, false};
}

SentLayer send_plain(const Blob& layer, bool knows_size, const std::string& type,
                     ImageDestination& destination, const SentCallback& sent,
                     const std::stop_token& stop) {
  const auto open = [&](std::uint64_t offset) {
    return hashing_source(layer.open(0), *layer.diff_id,
                          "the tar of layer " + layer.descriptor.digest.str(), offset);
  };
  StreamedBlob streamed{.media_type = type, .open = open};
  if (knows_size) streamed.expected = Descriptor{type, *layer.diff_id, layer.open_size};
  Descriptor made = destination.put_stream(streamed, sent, stop);
  made.media_type = type;
  const std::uint64_t size = made.size;
  return {std::move(made), size, false};
}

}  // namespace tug
