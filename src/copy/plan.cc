#include "copy/plan.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>
#include <variant>

namespace tug {
namespace {

// Real indexes are one or two levels deep; a deeper one is an attack or a mistake.
constexpr int kMaxIndexDepth = 8;
constexpr std::size_t kMaxManifests = 4096;

std::string platforms_of(const Index& index) {
  std::string text;
  std::size_t shown = 0;
  for (const Descriptor& child : index.manifests()) {
    if (!child.platform) continue;
    if (++shown > 20) return text + ", …";
    text += (text.empty() ? "" : ", ") + child.platform->str();
  }
  return text.empty() ? "none that names a platform" : text;
}

void check_depth(int depth) {
  if (depth >= kMaxIndexDepth) {
    throw Error(ErrorKind::integrity,
                fmt::format("indexes are nested more than {} deep", kMaxIndexDepth));
  }
}

ManifestOrIndex read_child(ImageSource& source, const Descriptor& descriptor,
                           const std::stop_token& stop) {
  RawManifest raw = source.manifest(descriptor, stop);
  return with_context("manifest " + descriptor.digest.str(), [&] {
    return parse_manifest_or_index(std::move(raw.bytes), descriptor.media_type.empty()
                                                             ? raw.media_type
                                                             : descriptor.media_type);
  });
}

class Planner {
 public:
  Planner(ImageSource& source, const CopyOptions& options, const std::stop_token& stop)
      : source_(source), options_(options), stop_(stop) {}

  CopyPlan run() {
    RawManifest raw = source_.manifest(stop_);
    // The digest says which file of a layout is meant.
    ManifestOrIndex top =
        with_context([&] { return "manifest " + Digest::of(raw.bytes).str(); },
                     [&] { return parse_manifest_or_index(raw.bytes, raw.media_type); });
    if (options_.instances.kind == InstanceSelection::Kind::system) {
      add_image(choose_instance(source_, std::move(top), options_.platform, "copy all with --all",
                                stop_));
    } else {
      add(std::move(top), 0);
    }
    check_format();
    sort_blobs();
    return std::move(plan_);
  }

 private:
  void check_format() const {
    if (!options_.format) return;
    const bool docker_wanted = *options_.format == ManifestFormat::docker;
    for (const CopyPlan::Node& node : plan_.nodes) {
      const Descriptor found = node.descriptor();
      if (media_type::is_docker(found.media_type) == docker_wanted) continue;
      throw Error(ErrorKind::usage,
                  fmt::format("the manifest {} is {}, and this version of tug does not convert it "
                              "to {}",
                              found.digest.str(), found.media_type,
                              docker_wanted ? "Docker's schema 2" : "OCI"))
          .set_hint("leave --format out: the image then goes as it is, with its digest");
    }
  }

  std::size_t add(ManifestOrIndex document, int depth) {
    if (auto* manifest = std::get_if<Manifest>(&document)) return add_image(std::move(*manifest));
    return add_index(std::get<Index>(std::move(document)), depth);
  }

  std::size_t add_index(Index index, int depth) {
    check_depth(depth);
    PlannedIndex planned{std::move(index), {}};
    for (const Descriptor& child : planned.index.manifests()) {
      planned.children.push_back(is_selected(child) ? add_child(child, depth) : CopyPlan::kNoNode);
    }
    if (options_.instances.kind == InstanceSelection::Kind::platforms && depth == 0)
      check_platforms_found(planned.index);
    CopyPlan::Node node;
    node.index = std::move(planned);
    return push(std::move(node));
  }

  // A child that two indexes (or one index twice) name is copied once.
  std::size_t add_child(const Descriptor& child, int depth) {
    if (const auto known = nodes_.find(child.digest); known != nodes_.end()) return known->second;
    if (plan_.nodes.size() >= kMaxManifests) {
      throw Error(ErrorKind::integrity,
                  fmt::format("the index names more than {} manifests", kMaxManifests));
    }
    const std::size_t node = add(read_child(source_, child, stop_), depth + 1);
    nodes_.emplace(child.digest, node);
    return node;
  }

  [[nodiscard]] bool is_selected(const Descriptor& child) const {
    switch (options_.instances.kind) {
      case InstanceSelection::Kind::index_only:
        return false;
      case InstanceSelection::Kind::platforms:
        return child.platform &&
               std::any_of(
                   options_.instances.platforms.begin(), options_.instances.platforms.end(),
                   [&](const Platform& wanted) { return matches(*child.platform, wanted); });
      default:
        return true;
    }
  }

  // As skopeo's platform list: a platform without a variant takes every variant.
  static bool matches(const Platform& platform, const Platform& wanted) {
    return platform.os == wanted.os && platform.architecture == wanted.architecture &&
           (wanted.variant.empty() || wanted.variant == platform.variant);
  }

  void check_platforms_found(const Index& index) const {
    for (const Platform& wanted : options_.instances.platforms) {
      const bool found = std::any_of(index.manifests().begin(), index.manifests().end(),
                                     [&](const Descriptor& child) {
                                       return child.platform && matches(*child.platform, wanted);
                                     });
      if (!found) {
        throw Error(ErrorKind::usage,
                    fmt::format("no image for {} in the index {} (it has: {})", wanted.str(),
                                index.digest().str(), platforms_of(index)));
      }
    }
  }

  std::size_t add_image(Manifest manifest) {
    PlannedImage image{std::move(manifest), {}, 0};
    for (Blob& layer : source_.layers(image.manifest)) {
      image.layers.push_back(stays_away(layer.descriptor) ? CopyPlan::kNoBlob
                                                          : add_blob(std::move(layer), false));
    }
    image.config = add_blob(source_.blob(image.manifest.config()), true);
    CopyPlan::Node node;
    node.image = std::move(image);
    return push(std::move(node));
  }

  // Foreign layers with URLs are not copied: a registry need not hold them (containers/image:
  // copy/single.go).
  static bool stays_away(const Descriptor& layer) {
    return media_type::is_nondistributable(layer.media_type) && !layer.urls.empty();
  }

  // Equal digests are one blob; what is made from a tar is one per tar.
  std::size_t add_blob(Blob blob, bool is_config) {
    const Digest& key = blob.form == Blob::Form::layer_tar ? *blob.diff_id : blob.descriptor.digest;
    const auto [known, is_new] = blobs_.emplace(key, plan_.blobs.size());
    if (is_new) plan_.blobs.push_back(PlannedBlob{std::move(blob), is_config});
    return known->second;
  }

  std::size_t push(CopyPlan::Node node) {
    plan_.nodes.push_back(std::move(node));
    return plan_.nodes.size() - 1;
  }

  // Largest first, so that the one huge layer does not start last (user-asks 4).
  void sort_blobs() {
    std::vector<std::size_t> order(plan_.blobs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return plan_.blobs[a].blob.open_size > plan_.blobs[b].blob.open_size;
    });
    std::vector<std::size_t> place(order.size());
    std::vector<PlannedBlob> sorted;
    sorted.reserve(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = i;
      sorted.push_back(std::move(plan_.blobs[order[i]]));
    }
    plan_.blobs = std::move(sorted);
    for (CopyPlan::Node& node : plan_.nodes) {
      if (!node.image) continue;
      node.image->config = place[node.image->config];
      for (std::size_t& layer : node.image->layers) {
        if (layer != CopyPlan::kNoBlob) layer = place[layer];
      }
    }
  }

  ImageSource& source_;
  const CopyOptions& options_;
  const std::stop_token& stop_;
  CopyPlan plan_;
  std::map<Digest, std::size_t> nodes_;
  std::map<Digest, std::size_t> blobs_;
};

}  // namespace

Manifest choose_instance(ImageSource& source, ManifestOrIndex document, const Platform& platform,
                         std::string_view otherwise, const std::stop_token& stop) {
  for (int depth = 0; std::holds_alternative<Index>(document); ++depth) {
    check_depth(depth);
    const Index& index = std::get<Index>(document);
    const Descriptor* chosen = index.choose(platform);
    if (chosen == nullptr) {
      throw Error(ErrorKind::usage,
                  fmt::format("no image for {} in the index {} (it has: {})", platform.str(),
                              index.digest().str(), platforms_of(index)))
          .set_hint(fmt::format(
              "choose one with --override-os, --override-arch, --override-variant, or {}",
              otherwise));
    }
    document = read_child(source, *chosen, stop);
  }
  return std::get<Manifest>(std::move(document));
}

bool CopyPlan::has_unmade_blobs() const {
  return std::any_of(blobs.begin(), blobs.end(), [](const PlannedBlob& planned) {
    return planned.blob.form == Blob::Form::layer_tar;
  });
}

CopyPlan make_plan(ImageSource& source, const CopyOptions& options, const std::stop_token& stop) {
  return Planner(source, options, stop).run();
}

}  // namespace tug
