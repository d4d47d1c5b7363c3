// TOML read into the same value tree as JSON. The one file that knows toml++ is toml.cc.
#ifndef TUG_OCI_TOML_H_
#define TUG_OCI_TOML_H_

#include "oci/json.h"

#include <string>
#include <string_view>

namespace tug {

// Tables become objects (members sorted by key), dates and times become strings as TOML writes
// them. Throws Error(usage): "PATH: line 3: …". Give it configuration files only: it is the user's
// own text, bounded by whoever read the file.
Json parse_toml(std::string_view text, const std::string& path);

}  // namespace tug

#endif  // TUG_OCI_TOML_H_
