// Decisions about one blob, without I/O: what may stand for it at the destination, and what it is
// called once it was made.
#ifndef TUG_COPY_LAYERS_H_
#define TUG_COPY_LAYERS_H_

#include "stream/compress.h"

#include <tug/blob.h>
#include <tug/copy.h>
#include <tug/descriptor.h>
#include <tug/manifest.h>
#include <tug/reference.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// How a layer that has to be made is compressed for `manifest_type`. Throws Error(usage) for zstd
// in a Docker schema 2 image.
CompressionSpec layer_compression(const CopyOptions& options);

// The media type of `original`, a layer's, when it is compressed with `format`: OCI or Docker kind
// and the non-distributable prefix stay (containers-storage-format.md 6.2).
std::string compressed_media_type(std::string_view original, LayerCompression format);
// The same without any compression.
std::string plain_media_type(std::string_view original);
// The compression that a layer's media type names; nullopt for plain tars and unknown types.
std::optional<LayerCompression> compression_of(std::string_view media_type) noexcept;

// The descriptor that takes the place of `original` in a manifest when the blob `made` was pushed
// for it: digest and size of `made`, the media type translated to the manifest's kind, annotations
// about the old compression dropped.
Descriptor replacement(const Descriptor& original, const Descriptor& made);

// A blob that may already be at the destination in place of another.
struct Candidate {
  Descriptor descriptor;  // size 0: not known
  std::vector<RegistryReference> mount_from = {};
};

// The repositories that the descriptor's containerd.io/distribution.source.<registry> annotations
// name for `registry`.
std::vector<RegistryReference> annotated_sources(const Descriptor& descriptor,
                                                 std::string_view registry);

// Whether the blob that the destination gets is made from this one, so that its digest is not known
// before.
inline bool is_made(const Blob& planned) noexcept { return planned.form == Blob::Form::layer_tar; }

// Pairs the layers of the manifest that the destination has under the tag with the diff IDs of its
// config; empty when they do not pair.
struct DiffIdPair {
  Digest diff_id;
  Descriptor layer;
};
std::vector<DiffIdPair> pair_diff_ids(const Manifest& manifest, std::string_view config_bytes);
// rootfs.diff_ids of an image configuration; empty when it has none or is none.
std::vector<Digest> diff_ids(std::string_view config_bytes);

}  // namespace tug

#endif  // TUG_COPY_LAYERS_H_
