// What is read of an image at the destination: its layers paired with the diff IDs of its
// configuration, and the repositories that annotations name. The first line is a manifest.
#include "copy/layers.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::string_view config = text.substr(line.size());
  (void)tug::diff_ids(config);
  try {
    const auto manifest = tug::Manifest::parse(std::string(line));
    const auto pairs = tug::pair_diff_ids(manifest, config);
    if (pairs.size() > manifest.layers().size()) std::abort();
    for (const auto& layer : manifest.layers()) {
      for (const auto& from : tug::annotated_sources(layer, "reg:5000"))
        if (from.registry() != "reg:5000") std::abort();
      (void)tug::compression_of(
          tug::compressed_media_type(layer.media_type, tug::LayerCompression::gzip));
      (void)tug::plain_media_type(layer.media_type);
    }
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
