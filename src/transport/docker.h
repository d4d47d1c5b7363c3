// The docker: transport: a registry as the source or the destination of a copy. Thin: the protocol
// is in registry/repository.h.
#ifndef TUG_TRANSPORT_DOCKER_H_
#define TUG_TRANSPORT_DOCKER_H_

#include "registry/host.h"

#include <tug/reference.h>
#include <tug/registry.h>
#include <tug/transport.h>

#include <memory>
#include <stop_token>

namespace tug {

// `hosts` must outlive what is returned. No traffic yet. Throws Error(denied) for a registry that
// registries.conf blocks. `stop` ends what is given none: the reading of blobs by their open(), and
// what a destination that was not finished has to put in order at its end.
std::unique_ptr<ImageSource> open_registry_source(registry::Hosts& hosts,
                                                  const RegistryReference& reference,
                                                  const RegistryAccess& access,
                                                  const std::stop_token& stop);
std::unique_ptr<ImageDestination> open_registry_destination(registry::Hosts& hosts,
                                                            const RegistryReference& reference,
                                                            const RegistryAccess& access,
                                                            const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_DOCKER_H_
