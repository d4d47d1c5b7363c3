#include "base/log.h"
#include "copy/execute.h"

#include <tug/copy.h>

#include <memory>

namespace tug {

CopyReport copy_image(ImageSource& source, ImageDestination& destination,
                      const CopyOptions& options, Progress& progress, std::stop_token stop) {
  const Log log;
  std::unique_ptr<CpuPool> pool;
  std::once_flag made;
  BlobInfoCache cache(options.use_blob_info_cache ? BlobInfoCache::default_path() : std::string(),
                      log);
  const CopyEnvironment environment{[&]() -> CpuPool& {
                                      std::call_once(made,
                                                     [&] { pool = std::make_unique<CpuPool>(); });
                                      return *pool;
                                    },
                                    cache};
  return execute_copy(source, destination, options, environment, progress, stop);
}

}  // namespace tug
