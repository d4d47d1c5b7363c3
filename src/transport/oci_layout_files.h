// The files of an OCI image layout (image spec, image-layout.md), as both ends of a copy know them.
#ifndef TUG_TRANSPORT_OCI_LAYOUT_FILES_H_
#define TUG_TRANSPORT_OCI_LAYOUT_FILES_H_

#include "oci/json.h"
#include "transport/image_directory.h"
#include "transport/image_files.h"

#include <tug/descriptor.h>
#include <tug/digest.h>
#include <tug/manifest.h>

#include <string>
#include <string_view>

namespace tug {

inline constexpr std::string_view kLayoutFile = "oci-layout";
inline constexpr std::string_view kLayoutIndex = "index.json";
inline constexpr std::string_view kLayoutBlobs = "blobs";

// As containers/image writes them.
inline constexpr std::string_view kNewLayout = R"({"imageLayoutVersion": "1.0.0"})";
inline constexpr std::string_view kNewIndex = R"({"schemaVersion":2,"manifests":[]})";

// Where blobs are: `parent`/alg/hex. `parent`: "blobs", or "" in a directory that layouts share.
std::string blob_directory(const std::string& parent, const Digest& digest);
std::string blob_path(const std::string& parent, const Digest& digest);

// The same beneath `directory`.
struct OciBlobs {
  ImageDirectory directory;
  std::string parent;

  [[nodiscard]] std::string directory_of(const Digest& digest) const {
    return blob_directory(parent, digest);
  }
  [[nodiscard]] std::string path_of(const Digest& digest) const {
    return blob_path(parent, digest);
  }
};

// As open_directory(); a file gets a hint.
ImageDirectory open_layout_directory(const std::string& path);
// Throws Error(local) for no layout, Error(integrity) for one of another version than 1.0.0.
void check_layout_version(const ImageFiles& layout);
// Throws Error(local), Error(integrity).
Index read_layout_index(const ImageFiles& layout);

// The name that an entry of index.json has: org.opencontainers.image.ref.name. nullptr: none.
const std::string* ref_name(const Descriptor& entry) noexcept;
// Whether an image may be given this name: the grammar of annotations.md, which containers/image
// insists on.
bool is_ref_name(std::string_view name) noexcept;
// The text of index.json when `image` has the name `name` in it ("": none). Whatever else `index`
// has stays, byte for byte when nothing changes: the entries of other names, an entry that says the
// same already. An entry of the same name is replaced where it stands; else one of the same image
// without a name is, as containers/image does it.
std::string index_with_image(const Index& index, const Descriptor& image, const std::string& name);
// The same in the document that an index.json is; false when nothing changes.
bool put_layout_entry(Json& index, const Descriptor& image, const std::string& name);
// The entry that it gets there.
Json layout_entry(const Descriptor& image, const std::string& name);

}  // namespace tug

#endif  // TUG_TRANSPORT_OCI_LAYOUT_FILES_H_
