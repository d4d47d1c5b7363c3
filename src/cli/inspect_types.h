// The Go types of what inspect prints, so that templates name its fields as they do for skopeo.
#ifndef TUG_CLI_INSPECT_TYPES_H_
#define TUG_CLI_INSPECT_TYPES_H_

#include "cli/go_value.h"

namespace tug::cli {

const GoType& inspect_type();  // of an image (cli-surface.md A.4)
const GoType& config_type();   // of its configuration as OCI has it (--config)

}  // namespace tug::cli

#endif  // TUG_CLI_INSPECT_TYPES_H_
