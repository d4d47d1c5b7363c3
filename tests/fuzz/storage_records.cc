// A record file of a containers/storage store (images.json or layers.json) and, after a NUL, a
// reference to an image.
#include "transport/storage_reference.h"
#include "transport/storage_store.h"

#include <tug/error.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t first = input.find('\0');
  const std::string_view records = input.substr(0, first);
  try {
    for (const tug::StoredImage& image :
         tug::detail::parse_images(records, "images.json", "/store", 0)) {
      if (image.big_data_path(image.id).find("/../") != std::string::npos) __builtin_trap();
      if (!image.names.empty() && !image.has_name_in(tug::repository_of(image.names.front())))
        __builtin_trap();
    }
  } catch (const tug::Error&) {
  }
  try {
    tug::detail::parse_layers(records, "layers.json");
  } catch (const tug::Error&) {
  }
  try {
    const tug::StorageReference reference =
        tug::StorageReference::parse(input.substr(first == input.npos ? 0 : first + 1));
    tug::ImageName::parse(reference.image, [](const std::string&) { return std::nullopt; });
  } catch (const tug::Error&) {
  }
  return 0;
}
