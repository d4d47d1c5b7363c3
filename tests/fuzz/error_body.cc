// Error bodies of registries: always an Error, bounded and printable.
#include "registry/error_body.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  static const auto url = tug::http::Url::parse("https://reg.example/v2/");
  for (const char* type : {"application/json", "text/html", ""}) {
    tug::http::Response response;
    response.status = 400;
    response.headers.add("Content-Type", type);
    response.body = body;
    const tug::Error error = tug::registry::error_from_response(response, url);
    if (std::strlen(error.what()) > 2000) std::abort();
    for (const char* c = error.what(); *c != '\0'; ++c) {
      if (*c >= 0 && *c < ' ') std::abort();
    }
  }
  (void)tug::registry::digests_in_error_body(body);
  return 0;
}
