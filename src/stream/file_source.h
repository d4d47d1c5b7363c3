// ByteSources over memory and files.
#ifndef TUG_STREAM_FILE_SOURCE_H_
#define TUG_STREAM_FILE_SOURCE_H_

#include "base/fd.h"

#include <tug/blob.h>
#include <tug/digest.h>
#include <tug/transport.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tug {

// Yields `bytes` from `offset` on.
std::unique_ptr<ByteSource> memory_source(std::string bytes, std::uint64_t offset = 0);

// All that `source` still yields; nullopt when that is more than `max_bytes`. For what is small.
std::optional<std::string> read_small(ByteSource& source, std::uint64_t max_bytes);

// Yields the regular file `fd` (its `name` is for messages) from `offset`. Its size must be
// `expected_size`, at the start and at the end, and its inode, mtime and ctime must not change
// meanwhile: else Error(local) "… changed while it was read" / "is truncated".
std::unique_ptr<ByteSource> file_source(UniqueFd fd, std::string name, std::uint64_t expected_size,
                                        std::uint64_t offset);

// Yields the `size` bytes of the regular file `fd` from byte `begin` on, starting at byte `offset`
// of them. Throws as file_source() does.
std::unique_ptr<ByteSource> file_part_source(std::shared_ptr<const UniqueFd> fd, std::string name,
                                             std::uint64_t begin, std::uint64_t size,
                                             std::uint64_t offset);

// Yields `inner` without its first `skip` bytes, which are read when somebody reads.
std::unique_ptr<ByteSource> skipping_source(std::unique_ptr<ByteSource> inner, std::uint64_t skip);

// Passes `inner` through; throws Error(limit) naming `name` once it has yielded more than
// `max_bytes`.
std::unique_ptr<ByteSource> bounded_source(std::unique_ptr<ByteSource> inner,
                                           std::uint64_t max_bytes, std::string name);

// Passes `inner` through and hashes it; throws Error(integrity) naming `name` instead of yielding
// the last byte when size or digest do not match. Requires that inner starts at byte 0. (From
// another offset a digest cannot be checked: give the inner source itself.)
std::unique_ptr<ByteSource> verifying_source(std::unique_ptr<ByteSource> inner,
                                             const Digest& digest, std::uint64_t size,
                                             std::string name);

// Passes `inner` through and hashes it, from its byte 0 on, and yields it from `skip` on. When it
// ends with another digest than `digest`, it throws Error(integrity) naming `name` in place of the
// end.
std::unique_ptr<DigestingSource> hashing_source(std::unique_ptr<ByteSource> inner,
                                                const Digest& digest, std::string name,
                                                std::uint64_t skip = 0);

}  // namespace tug

#endif  // TUG_STREAM_FILE_SOURCE_H_
