#include "copy/plan.h"

#include "base/strings.h"
#include "copy/conversion.h"
#include "copy/layers.h"
#include "oci/convert.h"
#include "oci/image_config.h"
#include "stream/compress.h"
#include "stream/file_source.h"

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
// containers/image reads no more of a configuration either.
constexpr std::size_t kMaxConfigBytes = std::size_t{4} * 1024 * 1024;

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

// The tar of a layer that the source has in some form, checked against its diff ID.
Blob as_tar(Blob blob, const Digest& diff_id) {
  if (blob.form == Blob::Form::layer_tar) return blob;
  const std::string name = "layer " + blob.descriptor.digest.str();
  blob.form = Blob::Form::layer_tar;
  blob.diff_id = diff_id;
  blob.open = [open = blob.open, diff_id, name](std::uint64_t offset) {
    return hashing_source(decompressing_source(open(0), name), diff_id, "the tar of " + name,
                          offset);
  };
  return blob;
}

class Planner {
 public:
  Planner(ImageSource& source, const CopyOptions& options, const ImageForm& form,
          const std::stop_token& stop)
      : source_(source), options_(options), stop_(stop), conversion_(options, form) {}

  CopyPlan run() {
    RawManifest raw = source_.manifest(stop_);
    // The digest says which file of a layout is meant.
    ManifestOrIndex top =
        with_context([&] { return "manifest " + Digest::of(raw.bytes).str(); },
                     [&] { return parse_manifest_or_index(raw.bytes, raw.media_type); });
    if (options_.instances.kind == InstanceSelection::Kind::system) {
      if (const auto* index = std::get_if<Index>(&top)) plan_.chosen_from = *index;
      add_image(choose_instance(source_, std::move(top), options_.platform, "copy all with --all",
                                stop_));
    } else {
      add(std::move(top), 0);
    }
    plan_.changes = conversion_.changes();
    plan_.losses = conversion_.losses();
    refuse_changes();
    sort_blobs();
    return std::move(plan_);
  }

 private:
  void refuse_changes() const {
    if (!options_.preserve_digests || plan_.changes.empty()) return;
    throw Error(ErrorKind::usage,
                fmt::format("{}, which changes the digest {}, and --preserve-digests forbids it",
                            join(plan_.changes, " and "), plan_.top().original.digest.str()));
  }

  std::size_t add(ManifestOrIndex document, int depth) {
    if (auto* manifest = std::get_if<Manifest>(&document)) return add_image(std::move(*manifest));
    return add_index(std::get<Index>(std::move(document)), depth);
  }

  std::size_t add_index(Index index, int depth) {
    check_depth(depth);
    const Descriptor original = index.descriptor();
    PlannedIndex planned{std::move(index), {}};
    for (const Descriptor& child : planned.index.manifests()) {
      planned.children.push_back(is_selected(child) ? add_child(child, depth) : CopyPlan::kNoNode);
    }
    if (options_.instances.kind == InstanceSelection::Kind::platforms && depth == 0)
      check_platforms_found(planned.index);
    convert(planned);
    CopyPlan::Node node{.image = {}, .index = std::move(planned), .original = original};
    return push(std::move(node));
  }

  void convert(PlannedIndex& planned) {
    const auto format = conversion_.format_for(planned.index.media_type());
    if (!format) return;
    std::vector<std::optional<Platform>> platforms;
    for (std::size_t i = 0; i < planned.children.size(); ++i)
      platforms.push_back(*format == ManifestFormat::docker ? missing_platform(planned, i)
                                                            : std::nullopt);
    ConvertedIndex converted = convert_index(planned.index, *format, platforms);
    conversion_.note_format(*format);
    conversion_.note_lost(*format, converted.lost);
    planned.index = std::move(converted.index);
  }

  // What the image itself says, where the index does not.
  std::optional<Platform> missing_platform(const PlannedIndex& planned, std::size_t child) {
    if (planned.index.manifests()[child].platform || planned.children[child] == CopyPlan::kNoNode)
      return std::nullopt;
    const auto& image = plan_.nodes[planned.children[child]].image;
    if (!image || !image->manifest.is_image()) return std::nullopt;
    return platform_of_config(read_config(plan_.blobs[image->config].blob));
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
    std::vector<Blob> layers = source_.layers(manifest);
    Blob config = source_.blob(manifest.config());
    PlannedImage image{converted(manifest, config), {}, 0};
    std::optional<std::vector<Digest>> diff_ids;  // once they are needed
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string found_type =
          std::exchange(layers[i].descriptor.media_type, image.manifest.layers()[i].media_type);
      if (stays_away(image.manifest.layers()[i])) {
        image.layers.push_back(CopyPlan::kNoBlob);
        continue;
      }
      PlannedBlob layer{.blob = std::move(layers[i])};
      if (image.manifest.is_image()) {
        if (!diff_ids && needs_work(found_type, image.manifest))
          diff_ids = diff_ids_of(image.manifest, config);
        prepare(layer, found_type, image.manifest, i, diff_ids);
      }
      image.layers.push_back(add_blob(std::move(layer)));
    }
    image.config = add_blob({.blob = std::move(config), .is_config = true});
    CopyPlan::Node node{.image = std::move(image), .index = {}, .original = manifest.descriptor()};
    return push(std::move(node));
  }

  // `found` in the format that is wanted; `config` becomes the blob that it names then.
  Manifest converted(const Manifest& found, Blob& config) {
    const auto format = conversion_.format_for(found.media_type());
    if (!format) return found;
    const std::string old_config =
        conversion_needs_config(found, *format) ? read_config(config) : std::string();
    try {
      ConvertedImage image = convert_image(found, *format, old_config);
      conversion_.note_format(*format);
      conversion_.note_lost(*format, image.lost);
      config.descriptor = image.manifest.config();
      if (image.config) {
        config.open_size = image.config->size();
        config.open = [bytes = std::move(*image.config)](std::uint64_t offset) {
          return memory_source(bytes, offset);
        };
      }
      return std::move(image.manifest);
    } catch (const Error&) {
      if (conversion_.is_optional()) return found;
      throw;
    }
  }

  // Whole, and what its descriptor names.
  static std::string read_config(const Blob& config) {
    const Descriptor& descriptor = config.descriptor;
    auto bytes = read_small(*config.open(0), kMaxConfigBytes);
    if (!bytes) {
      throw Error(ErrorKind::limit,
                  fmt::format("the configuration {} is larger than {}", descriptor.digest.str(),
                              human_bytes(kMaxConfigBytes)));
    }
    if (Digest::of(descriptor.digest.algorithm(), *bytes) != descriptor.digest) {
      throw Error(ErrorKind::integrity,
                  fmt::format("the configuration {} has another digest", descriptor.digest.str()));
    }
    return std::move(*bytes);
  }

  [[nodiscard]] bool needs_work(const std::string& found_type, const Manifest& manifest) const {
    return conversion_.work_for(found_type, format_of(manifest.media_type())) !=
           Conversion::LayerWork::none;
  }

  static std::vector<Digest> diff_ids_of(const Manifest& manifest, const Blob& config) {
    std::vector<Digest> ids = diff_ids(read_config(config));
    if (ids.size() != manifest.layers().size()) ids.clear();
    return ids;
  }

  // A layer that has to be made anew becomes the tar that it is made from.
  void prepare(PlannedBlob& layer, const std::string& found_type, const Manifest& manifest,
               std::size_t position, const std::optional<std::vector<Digest>>& diff_ids) {
    const ManifestFormat format = format_of(manifest.media_type());
    const Conversion::LayerWork work = conversion_.work_for(found_type, format);
    layer.is_plain = conversion_.makes_plain_layers();
    if (layer.blob.form == Blob::Form::layer_tar && conversion_.takes_tars()) {
      layer.is_plain = !layer.blob.descriptor_verified;
      if (layer.blob.descriptor_verified) layer.blob.form = Blob::Form::stands_for;
      return;
    }
    if (work == Conversion::LayerWork::none) return;
    const bool is_tar = layer.blob.form == Blob::Form::layer_tar;
    if (!is_tar && diff_ids->empty()) {
      if (conversion_.is_optional(found_type, format)) return;
      throw Error(
          ErrorKind::integrity,
          fmt::format("the layer {} cannot be compressed anew: the image's configuration {} "
                      "does not name the tars of its {}",
                      layer.blob.descriptor.digest.str(), manifest.config().digest.str(),
                      counted(manifest.layers().size(), "layer")));
    }
    // A store's layers are compressed in any case, which needs no word.
    if (is_tar && work == Conversion::LayerWork::compress) return;
    conversion_.note_layer(found_type, format, work);
    if (is_tar) return;
    layer.blob = as_tar(std::move(layer.blob), (*diff_ids)[position]);
    layer.is_recompressed = true;
  }

  // Foreign layers with URLs are not copied: a registry need not hold them (containers/image:
  // copy/single.go).
  static bool stays_away(const Descriptor& layer) {
    return media_type::is_nondistributable(layer.media_type) && !layer.urls.empty();
  }

  // Equal digests are one blob; what is made from a tar is one per tar.
  std::size_t add_blob(PlannedBlob planned) {
    const Blob& blob = planned.blob;
    // The tar may be what another image has as its layer.
    const std::string key =
        is_made(blob) ? "tar " + blob.diff_id->str() : blob.descriptor.digest.str();
    const auto [known, is_new] = blobs_.emplace(key, plan_.blobs.size());
    if (is_new) plan_.blobs.push_back(std::move(planned));
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
  Conversion conversion_;
  CopyPlan plan_;
  std::map<Digest, std::size_t> nodes_;
  std::map<std::string, std::size_t> blobs_;
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
  return std::any_of(blobs.begin(), blobs.end(),
                     [](const PlannedBlob& planned) { return is_made(planned.blob); });
}

CopyPlan make_plan(ImageSource& source, const CopyOptions& options, const ImageForm& form,
                   const std::stop_token& stop) {
  return Planner(source, options, form, stop).run();
}

}  // namespace tug
