// Docker's manifests of schema 1, of which tug only needs to know what their digest is of.
#ifndef TUG_OCI_SCHEMA1_H_
#define TUG_OCI_SCHEMA1_H_

#include <optional>
#include <string>
#include <string_view>

namespace tug {

// What a signed schema 1 manifest was before its signatures were put into it: these bytes are what
// its digest is of. nullopt when it is none. The signatures are not verified. Throws
// Error(integrity) when they do not tell what they sign.
std::optional<std::string> schema1_payload(std::string_view manifest);

}  // namespace tug

#endif  // TUG_OCI_SCHEMA1_H_
