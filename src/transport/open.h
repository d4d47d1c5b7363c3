// From a reference to the transport's end: the one place that knows which transports exist.
#ifndef TUG_TRANSPORT_OPEN_H_
#define TUG_TRANSPORT_OPEN_H_

#include "base/log.h"
#include "registry/host.h"

#include <tug/reference.h>
#include <tug/registry.h>
#include <tug/transport.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

// What transports need; built in main.
struct TransportEnvironment {
  registry::Hosts& hosts;
  const Log& log;
  std::function<void(std::string_view)> note;
};

struct TransportOptions {
  RegistryAccess access;
  std::optional<std::string> shared_blob_dir = {};  // oci: blobs in DIR/ALG/HEX
  // containers-storage: tell the environment's `note` of signatures, which no copy takes along.
  bool note_signatures = false;
};

// Throw Error(usage) for a transport that tug does not serve (by name) or a reference that it does
// not accept; Error(not_found/local) when it cannot be opened.
std::unique_ptr<ImageSource> open_source(const ImageReference& reference,
                                         const TransportOptions& options,
                                         const TransportEnvironment& environment,
                                         const std::stop_token& stop);
std::unique_ptr<ImageDestination> open_destination(const ImageReference& reference,
                                                   const TransportOptions& options,
                                                   const TransportEnvironment& environment,
                                                   const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_OPEN_H_
