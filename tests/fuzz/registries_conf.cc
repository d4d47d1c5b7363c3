// registries.conf, as a main file and as a drop-in: a configuration, or Error(usage).
#include "registry/registries_conf.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tug::registry::RegistriesConf;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {RegistriesConf::Kind::main, RegistriesConf::Kind::drop_in}) {
    RegistriesConf conf;
    try {
      conf.merge(text, "registries.conf", kind);
    } catch (const tug::Error& error) {
      if (error.kind() != tug::ErrorKind::usage) std::abort();
    }
    (void)conf.match(tug::RegistryReference::parse("a.reg.example:5000/team/app:1"));
    for (const auto& entry : conf.entries()) {
      if (entry.prefix.empty()) std::abort();
    }
  }
  return 0;
}
