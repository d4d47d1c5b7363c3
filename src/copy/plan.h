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

// An image: its manifest, as it is to be at the destination (but for what becomes of its layers
// when they are made), and where its blobs stand in CopyPlan::blobs.
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
  // Of Form::layer_tar: it goes as it is, without compression.
  bool is_plain = false;
  // Of Form::layer_tar: the source has it in another compression than is asked for, so that nothing
  // but that may stand for it.
  bool is_recompressed = false;
};

struct CopyPlan {
  static constexpr std::size_t kNoBlob = static_cast<std::size_t>(-1);
  static constexpr std::size_t kNoNode = static_cast<std::size_t>(-1);
  struct Node {
    // Exactly one is set.
    std::optional<PlannedImage> image;
    std::optional<PlannedIndex> index;
    // At the source.
    Descriptor original;
    [[nodiscard]] Descriptor descriptor() const {
      return image ? image->manifest.descriptor() : index->index.descriptor();
    }
  };
  std::vector<PlannedBlob> blobs;  // distinct, largest first
  std::vector<Node> nodes;         // children before their parents; the last is the top
  // The index at the source that the one image was chosen from.
  std::optional<Index> chosen_from;
  // What a conversion changes, in clauses ("the image is converted to OCI (--format)"), and a line
  // that says what is lost by it, or "".
  std::vector<std::string> changes;
  std::string losses;
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

// Reads the manifests that `options` selects and plans their copy to a place for images of `form`.
// Configurations are read where manifests are converted, or layers are to be compressed anew.
// Throws Error(usage) when an index has no instance for the platform (listing those it has), for
// what cannot be converted, and when options.preserve_digests forbids what has to be done;
// Error(integrity) for indexes nested too deeply (8) or too many manifests (4096).
CopyPlan make_plan(ImageSource& source, const CopyOptions& options, const ImageForm& form,
                   const std::stop_token& stop);

}  // namespace tug

#endif  // TUG_COPY_PLAN_H_
