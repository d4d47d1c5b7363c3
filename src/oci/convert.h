// Manifests of one family of media types made into those of the other, OCI or Docker schema 2, as
// containers/image does it: the documents that come out are byte for byte those that it writes.
// Pure.
#ifndef TUG_OCI_CONVERT_H_
#define TUG_OCI_CONVERT_H_

#include <tug/descriptor.h>
#include <tug/manifest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

ManifestFormat format_of(std::string_view manifest_type) noexcept;

struct ConvertedImage {
  Manifest manifest;
  // The configuration that the new manifest names, where it is not the old one.
  std::optional<std::string> config = {};
  // What the other family has no place for, for people: "annotations", "the subject",
  // "config.Healthcheck".
  std::vector<std::string> lost = {};
};

// Whether the image's configuration has to be given to convert_image().
bool conversion_needs_config(const Manifest& image, ManifestFormat format) noexcept;

// `image`, which is of the other format, in `format`. `config`: its configuration, where that is
// needed. A zstd layer on its way to Docker gets the type of a plain one, since there is none for
// it: with_layers() has to replace it. Throws Error(usage) for what is no image of a container, and
// for layers that the other format has no type for; Error(integrity) for a broken configuration.
ConvertedImage convert_image(const Manifest& image, ManifestFormat format,
                             std::string_view config = {});

struct ConvertedIndex {
  Index index;
  std::vector<std::string> lost = {};
};
// `index`, which is of the other format, in `format`; its children are named as they were, with
// `platforms` (one for each child) where they named none. Throws Error(usage) when a child has no
// platform then, which Docker's lists demand.
ConvertedIndex convert_index(const Index& index, ManifestFormat format,
                             const std::vector<std::optional<Platform>>& platforms);

}  // namespace tug

#endif  // TUG_OCI_CONVERT_H_
