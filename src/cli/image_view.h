// What inspecting an image reads, and the forms in which it is shown.
#ifndef TUG_CLI_IMAGE_VIEW_H_
#define TUG_CLI_IMAGE_VIEW_H_

#include "cli/options.h"
#include "oci/json.h"

#include <tug/descriptor.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <stop_token>
#include <string>

namespace tug::cli {

// The image that the reference (through an index, if it names one) has for the platform.
struct ImageView {
  RawManifest top;
  Digest top_digest;
  Manifest manifest;
};
// Throws as choose_instance(), and what the source throws.
ImageView view_image(ImageSource& source, const Platform& platform, const std::stop_token& stop);

// The config's bytes, checked. Throws Error(limit) above 4 MiB, Error(integrity).
std::string read_config(ImageSource& source, const Manifest& manifest);

// The OCI view of an image configuration: the members that the OCI specification has, in its order
// (config.md).
Json oci_config(const Json& config);
// How Go's encoder indents it.
constexpr Json::DumpStyle kGoIndented{4, ' ', true};
// Throws Error(usage) when a template was asked for.
void refuse_format(const Arguments& arguments);

}  // namespace tug::cli

#endif  // TUG_CLI_IMAGE_VIEW_H_
