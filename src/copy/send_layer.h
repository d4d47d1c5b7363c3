// Sending a layer that is compressed while it is sent.
#ifndef TUG_COPY_SEND_LAYER_H_
#define TUG_COPY_SEND_LAYER_H_

#include "base/cpu_pool.h"
#include "stream/compress.h"

#include <tug/blob.h>
#include <tug/progress.h>
#include <tug/transport.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

namespace tug {

struct SentLayer {
  Descriptor descriptor;
  std::uint64_t bytes_sent = 0;
  bool existed = false;  // the destination had what came out
};

// Names the bytes that `layer` (of Form::layer_tar) compresses to before they are made; "" when
// nobody knows its diff ID.
std::string compressed_key(const Blob& layer, const CompressionSpec& spec);

// Compresses `layer` (of Form::layer_tar) as `spec` says and puts it to the destination under the
// media type `type`. What compresses to less than 1 MiB is finished first (unless the tar has more
// than 16 MiB), so that the destination can be asked for it before it is sent. Throws Error as
// ImageDestination::put_stream does, and what reading the layer throws: then nothing was committed.
SentLayer send_compressed(const Blob& layer, const CompressionSpec& spec, const std::string& type,
                          ImageDestination& destination, const std::function<CpuPool&()>& pool,
                          const SentCallback& sent, const std::stop_token& stop);

// The same for a layer that goes as it is, uncompressed. `knows_size`: layer.open_size is the
// tar's.
SentLayer send_plain(const Blob& layer, bool knows_size, const std::string& type,
                     ImageDestination& destination, const SentCallback& sent,
                     const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_COPY_SEND_LAYER_H_
