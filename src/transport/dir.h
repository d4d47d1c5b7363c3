// The dir: transport: one image in the plain files of a directory, as containers/image has it
// (version 1.1): `version`, `manifest.json`, blobs under the hex of their digests,
// HEX.manifest.json for the images of an index, `signature-N`.
//
// Source: reads what anybody may have written, and trusts nothing in it, as oci_layout.h says.
// Destination: what the directory held is replaced when all of the new image is there; files that
// are not of this layout are left alone.
#ifndef TUG_TRANSPORT_DIR_H_
#define TUG_TRANSPORT_DIR_H_

#include "transport/image_directory.h"

#include <tug/digest.h>
#include <tug/transport.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tug {

// `note`, if there is one, is told of signatures, which no copy takes along. Throws Error(usage)
// for no path, Error(local) for a directory that cannot be read, Error(integrity) for another
// version of the layout.
std::unique_ptr<ImageSource> open_dir(const std::string& path,
                                      const std::function<void(std::string_view)>& note);

// `layers` says what becomes of layers there. `path` is new, empty or holds an image already; its
// parent must be there. Nothing is written before the first put. Throws Error(usage) for no path,
// Error(local) for a directory that holds anything else.
std::unique_ptr<ImageDestination> open_dir_destination(
    const std::string& path, ImageForm::Layers layers = ImageForm::Layers::kept);

// The files, as both ends know them.
namespace dir_files {
inline constexpr std::string_view kVersion = "version";
inline constexpr std::string_view kVersionText = "Directory Transport Version: 1.1\n";
inline constexpr std::string_view kManifest = "manifest.json";
std::string blob(const Digest& digest);
std::string manifest(const Digest& digest);
// A blob, a manifest of an index or a signature: what a new image replaces.
bool is_content(std::string_view name) noexcept;
// Throws Error(usage).
void require_path(const std::string& path);
// What `version` says; throws Error(local) for one that is no such file.
std::string version(const ImageDirectory& directory);
}  // namespace dir_files

}  // namespace tug

#endif  // TUG_TRANSPORT_DIR_H_
