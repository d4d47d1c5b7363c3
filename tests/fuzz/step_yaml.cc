// A configuration or results file: a value that can be written as YAML and read again, or
// Error(usage).
#include "step/yaml.h"
#include "step/yaml_writer.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

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
  if (tug::step::write_yaml(tug::step::parse_document(written, "written.yaml")) != written)
    std::abort();
  return 0;
}
