#include "step/truth.h"

#include "base/strings.h"

#include <algorithm>
#include <array>
#include <string>

namespace tug::step {
namespace {

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view text) noexcept {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

std::optional<bool> strtobool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"y", "yes", "t", "true", "on", "1"};
  constexpr std::array<std::string_view, 6> kFalse = {"n", "no", "f", "false", "off", "0"};
  const std::string lower = to_lower(text);
  if (contains(kTrue, lower)) return true;
  if (contains(kFalse, lower)) return false;
  return std::nullopt;
}

std::optional<bool> parse_flag_bool(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "true", "True", "TRUE"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "false", "False", "FALSE"};
  if (contains(kTrue, text)) return true;
  if (contains(kFalse, text)) return false;
  return std::nullopt;
}

}  // namespace tug::step
