// A page of a registry's list of tags (distribution spec, "Listing Tags"). Pure.
#ifndef TUG_REGISTRY_TAG_PAGE_H_
#define TUG_REGISTRY_TAG_PAGE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

// Some registries ignore n= and send all.
inline constexpr std::size_t kMaxTagPage = std::size_t{32} * 1024 * 1024;

// The tags on it; none where the list is null, as for an empty repository. `authority` is for
// messages. Throws Error(protocol) for what is no JSON, and for a tag that is none.
std::vector<std::string> tags_of_page(std::string_view body, const std::string& authority);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_TAG_PAGE_H_
