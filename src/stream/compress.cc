#include "stream/compress.h"

#include "base/hash.h"
#include "base/stop.h"
#include "stream/chunk_encoder.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <future>
#include <utility>
#include <vector>

namespace tug {
namespace {

// Memory for one chunk, before or after compression: encoded_bound() bytes, `size` of them used.
struct Chunk {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;

  [[nodiscard]] std::span<const std::byte> content() const { return {bytes.get(), size}; }
};

// What a thread of the pool keeps from one chunk to the next: setting up an encoder costs as much
// as a small chunk, and its memory is per thread, not per source.
class ThreadEncoder {
 public:
  // Compresses `chunk` into this thread's spare buffer, which trades places with the chunk's.
  Chunk encode(const CompressionSpec& spec, Chunk chunk) {
    prepare(spec);
    const std::size_t size = encoder_->encode(chunk.content(), {spare_.get(), capacity_});
    std::swap(chunk.bytes, spare_);
    chunk.size = size;
    return chunk;
  }

 private:
  void prepare(const CompressionSpec& spec) {
    if (encoder_ && spec == spec_) return;
    encoder_.reset();
    spare_.reset();
    capacity_ = encoded_bound(spec.format);
    spare_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
    encoder_ = make_chunk_encoder(spec);
    spec_ = spec;
  }

  CompressionSpec spec_;
  std::unique_ptr<ChunkEncoder> encoder_;
  std::unique_ptr<std::byte[]> spare_;
  std::size_t capacity_ = 0;
};

Chunk encode_on_this_thread(const CompressionSpec& spec, Chunk chunk) {
  thread_local ThreadEncoder encoder;
  return encoder.encode(spec, std::move(chunk));
}

// The buffers of one source, each with a permit of the pool: one that it always gets, so that it
// always gets on, and more while there are some.
class Buffers {
 public:
  Buffers(CpuPool& pool, std::size_t capacity) : pool_(pool), capacity_(capacity) {}
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  ~Buffers() {
    for (; made_ > 0; --made_) pool_.return_permit();
  }

  // A chunk without content; without bytes when there is no room.
  Chunk take() {
    if (!free_.empty()) {
      Chunk chunk{std::move(free_.back())};
      free_.pop_back();
      return chunk;
    }
    if (made_ == 0) {
      pool_.take_permit();
    } else if (!pool_.try_take_permit()) {
      return {};
    }
    ++made_;
    return {std::make_unique_for_overwrite<std::byte[]>(capacity_)};
  }

  void give_back(Chunk chunk) {
    if (!chunk.bytes) return;
    if (made_ > 1 && pool_.permits_are_overdrawn()) {
      --made_;
      pool_.return_permit();
      return;
    }
    free_.push_back(std::move(chunk.bytes));
  }

 private:
  CpuPool& pool_;
  const std::size_t capacity_;
  std::size_t made_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

class CompressingSource final : public DigestingSource {
 public:
  CompressingSource(std::unique_ptr<ByteSource> inner, const CompressionSpec& spec, CpuPool& pool,
                    std::uint64_t skip, std::stop_token stop)
      : inner_(std::move(inner)),
        spec_(spec),
        pool_(pool),
        skip_(skip),
        stop_(std::move(stop)),
        buffers_(pool, encoded_bound(spec.format)) {}
  CompressingSource(const CompressingSource&) = delete;
  CompressingSource& operator=(const CompressingSource&) = delete;
  ~CompressingSource() override { abandoned_->store(true); }

  std::size_t read(std::span<std::byte> buffer) override {
    while (yielded_ == current_.size) {
      if (!next_chunk()) return 0;
    }
    const std::size_t size = std::min(buffer.size(), current_.size - yielded_);
    std::memcpy(buffer.data(), current_.bytes.get() + yielded_, size);
    yielded_ += size;
    return size;
  }

  [[nodiscard]] Descriptor result() const override {
    if (!result_) throw std::logic_error("result() of a stream that has not ended");
    return *result_;
  }

 private:
  // Makes the next compressed chunk the current one; false at the end.
  bool next_chunk() {
    throw_if_stopped(stop_);  // to skip gigabytes takes minutes
    yielded_ = 0;
    buffers_.give_back(std::exchange(current_, Chunk{}));
    submit_chunks();
    if (pending_.empty()) {
      finish();
      return false;
    }
    current_ = pending_.front().get();
    pending_.pop_front();
    hasher_.update(current_.content());
    total_ += current_.size;
    yielded_ = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, current_.size));
    skip_ -= yielded_;
    return true;
  }

  void submit_chunks() {
    while (!input_ended_) {
      Chunk chunk = buffers_.take();
      if (!chunk.bytes) return;
      fill(chunk);
      // No input at all is one empty member or frame; a last empty one is left out.
      if (chunk.size == 0 && chunks_ > 0) return buffers_.give_back(std::move(chunk));
      submit(std::move(chunk));
    }
  }

  // Full unless the input ends, however small the pieces are that it comes in.
  void fill(Chunk& chunk) {
    const std::span room(chunk.bytes.get(), chunk_size(spec_.format));
    while (chunk.size < room.size()) {
      const std::size_t got = inner_->read(room.subspan(chunk.size));
      if (got == 0) {
        input_ended_ = true;
        return;
      }
      chunk.size += got;
    }
  }

  void submit(Chunk chunk) {
    ++chunks_;
    // Shared, because std::function must be copyable.
    auto task = std::make_shared<std::packaged_task<Chunk()>>(
        [chunk = std::move(chunk), spec = spec_, abandoned = abandoned_]() mutable {
          return abandoned->load() ? Chunk{} : encode_on_this_thread(spec, std::move(chunk));
        });
    pending_.push_back(task->get_future());
    pool_.submit([task = std::move(task)] { (*task)(); });
  }

  void finish() {
    if (skip_ > 0) {
      throw Error(ErrorKind::integrity,
                  fmt::format("the compressed layer has {} bytes: {} fewer than were sent before",
                              total_, skip_));
    }
    if (!result_) {
      result_ =
          Descriptor{"", Digest::from_bytes(DigestAlgorithm::sha256, hasher_.finish()), total_};
    }
  }

  const std::unique_ptr<ByteSource> inner_;
  const CompressionSpec spec_;
  CpuPool& pool_;
  std::uint64_t skip_;  // compressed bytes that are still not to be yielded
  const std::stop_token stop_;
  Buffers buffers_;
  std::deque<std::future<Chunk>> pending_;  // in the order of the input
  Chunk current_;
  std::size_t yielded_ = 0;  // of current_
  std::uint64_t chunks_ = 0;
  bool input_ended_ = false;
  Hasher hasher_;
  std::uint64_t total_ = 0;
  std::optional<Descriptor> result_;
  // Set when nobody waits for the chunks that are still queued.
  const std::shared_ptr<std::atomic<bool>> abandoned_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

std::unique_ptr<DigestingSource> compressing_source(std::unique_ptr<ByteSource> inner,
                                                    const CompressionSpec& spec, CpuPool& pool,
                                                    std::uint64_t skip, std::stop_token stop) {
  spec.validate();
  return std::make_unique<CompressingSource>(std::move(inner), spec, pool, skip, std::move(stop));
}

}  // namespace tug
