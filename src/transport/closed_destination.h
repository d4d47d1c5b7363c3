// What the destinations have in common of which nothing can be asked: new archives, and stores,
// which keep what is in blobs and not the blobs. They override what they do know.
#ifndef TUG_TRANSPORT_CLOSED_DESTINATION_H_
#define TUG_TRANSPORT_CLOSED_DESTINATION_H_

#include "base/strings.h"

#include <tug/error.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

class ClosedDestination : public ImageDestination {
 public:
  [[nodiscard]] std::optional<Descriptor> existing(std::stop_token) override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<RawManifest> existing_manifest(std::stop_token) override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<RawManifest> read_manifest(const Descriptor&,
                                                         std::stop_token) override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::string> read_small_blob(const Descriptor&,
                                                           std::stop_token) override {
    return std::nullopt;
  }
  [[nodiscard]] bool has_blob(const Descriptor&, std::stop_token) override { return false; }
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const Digest&, std::stop_token) override {
    return std::nullopt;
  }
  [[nodiscard]] bool has_manifest(const Descriptor&, std::stop_token) override { return false; }
  [[nodiscard]] bool mount_blob(const Descriptor&, const RegistryReference&,
                                std::stop_token) override {
    return false;
  }
};

// --- for those that hold container images alone; `place` is for messages: "a docker-archive"

// Throws Error(usage) for an artifact.
inline Manifest image_manifest(const Descriptor& descriptor, const std::string& bytes,
                               std::string_view place) {
  Manifest manifest = Manifest::parse(bytes, descriptor.media_type);
  if (manifest.is_image()) return manifest;
  throw Error(ErrorKind::usage, descriptor.digest.str() + " is an artifact (config " +
                                    printable(manifest.config().media_type, 100) + "); " +
                                    std::string(place) + " holds container images");
}

// Of a layer that was not handed over, because its content is elsewhere (foreign layers).
inline Error layer_stays_away(const Descriptor& layer, std::string_view place) {
  return Error(ErrorKind::usage, "the layer " + layer.digest.str() + " stays where it is (" +
                                     printable(layer.media_type, 100) + "), and " +
                                     std::string(place) + " needs all layers");
}

}  // namespace tug

#endif  // TUG_TRANSPORT_CLOSED_DESTINATION_H_
