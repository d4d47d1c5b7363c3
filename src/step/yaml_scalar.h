// A scalar on its way to YAML: its text, and the styles in which PyYAML would write it. For
// yaml_writer.cc alone.
#ifndef TUG_STEP_YAML_SCALAR_H_
#define TUG_STEP_YAML_SCALAR_H_

#include "step/value.h"

#include <cstddef>
#include <string>

namespace tug::step {

struct ScalarText {
  std::u32string text;  // PyYAML counts code points; so do we
  bool multiline = false;
  bool allow_plain = true;  // it can stand without quotes, and is then read back with its type
  bool allow_single_quoted = true;
  std::size_t tag_length =
      0;  // of "!!str" and its like, which counts when a key is judged too long
};

// What PyYAML's representers and analyze_scalar make of `value`. Requires a scalar.
ScalarText scalar_text(const Value& value);

// What double quotes hold without an escape. (PyYAML escapes everything beyond ASCII.)
constexpr bool is_plain_ascii(char32_t c) noexcept { return c >= 0x20 && c <= 0x7e; }

}  // namespace tug::step

#endif  // TUG_STEP_YAML_SCALAR_H_
