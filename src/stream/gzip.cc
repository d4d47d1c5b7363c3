#include "stream/gzip.h"

#include <tug/error.h>

#include <fmt/format.h>
#if defined(__x86_64__)
#include <isa-l/igzip_lib.h>
#endif
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace tug {
namespace {

class DeflateEncoder final : public ChunkEncoder {
 public:
  explicit DeflateEncoder(int level) : compressor_(libdeflate_alloc_compressor(level)) {
    if (!compressor_) throw std::bad_alloc();
  }

  // libdeflate's header has no time and no name, and says "unknown system".
  std::size_t encode(std::span<const std::byte> chunk, std::span<std::byte> out) override {
    const std::size_t size = libdeflate_gzip_compress(compressor_.get(), chunk.data(), chunk.size(),
                                                      out.data(), out.size());
    if (size == 0) throw std::logic_error("libdeflate: the bound was too small");
    return size;
  }

 private:
  struct Deleter {
    void operator()(libdeflate_compressor* compressor) const noexcept {
      libdeflate_free_compressor(compressor);
    }
  };
  const std::unique_ptr<libdeflate_compressor, Deleter> compressor_;
};

#if defined(__x86_64__)
// ISA-L's level 1 gives the same bytes with its AVX-512, AVX2 and SSE code, as its level 3 does not
// (design 9; tests/unit/stream/cpu_determinism.sh). On other architectures Debian's ISA-L is absent
// or of other code, so that libdeflate takes its place: there, level 1 gives other bytes.
class IsalEncoder final : public ChunkEncoder {
 public:
  std::size_t encode(std::span<const std::byte> chunk, std::span<std::byte> out) override {
    isal_zstream& stream = *stream_;
    isal_deflate_init(&stream);
    stream.level = 1;
    stream.level_buf = level_buffer_.data();
    stream.level_buf_size = kLevelBufferSize;
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.flush = NO_FLUSH;
    // The library takes a pointer to non-const, and only reads.
    stream.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(chunk.data()));
    stream.avail_in = static_cast<std::uint32_t>(chunk.size());
    stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream.avail_out = static_cast<std::uint32_t>(out.size());
    if (isal_deflate(&stream) != COMP_OK || stream.internal_state.state != ZSTATE_END)
      throw std::logic_error("ISA-L: the bound was too small");
    return stream.total_out;
  }

 private:
  // Part of the output's definition: how many tokens a block has.
  static constexpr std::uint32_t kLevelBufferSize = ISAL_DEF_LVL1_EXTRA_LARGE;

  const std::unique_ptr<isal_zstream> stream_ = std::make_unique<isal_zstream>();
  std::vector<std::uint8_t> level_buffer_ = std::vector<std::uint8_t>(kLevelBufferSize);
};
#endif

// libdeflate searches random data at 80 MB per CPU-second to find nothing, a third of what skopeo's
// encoder takes for it; ISA-L passes it at 1400. Layers have many such files: jars, wheels, images.
class GzipEncoder final : public ChunkEncoder {
 public:
  explicit GzipEncoder(int level) : thorough_(level), fast_(fast_gzip_member_encoder()) {}

  std::size_t encode(std::span<const std::byte> chunk, std::span<std::byte> out) override {
    return looks_incompressible(chunk) ? fast_->encode(chunk, out) : thorough_.encode(chunk, out);
  }

 private:
  DeflateEncoder thorough_;
  const std::unique_ptr<ChunkEncoder> fast_;
};

class GunzipSource final : public ByteSource {
 public:
  GunzipSource(std::unique_ptr<ByteSource> inner, std::string name)
      : inner_(std::move(inner)), name_(std::move(name)), input_(kInputSize) {
    // 15: the format's largest window; + 16: gzip and nothing else.
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;
  ~GunzipSource() override { inflateEnd(&stream_); }

  std::size_t read(std::span<std::byte> buffer) override {
    const auto room = static_cast<uInt>(std::min<std::size_t>(buffer.size(), kLargestStep));
    stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_.avail_out = room;
    while (stream_.avail_out == room) {
      if (between_members_ && !begin_member()) return 0;
      step();
    }
    return room - stream_.avail_out;
  }

 private:
  static constexpr std::size_t kInputSize = 64 * 1024;
  static constexpr std::size_t kLargestStep = 1U << 30U;

  // False when there is no other member.
  bool begin_member() {
    if (stream_.avail_in == 0 && !refill()) return false;
    if (members_ > 0 && *stream_.next_in == 0) {
      skip_padding();
      return false;
    }
    inflateReset(&stream_);
    between_members_ = false;
    ++members_;
    return true;
  }

  // Tapes and some archivers fill the last block with zeros (gzip(1) ignores them as well).
  void skip_padding() {
    do {
      const std::span rest(stream_.next_in, stream_.avail_in);
      if (std::any_of(rest.begin(), rest.end(), [](Bytef byte) { return byte != 0; }))
        throw broken();
      stream_.avail_in = 0;
    } while (refill());
  }

  void step() {
    if (stream_.avail_in == 0 && !refill()) {
      throw Error(
          ErrorKind::integrity,
          fmt::format("{} is truncated: it ends at byte {} inside of gzip data", name_, position_));
    }
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      between_members_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw broken();
    }
  }

  bool refill() {
    const std::size_t size = inner_->read(input_);
    position_ += size;
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(size);
    return size > 0;
  }

  [[nodiscard]] Error broken() const {
    return {ErrorKind::integrity,
            fmt::format("{} is not valid gzip data near byte {}: {}", name_,
                        position_ - stream_.avail_in,
                        stream_.msg != nullptr ? stream_.msg : "bytes behind the end")};
  }

  const std::unique_ptr<ByteSource> inner_;
  const std::string name_;
  std::vector<std::byte> input_;
  z_stream stream_{};
  std::uint64_t position_ = 0;  // bytes read from inner_
  std::uint64_t members_ = 0;
  bool between_members_ = true;
};

}  // namespace

std::size_t gzip_member_bound(std::size_t size) {
  // ISA-L gives no bound of its own. It stores what does not shrink, in blocks with 5 bytes of
  // header; a sixteenth is far beyond that.
  return std::max(libdeflate_gzip_compress_bound(nullptr, size), size + size / 16 + 1024);
}

std::unique_ptr<ChunkEncoder> fast_gzip_member_encoder() {
#if defined(__x86_64__)
  return std::make_unique<IsalEncoder>();
#else
  return std::make_unique<DeflateEncoder>(1);
#endif
}

std::unique_ptr<ChunkEncoder> gzip_member_encoder(int level) {
  return std::make_unique<GzipEncoder>(level);
}

// The sum of squared byte counts is least, N² / 256, when all bytes are equally frequent. Measured
// in samples of 4 KiB per 64 KiB, which takes 1 % of libdeflate 2's time, as multiples of that:
// random 1.00, jmods 1.00-1.10, images and .gz files with headers between them 1.0-1.4, programs
// from 4, text from 8. Below the limit of 1.25, level 1 in place of level 2 makes 2.4 % more of
// jmods (still 0.9 % less than skopeo) and is 9 times as fast.
bool looks_incompressible(std::span<const std::byte> chunk) noexcept {
  constexpr std::size_t kStride = 64 * 1024;
  constexpr std::size_t kSample = 4 * 1024;
  std::array<std::uint64_t, 256> counts{};
  std::uint64_t total = 0;
  for (std::size_t at = 0; at < chunk.size(); at += kStride) {
    const auto sample = chunk.subspan(at, std::min(kSample, chunk.size() - at));
    for (const std::byte byte : sample) ++counts[std::to_integer<std::size_t>(byte)];
    total += sample.size();
  }
  if (total < 4 * kSample) return false;  // too few to judge, and cheap anyway
  std::uint64_t squares = 0;
  for (const std::uint64_t count : counts) squares += count * count;
  return squares * 256 * 4 < total * total * 5;
}

std::unique_ptr<ByteSource> gunzip_source(std::unique_ptr<ByteSource> inner, std::string name) {
  return std::make_unique<GunzipSource>(std::move(inner), std::move(name));
}

}  // namespace tug
