// JSON: what parses, dumped in any style, parses to the same value; only Error(integrity) is
// thrown.
#include "oci/json.h"

#include "tug/error.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto json = tug::Json::parse(text);
    for (const int indent : {-1, 4}) {
      for (const bool escape_html : {false, true}) {
        const auto dumped = json.dump({.indent = indent, .escape_html = escape_html});
        // Indentation may take a document over the limit that it was parsed with.
        if (tug::Json::parse(dumped, {.max_bytes = dumped.size()}) != json) std::abort();
      }
    }
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::integrity) std::abort();
  }
  return 0;
}
