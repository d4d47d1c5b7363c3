// Reading the step's files: JSON first, then YAML 1.1 typed as PyYAML's safe loader types it
// (step-contract 1.3, 2.3). The one file that knows yaml-cpp is yaml.cc. Pure functions.
#ifndef TUG_STEP_YAML_H_
#define TUG_STEP_YAML_H_

#include "step/value.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tug::step {

// Files and what they mean are bounded: no alias or merge key expands beyond these.
inline constexpr std::size_t kMaxDocumentBytes = std::size_t{4} * 1024 * 1024;
inline constexpr std::size_t kMaxDocumentValues = 200'000;
inline constexpr std::size_t kMaxDocumentDepth = 64;
// All text of a document, aliases written out.
inline constexpr std::size_t kMaxExpandedBytes = std::size_t{16} * 1024 * 1024;

// The one document in `text`; null for an empty one. Every value knows its place in `file`. A
// mapping's later duplicate of a key wins. Throws Error(usage) "FILE: line 3, column 7: …": syntax,
// more than one document, invalid UTF-8, an unknown alias, a duplicate anchor, a recursive alias, a
// tag that safe-loading does not know, a key that is a list or mapping, a limit.
Value parse_document(std::string_view text, const std::string& file);

}  // namespace tug::step

#endif  // TUG_STEP_YAML_H_
