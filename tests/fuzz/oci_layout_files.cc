// index.json of a layout to which an image is added, under the name in the first line: everything
// else stays, and a second time changes nothing.
#include "transport/oci_layout_files.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view line = text.substr(0, text.find('\n'));
  static const tug::Descriptor image{.media_type = std::string(tug::media_type::kOciManifest),
                                     .digest = tug::Digest::of("x"),
                                     .size = 1};
  if (!line.empty() && !tug::is_ref_name(line)) return 0;
  try {
    const auto index = tug::Index::parse(std::string(text.substr(line.size())));
    const std::string once = tug::index_with_image(index, image, std::string(line));
    const auto after = tug::Index::parse(once);
    if (tug::index_with_image(after, image, std::string(line)) != once) std::abort();
    if (after.manifests().size() > index.manifests().size() + 1) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
