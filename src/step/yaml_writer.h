// Writing YAML exactly as PyYAML's dump(value, indent=4) does: block style, keys sorted, lines
// folded at 80 columns, quotes only where a plain scalar would be read as something else
// (step-contract 6.3).
#ifndef TUG_STEP_YAML_WRITER_H_
#define TUG_STEP_YAML_WRITER_H_

#include "step/value.h"

#include <string>

namespace tug::step {

// Ends in a newline. Reading it back with any YAML 1.1 reader gives an equal value; invalid UTF-8
// in a string becomes U+FFFD. Pure.
std::string write_yaml(const Value& value);

}  // namespace tug::step

#endif  // TUG_STEP_YAML_WRITER_H_
