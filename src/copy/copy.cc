#include "base/log.h"
#include "copy/execute.h"
#include "copy/policy.h"
#include "http/client.h"
#include "registry/host.h"
#include "registry/registries_conf.h"
#include "transport/open.h"

#include <tug/copy.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

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

CopyReport copy_image(const ImageReference& source, const ImageReference& destination,
                      const CopyOptions& options, const CopyAccess& access, Progress* progress,
                      const std::stop_token& stop) {
  Progress silent;
  Progress& told = progress != nullptr ? *progress : silent;
  const auto note = [&told](std::string_view text) { told.note(text); };
  const Log log;
  Policy::load(std::nullopt).check(source);
  const auto conf = registry::RegistriesConf::load(std::nullopt, log);
  http::Client http({access.timeouts, "tug/" TUG_VERSION}, log);
  registry::Hosts hosts(
      {.http = http, .registries_conf = conf, .retry = access.retry, .log = log, .note = note});
  const TransportEnvironment transports{hosts, log, note};
  const auto from =
      open_source(source, {access.source, {}, /*note_signatures=*/true}, transports, stop);
  const auto to = open_destination(destination, {access.destination}, transports, stop);
  return copy_image(*from, *to, options, told, stop);
}

}  // namespace tug
