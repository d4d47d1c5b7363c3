// Doing what a plan says: every blob there, then every manifest, then the tags (design 6).
#ifndef TUG_COPY_EXECUTE_H_
#define TUG_COPY_EXECUTE_H_

#include "base/cpu_pool.h"
#include "copy/blob_info_cache.h"
#include "copy/body_slots.h"
#include "copy/shared_blobs.h"

#include <tug/copy.h>
#include <tug/progress.h>
#include <tug/transport.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

namespace tug {

// What the copies of one process share. References must outlive every copy.
struct CopyEnvironment {
  // Compresses; made at the first layer that needs it.
  std::function<CpuPool&()> pool;
  BlobInfoCache& cache;
  // Waits between looks for a blob that a registry says is missing right after it said that it is
  // stored (eventual consistency, registry-protocol.md 6.6).
  std::vector<std::chrono::milliseconds> missing_blob_polls{
      std::chrono::milliseconds(0), std::chrono::seconds(1), std::chrono::seconds(3)};
  // Of copies that run beside each other or one after the other, for blobs that they share. Null:
  // each is for itself.
  std::shared_ptr<SharedBlobs> blobs = {};
  // Null: each has as many as its options say.
  std::shared_ptr<BodySlots> bodies = {};
};

// As copy_image() in tug/copy.h, with the shared parts given.
CopyReport execute_copy(ImageSource& source, ImageDestination& destination,
                        const CopyOptions& options, const CopyEnvironment& environment,
                        Progress& progress, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_COPY_EXECUTE_H_
