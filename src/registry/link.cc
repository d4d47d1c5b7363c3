#include "registry/link.h"

#include "base/strings.h"

namespace tug::registry {
namespace {

// Splits off the parameters of one link: up to the comma that is not inside quotes.
std::string_view take_parameters(std::string_view& rest) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (rest[i] == '\\' && quoted) {
      ++i;
    } else if (rest[i] == '"') {
      quoted = !quoted;
    } else if (rest[i] == ',' && !quoted) {
      break;
    }
  }
  const std::string_view parameters = rest.substr(0, i);
  rest.remove_prefix(std::min(rest.size(), i + 1));
  return parameters;
}

bool is_next(std::string_view parameters) {
  for (const std::string_view parameter : split(parameters, ';')) {
    const auto equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    if (!equals_ignore_case(trim(parameter.substr(0, equals)), "rel")) continue;
    std::string_view value = trim(parameter.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    for (const std::string_view relation : split(value, ' ')) {
      if (equals_ignore_case(relation, "next")) return true;
    }
  }
  return false;
}

}  // namespace

std::optional<std::string> next_link(std::string_view header) {
  while (true) {
    header = trim(header);
    if (header.empty() || header.front() != '<') return std::nullopt;
    const auto end = header.find('>');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view target = header.substr(1, end - 1);
    header.remove_prefix(end + 1);
    if (is_next(take_parameters(header))) return std::string(target);
  }
}

}  // namespace tug::registry
