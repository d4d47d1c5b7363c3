// What the destinations that write a new archive have in common: nothing is there before.
#ifndef TUG_TRANSPORT_ARCHIVE_DESTINATION_H_
#define TUG_TRANSPORT_ARCHIVE_DESTINATION_H_

#include <tug/transport.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

namespace tug {

class ArchiveDestination : public ImageDestination {
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

}  // namespace tug

#endif  // TUG_TRANSPORT_ARCHIVE_DESTINATION_H_
