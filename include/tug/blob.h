// Bytes on their way: ByteSource, and Blob, which can be opened again and again.
#ifndef TUG_BLOB_H_
#define TUG_BLOB_H_

#include "tug/descriptor.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace tug {

// A stream of bytes, read once, front to back. A resource: one thread at a time, not movable.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  // Fills the front of `buffer` (not empty) and says how many bytes; 0 only at the end, and again
  // after it. May return less than asked. Throws Error(local) when the bytes behind it cannot be
  // read, Error(integrity) when they are not what they must be; after a throw the source is only
  // good for destruction.
  virtual std::size_t read(std::span<std::byte> buffer) = 0;
};

// What a transport knows of one blob, and how to read it. A value: copying it copies knowledge, not
// bytes.
struct Blob {
  // What open() yields.
  enum class Form {
    exact,      // the very bytes that `descriptor` names
    layer_tar,  // the uncompressed tar of the layer, which hashes to `diff_id` (containers-storage)
    // The same tar where it is as good as the bytes that `descriptor` names: for a place that takes
    // layers apart (ImageForm::takes_tars).
    stands_for,
  };

  Descriptor descriptor;  // as the manifest names it
  Form form = Form::exact;
  std::optional<Digest> diff_id =
      {};                       // of the uncompressed layer, where known; always for layer_tar
  std::uint64_t open_size = 0;  // bytes that open(0) yields in all
  // True when `descriptor` is known to be a compression of `diff_id` because somebody hashed both
  // (the store's compressed-diff-digest), so that the registry's copy of it may stand for this
  // layer.
  bool descriptor_verified = false;

  // A fresh source that starts at byte `offset` (≤ open_size). May be called from several threads,
  // and again after a failure: reading again is part of the type. The source checks itself against
  // digest and size and throws Error(integrity) or Error(local) rather than yield a last byte that
  // makes wrong content complete.
  std::function<std::unique_ptr<ByteSource>(std::uint64_t offset)> open = {};
};

}  // namespace tug

#endif  // TUG_BLOB_H_
