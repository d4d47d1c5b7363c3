// Reading in a thread of its own.
#ifndef TUG_STREAM_READ_AHEAD_H_
#define TUG_STREAM_READ_AHEAD_H_

#include <tug/blob.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

namespace tug {

// Yields what `inner` does, which is read a few pieces ahead by a thread: where both sides have
// work to do, decompression and hashing on the one, files on the other. Throws what `inner` throws,
// after the bytes before it. Once it has yielded its end `inner` is the caller's again. A resource;
// `inner` must outlive it. Destroyed before its end, it waits for the read that is under way.
class ReadAheadSource final : public ByteSource {
 public:
  explicit ReadAheadSource(ByteSource& inner);
  ~ReadAheadSource() override;

  std::size_t read(std::span<std::byte> buffer) override;

 private:
  static constexpr std::size_t kPieces = 4;
  static constexpr std::size_t kPieceBytes = std::size_t{256} * 1024;
  struct Piece {
    std::vector<std::byte> bytes = std::vector<std::byte>(kPieceBytes);
    std::size_t size = 0;  // 0: the end
  };

  void run(const std::stop_token& stop);
  void fill(Piece& piece);

  ByteSource& inner_;
  std::array<Piece, kPieces> pieces_;  // in turn: those that are full are the reader's
  std::size_t taken_ = 0;              // of the first of those
  std::size_t first_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t full_ = 0;
  std::exception_ptr failure_;
  bool has_ended_ = false;  // nothing comes after those that are full
  std::jthread thread_;     // the last: it uses all the others
};

}  // namespace tug

#endif  // TUG_STREAM_READ_AHEAD_H_
