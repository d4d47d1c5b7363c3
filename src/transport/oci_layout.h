// The transports oci: and oci-archive:, an OCI image layout (image spec, image-layout.md) in a
// directory or in a tar.
//
// Source: reads a layout that anybody may have written, and trusts nothing in it: every file is
// opened beneath the layout's directory, the size is compared before a byte is handed out,
// manifests are compared with their digests when they are read, and other blobs by whoever sends
// them. Destination: an image appears in index.json when all of it is there, or not at all; what
// else the layout holds stays.
#ifndef TUG_TRANSPORT_OCI_LAYOUT_H_
#define TUG_TRANSPORT_OCI_LAYOUT_H_

#include <tug/descriptor.h>
#include <tug/manifest.h>
#include <tug/reference.h>
#include <tug/transport.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

struct ListedImages;  // open.h
class SharedArchive;  // new_archive.h

// What stands after "oci:" or "oci-archive:": PATH, PATH:REF or PATH:@INDEX. The path ends at the
// first colon, as in containers/image.
struct OciReference {
  std::string path;
  std::string name;                  // org.opencontainers.image.ref.name; "" when none was given
  std::optional<std::size_t> index;  // position in index.json, from 0
  Transport transport = Transport::oci;

  // Throws Error(usage): no path, @ without a number.
  static OciReference parse(std::string_view rest, Transport transport = Transport::oci);
  [[nodiscard]] std::string str() const;  // "oci:PATH:REF"
  friend bool operator==(const OciReference&, const OciReference&) = default;
};

// Whether an entry of index.json is there for another image's sake: a referrer.
using IsAttached = std::function<bool(const Descriptor& entry)>;

// The entry of index.json that `reference` names. Without a name there must be exactly one, beside
// those that tags of cosign name and, of a few dozen, those that `is_attached` tells. Throws
// Error(not_found) for a name or position that is not there and for an empty index, Error(usage)
// when a name is needed; both list what there is.
const Descriptor& select_image(const Index& index, const OciReference& reference,
                               const IsAttached& is_attached = {});

// Opens the layout and reads its index. `shared_blob_dir`: blobs are in DIR/ALG/HEX instead of
// PATH/blobs/ALG/HEX. Throws Error(local) for a file or directory that cannot be read, or no layout
// of version 1.0.0; Error(integrity) for a broken index.json; and what select_image throws.
std::unique_ptr<ImageSource> open_oci_layout(const OciReference& reference,
                                             const std::optional<std::string>& shared_blob_dir);

// The same of a layout in a tar, plain or compressed (image_archive.h). A shared blob directory has
// no meaning there.
std::unique_ptr<ImageSource> open_oci_archive(const OciReference& reference,
                                              const std::string& temporary_directory,
                                              const std::stop_token& stop);

// An image of a layout that is there, or will be made with the first thing that is written: in
// PATH, whose parent must be there. It wants OCI images; `layers` says what becomes of their layers
// there. `note` is told what the user should know of the image. Throws Error(usage) for a position
// or a name that no image may have, Error(local) for a directory that holds something else,
// Error(integrity) for a layout that is broken.
std::unique_ptr<ImageDestination> open_oci_layout_destination(
    const OciReference& reference, const std::optional<std::string>& shared_blob_dir,
    ImageForm::Layers layers, std::function<void(std::string_view)> note);

// An archive that will hold this image alone, and appears, in the place of what had its name, when
// all of it is there. Throws Error(usage) for a position or a name that no image may have,
// Error(local) for a file that cannot be written.
std::unique_ptr<ImageDestination> open_oci_archive_destination(
    const OciReference& reference, const std::string& temporary_directory, ImageForm::Layers layers,
    std::function<void(std::string_view)> note);

// The same for several images.
std::shared_ptr<SharedArchive> open_shared_oci_archive(const std::string& path,
                                                       const std::string& temporary_directory,
                                                       ImageForm::Layers layers,
                                                       std::function<void(std::string_view)> note);

// Throws Error(usage) for a position or a name that no image may have.
void check_destination(const OciReference& reference);

// All entries of index.json that have a name; of several entries for one image, under one name, the
// first. Throws as open_oci_layout, and Error(usage): a name was given that is not "*"; a name
// stands for several images.
ListedImages list_oci_layout(const OciReference& layout);
ListedImages list_oci_archive(const OciReference& archive, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_TRANSPORT_OCI_LAYOUT_H_
