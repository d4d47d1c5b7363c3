#include "oci/toml.h"

#include <tug/error.h>

// toml++ 3.3 asserts in its parser what the text may break: "[[," aborts a debug build, although the
// next lines would report it. (Found by tests/fuzz/registries_conf.cc.)
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include <cstdint>
#include <sstream>
#include <utility>

namespace tug {
namespace {

Json to_json(const toml::node& node) {
  if (const toml::table* table = node.as_table()) {
    Json::Object object;
    for (const auto& [key, value] : *table)
      object.emplace_back(std::string(key.str()), to_json(value));
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    Json::Array items;
    for (const toml::node& item : *array) items.push_back(to_json(item));
    return items;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  std::ostringstream date_or_time;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_chronological<decltype(value)>) date_or_time << value.get();
  });
  return date_or_time.str();
}

}  // namespace

Json parse_toml(std::string_view text, const std::string& path) {
  try {
    return to_json(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    throw Error(ErrorKind::usage, path + ": line " + std::to_string(error.source().begin.line) +
                                      ": " + std::string(error.description()));
  }
}

}  // namespace tug
