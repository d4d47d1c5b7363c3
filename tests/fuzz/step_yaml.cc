// A configuration or results file: a value, which written as YAML is read as an equal one, or
// Error(usage).
#include "step/yaml.h"
#include "step/yaml_writer.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const tug::step::Value value = tug::step::parse_document(text, "psr.yaml");
    static_cast<void>(value.repr() + value.to_json().dump());
    const std::string written = tug::step::write_yaml(value);
    // repr(), because NaN is not equal to itself; the order of keys is the writer's.
    const tug::step::Value again = tug::step::parse_document(written, "written.yaml");
    if (tug::step::write_yaml(again) != written) std::abort();
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::usage) std::abort();
  }
  return 0;
}
