// What YAML 1.1 makes of a scalar: PyYAML's implicit resolver and safe constructors (step-contract
// 1.3). Pure functions, used by the reader and by the writer, which quotes what would be typed.
#ifndef TUG_STEP_YAML_TYPES_H_
#define TUG_STEP_YAML_TYPES_H_

#include "step/value.h"

#include <string_view>

namespace tug::step {

enum class ScalarType { null, boolean, integer, real, date, merge, value, string };

// The type that an unquoted scalar resolves to. (`=` resolves to `value`, for which safe-loading
// has no constructor; we read it as text.)
ScalarType resolve_scalar(std::string_view text) noexcept;

// The value of an unquoted scalar, with its text in written(). Throws Error(usage) without a place:
// an integer of too many digits, "0b_".
Value typed_scalar(std::string_view text);
// The same with an explicit type: !!int "7". Throws Error(usage) when the text is not of that type.
Value scalar_of_type(ScalarType type, std::string_view text);

}  // namespace tug::step

#endif  // TUG_STEP_YAML_TYPES_H_
