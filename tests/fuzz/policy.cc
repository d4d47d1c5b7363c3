// policy.json: rules for every source, or Error(usage); and a rule accepts or is Error(denied).
#include "copy/policy.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tug::ErrorKind;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tug::Policy policy;
  try {
    policy = tug::Policy::parse(text, "policy.json");
  } catch (const tug::Error& error) {
    if (error.kind() != ErrorKind::usage) std::abort();
    return 0;
  }
  for (const char* source : {"docker://a.reg.example:5000/team/app:1", "docker://app", "oci:/a/b:1",
                             "oci:x", "dir:/a", "docker-daemon:app:1"}) {
    try {
      policy.check(tug::ImageReference::parse(source));
    } catch (const tug::Error& error) {
      if (error.kind() != ErrorKind::denied) std::abort();
    }
  }
  return 0;
}
