// Conversion of manifests and indexes: layers and children stay, and the way back leads to the same
// place. The input is taken for a configuration too.
#include "oci/convert.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace {
using tug::ManifestFormat;

ManifestFormat other(ManifestFormat format) {
  return format == ManifestFormat::oci ? ManifestFormat::docker : ManifestFormat::oci;
}
void use(const tug::Manifest& image) {
  const ManifestFormat format = other(tug::format_of(image.media_type()));
  const tug::Manifest once = tug::convert_image(image, format, image.bytes()).manifest;
  const tug::Manifest back = tug::convert_image(once, other(format), image.bytes()).manifest;
  const tug::Manifest twice = tug::convert_image(back, format, image.bytes()).manifest;
  if (twice.layers() != once.layers() || image.layers().size() != once.layers().size())
    std::abort();
}
void use(const tug::Index& index) {
  const ManifestFormat format = other(tug::format_of(index.media_type()));
  const std::vector<std::optional<tug::Platform>> none(index.manifests().size());
  const tug::Index once = tug::convert_index(index, format, none).index;
  const tug::Index back = tug::convert_index(once, other(format), none).index;
  if (tug::convert_index(back, format, none).index.bytes() != once.bytes()) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    std::visit([](const auto& value) { use(value); }, tug::parse_manifest_or_index(bytes));
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity && error.kind() != tug::ErrorKind::usage)
      std::abort();
  }
  return 0;
}
