#include "stream/read_ahead.h"

#include <algorithm>

namespace tug {

ReadAheadSource::ReadAheadSource(ByteSource& inner)
    : inner_(inner), thread_([this](const std::stop_token& stop) { run(stop); }) {}

ReadAheadSource::~ReadAheadSource() = default;

std::size_t ReadAheadSource::read(std::span<std::byte> buffer) {
  Piece& piece = pieces_[first_];
  if (taken_ == 0) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return full_ > 0 || has_ended_; });
    if (full_ == 0) {
      if (failure_) std::rethrow_exception(failure_);
      return 0;
    }
  }
  const std::size_t size = std::min(buffer.size(), piece.size - taken_);
  std::copy_n(piece.bytes.begin() + static_cast<std::ptrdiff_t>(taken_), size, buffer.begin());
  taken_ += size;
  if (taken_ < piece.size) return size;
  taken_ = 0;
  first_ = (first_ + 1) % kPieces;
  const std::lock_guard lock(mutex_);
  --full_;
  changed_.notify_one();
  return size;
}

void ReadAheadSource::run(const std::stop_token& stop) {
  std::exception_ptr failure;
  for (std::size_t next = 0;; next = (next + 1) % kPieces) {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return full_ < kPieces; })) return;
    }
    Piece& piece = pieces_[next];
    try {
      fill(piece);
    } catch (...) {
      failure = std::current_exception();
    }
    const bool is_end = piece.size < kPieceBytes;
    const std::lock_guard lock(mutex_);
    if (piece.size > 0) ++full_;
    if (is_end) {
      failure_ = failure;
      has_ended_ = true;
    }
    changed_.notify_one();
    if (is_end) return;
  }
}

// A short one is the last.
void ReadAheadSource::fill(Piece& piece) {
  piece.size = 0;
  while (piece.size < kPieceBytes) {
    const std::size_t got = inner_.read(std::span(piece.bytes).subspan(piece.size));
    if (got == 0) return;
    piece.size += got;
  }
}

}  // namespace tug
