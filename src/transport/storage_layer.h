// One layer of a containers/storage store, made into the tar that it once was
// (containers-storage-format.md section 5).
#ifndef TUG_TRANSPORT_STORAGE_LAYER_H_
#define TUG_TRANSPORT_STORAGE_LAYER_H_

#include "transport/storage_store.h"

#include <tug/blob.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace tug {

// What is needed to make the layer's tar again and again. A resource, shared with the sources that
// it gave; any thread may call it.
class StorageLayer : public std::enable_shared_from_this<StorageLayer> {
 public:
  // `chain`: the layer and those below it, base first. Opens nothing. Throws Error(integrity) when
  // the store has no digest for it. Once `stop` is requested, everything that reads throws
  // Error(interrupted).
  StorageLayer(const StorePaths& paths, const std::vector<const StoredLayer*>& chain,
               std::stop_token stop = {});

  [[nodiscard]] const StoredLayer& record() const noexcept { return record_; }

  // The bytes of the tar; from tar-split when the record does not tell. Throws as open().
  [[nodiscard]] std::uint64_t size() const;

  // The tar from byte `offset` on. Before the first byte the lengths of all its members are added
  // up: throws Error(integrity) when they do not give the layer's size, so that it cannot be
  // reproduced, and Error(local) when the tar-split data or the layer's directory is missing or
  // unreadable. The source throws Error(integrity) before its last byte when the digest is another
  // one, naming the damaged file if one can be found. (From any offset all of it is made and
  // checked.)
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::uint64_t offset) const;

 private:
  [[nodiscard]] std::uint64_t checked_size() const;

  const StorePaths paths_;
  const StoredLayer record_;
  const std::vector<std::string> parents_;  // ids, nearest first
  const std::stop_token stop_;
  mutable std::atomic<std::uint64_t> known_size_{0};  // once the lengths were added up
};

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_LAYER_H_
