#include "http/headers.h"

#include "base/strings.h"

namespace tug::http {

void Headers::append_to_last(std::string_view value) {
  if (fields_.empty()) return;
  std::string& last = fields_.back().second;
  if (!last.empty() && !value.empty()) last += ' ';
  last += value;
}

std::optional<std::string_view> Headers::get(std::string_view name) const noexcept {
  for (const auto& [have, value] : fields_) {
    if (equals_ignore_case(have, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::get_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [have, value] : fields_) {
    if (equals_ignore_case(have, name)) values.emplace_back(value);
  }
  return values;
}

}  // namespace tug::http
