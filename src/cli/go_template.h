// Go's text/template, as far as people write it behind --format: fields, variables, pipelines, if,
// range, with, break and continue, the functions that skopeo has, comments and trimmed white space.
// Pure: a text and a value in, a text out. What is not known is refused, naming it and where it
// stands. Depth, steps and memory are bounded, whatever the template says.
#ifndef TUG_CLI_GO_TEMPLATE_H_
#define TUG_CLI_GO_TEMPLATE_H_

#include "cli/go_value.h"

#include <string>
#include <string_view>

namespace tug::cli {

// Whether --format asks for all as JSON: "json", "{{json .}}".
bool is_json_format(std::string_view format);

// What skopeo prints for `--format FORMAT` of one value: "\t" and "\n" in the format stand for what
// they are called, a line end is added, and behind "table " spaces are columns' borders too. The
// dot is the value, or with a {{range .}} … {{end}} in the format the list that has it alone; $ is
// that list. Throws Error(usage), Error(limit).
std::string format_value(std::string_view format, const GoValue& value);

}  // namespace tug::cli

#endif  // TUG_CLI_GO_TEMPLATE_H_
