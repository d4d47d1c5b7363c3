// auth.json, config.json, .dockercfg: an entry, none, or Error(auth).
#include "registry/credentials.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tug::registry::AuthFile;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format :
       {AuthFile::Format::containers, AuthFile::Format::docker, AuthFile::Format::dockercfg}) {
    for (const std::string_view registry : {"reg.example:5000", "docker.io"}) {
      try {
        const auto entry =
            tug::registry::match_auth_file(text, format, registry, "team/app", "auth.json");
        if (entry.helper && entry.helper_keys.empty()) std::abort();
      } catch (const tug::Error& error) {
        if (error.kind() != tug::ErrorKind::auth) std::abort();
      }
    }
  }
  return 0;
}
