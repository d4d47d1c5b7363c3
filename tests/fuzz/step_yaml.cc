// A configuration or results file: a value that can be written as YAML and read again, or
// Error(usage).
#include "step/yaml.h"
#include "step/yaml_writer.h"

#include <tug/error.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

// Whether a text in it has nothing but line breaks. PyYAML, whose bytes the writer's are, folds it
// between single quotes, and yaml-cpp (0.7) reads that as an empty text.
bool has_only_breaks(const tug::step::Value& value) {
  if (const std::string* text = value.as_string())
    return !text->empty() && text->find_first_not_of('\n') == std::string::npos;
  if (const auto* list = value.as_list())
    return std::any_of(list->begin(), list->end(), has_only_breaks);
  const auto* map = value.as_map();
  return map != nullptr && std::any_of(map->begin(), map->end(), [](const auto& entry) {
           return has_only_breaks(entry.first) || has_only_breaks(entry.second);
         });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tug::step::Value value;
  try {
    value = tug::step::parse_document(text, "psr.yaml");
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
    return 0;
  }
  static_cast<void>(value.repr() + value.to_json().dump());
  // Compared as text: NaN is not equal to itself, and the order of keys is the writer's.
  const std::string written = tug::step::write_yaml(value);
  const tug::step::Value again = tug::step::parse_document(written, "written.yaml");
  if (!has_only_breaks(value) && tug::step::write_yaml(again) != written)
    std::abort();
  return 0;
}
