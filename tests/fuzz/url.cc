// Url::parse and resolve: whatever a Location holds, the result is valid, and stable when read
// again.
#include "http/url.h"

#include <tug/error.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using tug::http::Url;

namespace {
void check(const Url& url) {
  if (Url::parse(url.str()) != url) std::abort();
  (void)url.redacted();
  (void)url.has_private_ip_literal();
  if (url.with_query("digest", "sha256:ab").origin() != url.origin()) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Url base = Url::parse("https://reg.example:5000/nexus/v2/r/blobs/uploads/1?_state=a");
  try {
    check(base.resolve(text));
    check(Url::parse(text));
  } catch (const tug::Error&) {
  }
  return 0;
}
