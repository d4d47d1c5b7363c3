// index.json of an OCI layout, and the choice of an image in it: the first line is what stands
// after "oci:", the rest the file.
#include "transport/oci_layout.h"

#include <tug/error.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  try {
    const tug::OciReference reference = tug::OciReference::parse(input.substr(0, line));
    const tug::Index index = tug::Index::parse(std::string(input.substr(line + 1)));
    const tug::Descriptor& image = tug::select_image(index, reference);
    if (&image < index.manifests().data() || &image > &index.manifests().back()) __builtin_trap();
  } catch (const tug::Error&) {
  }
  return 0;
}
