// Descriptors as members of a JSON document.
#ifndef TUG_OCI_DESCRIPTOR_JSON_H_
#define TUG_OCI_DESCRIPTOR_JSON_H_

#include "oci/json.h"
#include "tug/descriptor.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

inline constexpr std::size_t kMaxDescriptors =
    16'384;  // layers of a manifest, children of an index
// 256 TiB: no blob is larger, and the sizes of kMaxDescriptors of them can be added up in 64 bits.
inline constexpr std::uint64_t kMaxBlobBytes = std::uint64_t{1} << 48;

// All throw Error(integrity); the message begins with `where`, for example "layers[2].size".

// A JSON object with mediaType, digest and size, and whatever else descriptor.md allows.
Descriptor parse_descriptor(const Json& json, const std::string& where);
std::vector<Descriptor> parse_descriptors(const Json& json, const std::string& where);

// A member that is a string: "" when it is absent or null, which Go's programs write for the same
// thing.
std::string optional_string(const Json& object, std::string_view key, const std::string& where);

// A Go program matches member names without regard to case, so "Layers" would be `layers` to it and
// nothing to others: refuses members of `object` that differ from one of `known` only in case.
void refuse_case_variants(const Json& object, const std::vector<std::string_view>& known,
                          const std::string& where);

// Writes media type, digest and size into the descriptor `object`; everything else stays.
void update_descriptor(Json& object, const Descriptor& descriptor);
// Makes the annotations of `object` those of `descriptor`; those that stay keep their order.
void update_annotations(Json& object, const Descriptor& descriptor);

}  // namespace tug

#endif  // TUG_OCI_DESCRIPTOR_JSON_H_
