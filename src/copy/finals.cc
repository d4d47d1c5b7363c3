#include "copy/finals.h"

#include "copy/layers.h"

#include <tug/manifest.h>

#include <algorithm>
#include <set>

namespace tug {
namespace {

FinalManifest final_image(const PlannedImage& image, const MadeBlob& made) {
  std::vector<Descriptor> layers = image.manifest.layers();
  bool changed = false;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (image.layers[i] == CopyPlan::kNoBlob) continue;
    const std::optional<Descriptor> now = made(image.layers[i]);
    if (!now || now->digest == layers[i].digest) continue;
    layers[i] = replacement(layers[i], *now);
    changed = true;
  }
  const Manifest manifest = changed ? image.manifest.with_layers(layers) : image.manifest;
  return {manifest.descriptor(), manifest.bytes()};
}

Index with_final_children(const PlannedIndex& planned, const std::vector<FinalManifest>& finals) {
  std::vector<Descriptor> children = planned.index.manifests();
  bool changed = false;
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (planned.children[i] == CopyPlan::kNoNode) continue;
    const Descriptor& now = finals[planned.children[i]].descriptor;
    if (now.digest == children[i].digest) continue;
    children[i].digest = now.digest;
    children[i].size = now.size;
    children[i].media_type = now.media_type;
    changed = true;
  }
  return changed ? planned.index.with_manifests(children) : planned.index;
}

FinalManifest final_index(const PlannedIndex& planned, const std::vector<FinalManifest>& finals,
                          bool strip) {
  Index index = with_final_children(planned, finals);
  if (strip) {
    std::set<Digest> kept;
    for (const std::size_t child : planned.children) {
      if (child != CopyPlan::kNoNode) kept.insert(finals[child].descriptor.digest);
    }
    index = index.with_only([&](const Digest& digest) { return kept.count(digest) > 0; });
  }
  return {index.descriptor(), index.bytes()};
}

}  // namespace

std::vector<FinalManifest> final_manifests(const CopyPlan& plan, const CopyOptions& options,
                                           const MadeBlob& made) {
  std::vector<FinalManifest> finals;
  finals.reserve(plan.nodes.size());
  for (const CopyPlan::Node& node : plan.nodes) {
    finals.push_back(node.image
                         ? final_image(*node.image, made)
                         : final_index(*node.index, finals, options.strip_removed_platforms));
  }
  return finals;
}

}  // namespace tug
