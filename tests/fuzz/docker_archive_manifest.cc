// manifest.json of a docker-archive: any text is a list of images or refused; and what stands after
// "docker-archive:", which is its first line.
#include "transport/docker_archive.h"

#include <tug/error.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  try {
    const auto reference = tug::DockerArchiveReference::parse(input.substr(0, line));
    if (reference.path.empty() || (reference.index && reference.image)) std::abort();
    for (const auto& item : tug::parse_docker_archive_manifest(input.substr(line + 1))) {
      if (item.config.empty()) std::abort();
    }
  } catch (const tug::Error&) {
  }
  return 0;
}
