// What a copy has to do, decided from manifests alone: which blobs must be at the destination, and
// which manifests go there in which order. Reading a source's manifests is the only I/O here;
// everything else is a value that can be tested and printed.
#ifndef TUG_COPY_PLAN_H_
#define TUG_COPY_PLAN_H_

#include <tug/blob.h>
#include <tug/copy.h>
#include <tug/digest.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// An image: its manifest, and where its blobs stand in CopyPlan::blobs.
struct PlannedImage {
  Manifest manifest;
  std::vector<std::size_t>
      layers;  // parallel to manifest.layers(); kNoBlob for a foreign layer that stays where it is
  std::size_t config = 0;
};

// An index; its children that are copied stand in CopyPlan::nodes.
struct PlannedIndex {
  Index index;
  // Parallel to index.manifests(): the child's node, or kNoNode for one that is not copied
  // (sparse).
  std::vector<std::size_t> children;
};

struct PlannedBlob {
  Blob blob;
  bool is_config = false;
};

struct CopyPlan {
  static constexpr std::size_t kNoBlob = static_cast<std::size_t>(-1);
  static constexpr std::size_t kNoNode = static_cast<std::size_t>(-1);
  struct Node {
    // Exactly one is set.
    std::optional<PlannedImage> image;
    std::optional<PlannedIndex> index;
    [[nodiscard]] Descriptor descriptor() const {
      return image ? image->manifest.descriptor() : index->index.descriptor();
    }
  };
  std::vector<PlannedBlob> blobs;  // distinct, largest first
  std::vector<Node> nodes;         // children before their parents; the last is the top
  [[nodiscard]] const Node& top() const { return nodes.back(); }
  // Whether any blob must be made (compressed) before it has its digest, so that the manifests are
  // not final.
  [[nodiscard]] bool has_unmade_blobs() const;
};

// Follows an index (of an index) to the manifest for `platform`. Throws Error(usage) when it has
// none (exit code 2 is for images that are not there at all), listing those it has; `otherwise` is
// what else one can do. Throws Error(integrity) for indexes nested too deeply (8).
Manifest choose_instance(ImageSource& source, ManifestOrIndex document, const Platform& platform,
                         std::string_view otherwise, const std::stop_token& stop);

// Reads the manifests that `options` selects and plans their copy. Throws Error(usage) when an
// index has no instance for the platform (listing those it has) and for a manifest of another
// format than options.format, Error(integrity) for indexes nested too deeply (8) or too many
// manifests (4096).
CopyPlan make_plan(ImageSource& source, const CopyOptions& options, const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_COPY_PLAN_H_
