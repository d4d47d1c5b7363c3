// Manifests and indexes: raw bytes are kept, changed ones parse and hold the change; only
// Error(integrity) is thrown.
#include "tug/manifest.h"

#include "tug/error.h"

#include <cstdint>
#include <cstdlib>

namespace {
std::vector<tug::Descriptor> other_blobs(std::vector<tug::Descriptor> descriptors) {
  for (auto& d : descriptors) d.digest = tug::Digest::of(d.digest.str());
  return descriptors;
}
void use(const tug::Manifest& manifest) {
  const auto layers = other_blobs(manifest.layers());
  if (manifest.with_layers(layers).layers() != layers) std::abort();
}
void use(const tug::Index& index) {
  static_cast<void>(index.choose(tug::Platform::host()));
  const auto children = other_blobs(index.manifests());
  if (index.with_manifests(children).manifests() != children) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto parsed = tug::parse_manifest_or_index(bytes);
    if (std::visit([](const auto& value) { return value.bytes(); }, parsed) != bytes) std::abort();
    std::visit([](const auto& value) { use(value); }, parsed);
  } catch (const tug::Error& error) {
    // usage: a Docker manifest with a layer type that with_layers() does not write.
    if (error.kind() != tug::ErrorKind::integrity && error.kind() != tug::ErrorKind::usage)
      std::abort();
  }
  return 0;
}
