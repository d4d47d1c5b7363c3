// The configuration of an image (image spec, config.md), as a conversion has to rewrite it. Pure.
#ifndef TUG_OCI_IMAGE_CONFIG_H_
#define TUG_OCI_IMAGE_CONFIG_H_

#include "oci/json.h"

#include <tug/descriptor.h>
#include <tug/digest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

struct OciConfig {
  std::string bytes;
  // Members that had a value and a meaning, but have no place in an OCI configuration:
  // "Healthcheck", "OnBuild", "Shell", …
  std::vector<std::string> lost;
};

// Docker's configuration `docker` as containers/image 5.22 writes it into an OCI image, byte for
// byte: only the members that the OCI specification knows, in the order of its Go structure, times
// and text as Go writes them. (Newer versions of it put `variant` behind `os.features`.) Throws
// Error(integrity) when it is no such configuration.
OciConfig oci_config(std::string_view docker);

// The platform that a configuration says it is for. Throws Error(integrity) for one that has no
// architecture or os.
Platform platform_of_config(std::string_view config);

// rootfs.diff_ids; empty where there are none. Throws Error(integrity) for what is no list of
// digests.
std::vector<Digest> diff_ids_of(const Json& config);
// Throws Error(integrity) when a config lists more or fewer layers than the image's manifest.
void require_same_layers(std::size_t in_config, std::size_t in_manifest);

// A time of RFC 3339 as Go's time.Time writes it after reading it: no zeros at the end of the
// fraction, nanoseconds at most, "Z" where the offset is none. nullopt: Go would not read it.
std::optional<std::string> go_time(std::string_view text);

}  // namespace tug

#endif  // TUG_OCI_IMAGE_CONFIG_H_
