// WWW-Authenticate (RFC 9110 section 11; registry-protocol.md 3.1).
#ifndef TUG_REGISTRY_CHALLENGE_H_
#define TUG_REGISTRY_CHALLENGE_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::registry {

struct Challenge {
  std::string scheme;  // lower case: "bearer", "basic"
  std::vector<std::pair<std::string, std::string>>
      params;  // names in lower case, first of a name wins
  [[nodiscard]] std::optional<std::string_view> param(std::string_view name) const noexcept;
  friend bool operator==(const Challenge&, const Challenge&) = default;
};

// All challenges of all header lines; of a malformed line those before the fault. At most 16, from
// at most 8 KiB a line.
std::vector<Challenge> parse_challenges(const std::vector<std::string_view>& header_lines);

// Bearer with a realm before Basic (rule R3.3); nullptr when neither is offered.
const Challenge* choose_challenge(const std::vector<Challenge>& challenges) noexcept;

}  // namespace tug::registry

#endif  // TUG_REGISTRY_CHALLENGE_H_
