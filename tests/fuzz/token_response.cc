// Token responses and the scopes of challenges: a token that can be sent, or Error(auth).
#include "registry/token.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const tug::registry::Token token =
        tug::registry::parse_token_response(text, "application/json");
    if (!tug::registry::is_usable_token(token.value.reveal())) std::abort();
    if (token.lifetime < std::chrono::seconds(60)) std::abort();
    if (token.lifetime > std::chrono::hours(24)) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::auth) std::abort();
  }
  if (tug::registry::merge_scopes({"repository:a:pull"}, text).size() > 16) std::abort();
  return 0;
}
