// WWW-Authenticate: no byte sequence does more than yield challenges.
#include "registry/challenge.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto challenges = tug::registry::parse_challenges({text, text});
  if (challenges.size() > 16) std::abort();
  for (const auto& challenge : challenges) {
    if (challenge.scheme.empty()) std::abort();
    for (const auto& [name, value] : challenge.params) {
      if (name.empty() || value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos)
        std::abort();
    }
  }
  (void)tug::registry::choose_challenge(challenges);
  return 0;
}
