// The Link header of a paged list (RFC 8288; distribution spec, "Listing Tags").
#ifndef TUG_REGISTRY_LINK_H_
#define TUG_REGISTRY_LINK_H_

#include <optional>
#include <string>
#include <string_view>

namespace tug::registry {

// The target of the first link whose rel is "next": `<…>; rel="next"`. nullopt when there is none
// or the header is malformed before it. Never throws.
std::optional<std::string> next_link(std::string_view header);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_LINK_H_
