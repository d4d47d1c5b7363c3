// A blob on its way out of a registry (registry-protocol.md 5.2, 5.10): a ByteSource whose bytes
// come in while they are read, and which goes on where a connection broke.
#ifndef TUG_REGISTRY_BLOB_DOWNLOAD_H_
#define TUG_REGISTRY_BLOB_DOWNLOAD_H_

#include "registry/host.h"

#include <tug/blob.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug::registry {

struct ByteRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // the blob's size
};

// Bytes `range` of what `call` (a GET) yields, called `name` in messages. A thread of its own makes
// the requests, ahead of the reader by a bounded number of bytes; the source's end ends it. A body
// that breaks off is continued by a request with Range, by the policy of retries, whose count
// starts again with every byte that came; a registry that knows no Range sends it all again, and
// what was read is skipped. What is sent is never longer or shorter than the range: else read()
// throws Error(integrity). It does not check the digest. `host` must outlive the source.
std::unique_ptr<ByteSource> download_blob(Host& host, Call call, std::string name,
                                          const ByteRange& range, const std::stop_token& stop);

// The first byte of a 206, as its Content-Range says: "bytes 500-999/1000". Pure.
std::optional<std::uint64_t> first_byte(std::optional<std::string_view> content_range);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_BLOB_DOWNLOAD_H_
