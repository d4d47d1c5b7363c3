// docker-daemon: what stands behind it, and what a daemon says of an image that it was to load.
#include "transport/docker_daemon.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto said = tug::detail::error_in_load_answer(text)) {
    if (said->size() > 1000 || said->find_first_of("\n\r\x1b") != std::string::npos) std::abort();
  }
  try {
    const auto reference = tug::DaemonReference::parse(text);
    if (reference.image.has_value() == reference.id.has_value()) std::abort();
    if (!(tug::DaemonReference::parse(reference.familiar()) == reference)) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
