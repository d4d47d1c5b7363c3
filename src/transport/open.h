// From a reference to the transport's end: the one place that knows which transports exist.
#ifndef TUG_TRANSPORT_OPEN_H_
#define TUG_TRANSPORT_OPEN_H_

#include "base/log.h"
#include "registry/host.h"
#include "transport/new_archive.h"

#include <tug/reference.h>
#include <tug/registry.h>
#include <tug/transport.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

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
  // docker-archive: more names of the image that is written.
  std::vector<RegistryReference> additional_names = {};
  std::optional<std::string> daemon_host = {};  // docker-daemon: URL of the daemon
  // For archives that come from a pipe or go into one; unset: $TMPDIR or /var/tmp.
  std::optional<std::string> temporary_directory = {};
  // What becomes of layers in dir:, oci: and oci-archive:; unset: what each likes best.
  std::optional<ImageForm::Layers> layers = {};
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

// Of a destination that several images can share as one new file.
struct ArchivePlace {
  std::string path;  // as it is written
  std::string file;  // the same for every spelling of its path
  std::string name;  // of the image in it; "": none
};
// nullopt: another transport. Throws Error(usage) for a reference that no destination has.
std::optional<ArchivePlace> archive_place(const ImageReference& destination);
// The archive that `destination`, one of such places, is in; options.additional_names belong to no
// image of it. Throws as open_destination().
std::shared_ptr<SharedArchive> open_shared_archive(const ImageReference& destination,
                                                   const TransportOptions& options,
                                                   const TransportEnvironment& environment);

// The images that a place holds, by the names that it has for them.
struct ListedImages {
  struct Image {
    std::string name;  // "v1", "registry.example.com/team/app:1"
    ImageReference reference;
    friend bool operator==(const Image&, const Image&) = default;
  };
  std::vector<Image> images = {};
  std::size_t unnamed = 0;  // images that have no such name
};

// `place`: "oci:PATH" (or "oci:PATH:*"), "oci-archive:PATH", "docker-archive:PATH",
// "containers-storage:", "containers-storage:[STORE]".
// Throws Error(usage) for another place and for one that names an image, and what open_source
// throws.
ListedImages list_images(std::string_view place, const TransportEnvironment& environment,
                         const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_OPEN_H_
