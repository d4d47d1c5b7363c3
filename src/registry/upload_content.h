// What an upload sends: bytes that can be had again from any offset, whole or in chunks, and are
// checked or measured while they go.
#ifndef TUG_REGISTRY_UPLOAD_CONTENT_H_
#define TUG_REGISTRY_UPLOAD_CONTENT_H_

#include "base/hash.h"

#include <tug/blob.h>
#include <tug/descriptor.h>
#include <tug/transport.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

namespace tug::registry {

// A resource; one thread.
class UploadContent {
 public:
  // The next bytes to send. `source` belongs to the content and is good until the next call of it.
  struct Piece {
    ByteSource* source = nullptr;
    std::optional<std::uint64_t> length;  // nullopt: not known
    bool last = false;                    // nothing comes after it
  };

  UploadContent() = default;
  UploadContent(const UploadContent&) = delete;
  UploadContent& operator=(const UploadContent&) = delete;
  virtual ~UploadContent() = default;

  // The size in all, where it is known.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const = 0;
  // The digest, where it is known before everything was read.
  [[nodiscard]] virtual std::optional<Descriptor> descriptor() const = 0;
  // What names the bytes for another process, which makes the same; "" where nothing does.
  [[nodiscard]] virtual std::string resume_key() const = 0;
  // The next piece begins at `offset`. Throws what the source throws; like everything here that
  // reads much of it without sending, Error(interrupted) soon after a stop is requested.
  virtual void seek(std::uint64_t offset) = 0;
  // Where the reading of the source has come to: no peer can have more.
  [[nodiscard]] virtual std::uint64_t position() const = 0;
  // Everything from here to the end.
  virtual Piece rest() = 0;
  // About `size` bytes, not over `max`; of length 0 at the end.
  virtual Piece chunk(std::uint64_t size, std::uint64_t max) = 0;
  // Requires that the last piece was read. The descriptor of all bytes that were read to be sent;
  // throws Error(integrity) when they are not the bytes that they must be. Idempotent.
  virtual Descriptor finish() = 0;
  // Reads everything once to learn size and digest beforehand.
  virtual void measure() = 0;
  // Whether chunks wait in memory until they are sent.
  [[nodiscard]] virtual bool holds_chunks() const = 0;
};

// A Blob: read through a hash, which must be the descriptor's in the end (5.12). A place further
// back is reached by hashing from the start again, so that the hash always covers what was sent.
class BlobContent final : public UploadContent {
 public:
  explicit BlobContent(const Blob& blob, std::stop_token stop = {});
  ~BlobContent() override;
  [[nodiscard]] std::optional<std::uint64_t> size() const override { return blob_.descriptor.size; }
  [[nodiscard]] std::optional<Descriptor> descriptor() const override { return blob_.descriptor; }
  [[nodiscard]] std::string resume_key() const override { return blob_.descriptor.digest.str(); }
  void seek(std::uint64_t offset) override;
  [[nodiscard]] std::uint64_t position() const override { return position_; }
  Piece rest() override;
  Piece chunk(std::uint64_t size, std::uint64_t max) override;
  Descriptor finish() override;
  void measure() override {}
  [[nodiscard]] bool holds_chunks() const override { return false; }

 private:
  class PieceSource;
  Piece piece(std::uint64_t length);
  std::size_t read(std::span<std::byte> buffer);
  [[nodiscard]] Hasher fresh_hasher() const;

  const Blob& blob_;
  const std::stop_token stop_;
  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<PieceSource> piece_;
  Hasher hasher_;
  std::uint64_t position_ = 0;  // bytes read and hashed
  bool checked_ = false;
};

// A StreamedBlob: hashes itself. Its chunks wait in memory, so that one can be sent again without
// making it again.
class StreamContent final : public UploadContent {
 public:
  explicit StreamContent(const StreamedBlob& blob, std::stop_token stop = {});
  ~StreamContent() override;
  [[nodiscard]] std::optional<std::uint64_t> size() const override;
  [[nodiscard]] std::optional<Descriptor> descriptor() const override { return measured_; }
  [[nodiscard]] std::string resume_key() const override { return blob_.resume_key; }
  void seek(std::uint64_t offset) override;
  [[nodiscard]] std::uint64_t position() const override { return position_; }
  Piece rest() override;
  Piece chunk(std::uint64_t size, std::uint64_t max) override;
  Descriptor finish() override;
  void measure() override;
  [[nodiscard]] bool holds_chunks() const override { return true; }

 private:
  class RestSource;
  class WindowSource;
  void open(std::uint64_t offset);
  std::size_t read(std::span<std::byte> buffer);
  void fill_window(std::size_t bytes);

  const StreamedBlob& blob_;
  const std::stop_token stop_;
  std::unique_ptr<DigestingSource> source_;
  std::unique_ptr<ByteSource> piece_;
  std::uint64_t position_ = 0;     // of the source
  bool ended_ = false;             // the source said so
  std::uint64_t offset_ = 0;       // of the next piece
  std::vector<std::byte> window_;  // the bytes before position_ that may be sent (again)
  std::optional<Descriptor> measured_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_UPLOAD_CONTENT_H_
