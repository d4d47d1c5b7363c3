#include "stream/zstd.h"

#include <tug/error.h>

#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <cstdint>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace tug {
namespace {

// 4 MiB: covers a chunk, so that every frame sees all of itself, and bounds what a reader needs at
// any level (libzstd's levels from 20 on would ask for up to 128 MiB).
constexpr int kWindowLog = 22;
// What a decoder is willing to give one stream (RFC 8878 recommends 8 MiB at least; --ultra and
// --long=27 make this much).
constexpr int kLargestWindowLog = 27;

void check(std::size_t result) {
  if (ZSTD_isError(result) != 0U)
    throw std::logic_error(fmt::format("zstd: {}", ZSTD_getErrorName(result)));
}

class FrameEncoder final : public ChunkEncoder {
 public:
  explicit FrameEncoder(int level) : context_(ZSTD_createCCtx()) {
    if (!context_) throw std::bad_alloc();
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_windowLog, kWindowLog);
    set(ZSTD_c_checksumFlag, 1);
    // Levels 3 and 4 of libzstd with larger tables and shorter matches: see chunk_encoder.cc.
    if (level == 3) set_tables(19, 16);
    if (level == 4) set_tables(19, 17);
  }

  std::size_t encode(std::span<const std::byte> chunk, std::span<std::byte> out) override {
    const std::size_t size =
        ZSTD_compress2(context_.get(), out.data(), out.size(), chunk.data(), chunk.size());
    check(size);
    return size;
  }

 private:
  struct Deleter {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };

  void set(ZSTD_cParameter parameter, int value) {
    check(ZSTD_CCtx_setParameter(context_.get(), parameter, value));
  }
  void set_tables(int hash_log, int chain_log) {
    set(ZSTD_c_strategy, ZSTD_dfast);
    set(ZSTD_c_hashLog, hash_log);
    set(ZSTD_c_chainLog, chain_log);
    set(ZSTD_c_minMatch, 4);
  }

  std::unique_ptr<ZSTD_CCtx, Deleter> context_;
};

class UnzstdSource final : public ByteSource {
 public:
  UnzstdSource(std::unique_ptr<ByteSource> inner, std::string name)
      : inner_(std::move(inner)),
        name_(std::move(name)),
        context_(ZSTD_createDCtx()),
        input_(ZSTD_DStreamInSize()) {
    if (!context_) throw std::bad_alloc();
    check(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kLargestWindowLog));
  }

  std::size_t read(std::span<std::byte> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !output_is_waiting_ && !refill()) return 0;
      const std::size_t wanted = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(wanted) != 0U) throw broken(wanted);
      between_frames_ = wanted == 0;
      // A full buffer may have left some inside of the decoder.
      output_is_waiting_ = out.pos == out.size && !between_frames_;
    }
    return out.pos;
  }

 private:
  struct Deleter {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };

  // False at the end of the last frame.
  bool refill() {
    const std::size_t size = inner_->read(input_);
    position_ += size;
    in_ = {input_.data(), size, 0};
    if (size > 0) return true;
    if (between_frames_) return false;
    throw Error(ErrorKind::integrity,
                fmt::format("{} is truncated: it ends at byte {} inside of a zstd frame", name_,
                            position_));
  }

  [[nodiscard]] Error broken(std::size_t result) const {
    if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
      return {ErrorKind::integrity, name_ + " needs a zstd window of more than 128 MiB"};
    return {ErrorKind::integrity, fmt::format("{} is not valid zstd data before byte {}: {}", name_,
                                              position_, ZSTD_getErrorName(result))};
  }

  const std::unique_ptr<ByteSource> inner_;
  const std::string name_;
  const std::unique_ptr<ZSTD_DCtx, Deleter> context_;
  std::vector<std::byte> input_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  std::uint64_t position_ = 0;  // bytes read from inner_
  bool between_frames_ = true;
  bool output_is_waiting_ = false;
};

}  // namespace

std::size_t zstd_frame_bound(std::size_t size) {
  return ZSTD_compressBound(size) + 8;  // the checksum is not part of libzstd's bound
}

std::unique_ptr<ChunkEncoder> zstd_frame_encoder(int level) {
  return std::make_unique<FrameEncoder>(level);
}

std::unique_ptr<ByteSource> unzstd_source(std::unique_ptr<ByteSource> inner, std::string name) {
  return std::make_unique<UnzstdSource>(std::move(inner), std::move(name));
}

}  // namespace tug
