#include "copy/execute.h"

#include "base/parallel.h"
#include "base/stop.h"
#include "copy/candidates.h"
#include "copy/layers.h"
#include "copy/plan.h"
#include "copy/send_layer.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

// Probes carry no body: many more of them than of bodies may be under way (user-asks 5).
constexpr std::size_t kParallelProbes = 24;
constexpr std::size_t kParallelManifests = 8;
constexpr int kMissingBlobRounds = 2;
constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

// What became of a planned blob.
struct BlobState {
  std::optional<Descriptor> made;  // what the destination holds for it; set once it is there
  BlobOutcome outcome = BlobOutcome::existed;
  std::uint64_t bytes_sent = 0;
  bool converted = false;  // it was compressed here: its digest was not known before
};

// A manifest or index as it is pushed.
struct FinalManifest {
  Descriptor descriptor;
  std::string bytes;
};

// One copy under way. Straight-line: run() names the steps of design 6.
class Copy {
 public:
  Copy(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
       const CopyEnvironment& environment, Progress& progress, const std::stop_token& stop)
      : source_(source),
        destination_(destination),
        options_(options),
        environment_(environment),
        progress_(progress),
        stop_(stop),
        repository_(destination.repository()),
        candidates_(options, environment.cache, source.repository(), repository_) {}

  CopyReport run() {
    const auto start = std::chrono::steady_clock::now();
    plan_ = make_plan(source_, options_, stop_);
    progress_.line(plan_.top().index ? "Getting image list signatures"
                                     : "Getting image source signatures");
    states_.resize(plan_.blobs.size());
    check_destination_digest();
    if (!skip_because_it_is_there()) copy_all();
    report_.elapsed = std::chrono::steady_clock::now() - start;
    return std::move(report_);
  }

 private:
  // --- whether anything is to be done

  // A destination by digest takes exactly that manifest.
  void check_destination_digest() const {
    if (!repository_ || !repository_->digest() || plan_.has_unmade_blobs()) return;
    require_destination_digest(plan_.top().descriptor().digest);
  }
  void require_destination_digest(const Digest& ours) const {
    if (!repository_ || !repository_->digest() || *repository_->digest() == ours) return;
    throw Error(ErrorKind::usage,
                fmt::format("the destination names the digest {}, but the image has {}",
                            repository_->digest()->str(), ours.str()))
        .set_hint("name a tag instead");
  }

  // The first question: what does the destination's reference name now?
  bool skip_because_it_is_there() {
    if (!options_.skip_existing) return false;
    const std::optional<FinalManifest> ours =
        plan_.has_unmade_blobs() ? existing_image_that_is_ours() : existing_top_that_is_ours();
    if (!ours) return false;
    progress_.line("Skipping: image already present at destination");
    report_.skipped = true;
    report_.manifest = ours->descriptor;
    report_.tags = destination_tags();
    put_additional_tags(*ours);
    report_sent();
    return true;
  }

  std::optional<FinalManifest> existing_top_that_is_ours() {
    const CopyPlan::Node& top = plan_.top();
    const Descriptor ours = top.descriptor();
    const auto existing = destination_.existing(stop_);
    if (!existing || existing->digest != ours.digest ||
        (existing->size != 0 && existing->size != ours.size))
      return std::nullopt;
    return FinalManifest{ours, top.image ? top.image->manifest.bytes() : top.index->index.bytes()};
  }

  // For layers that would have to be compressed: reads the manifest under the tag (and its config,
  // unless it is ours) and pairs its layers with our diff IDs. When that manifest is what we would
  // push with its layers, nothing needs to be read or sent (issue 3, "no work twice").
  std::optional<FinalManifest> existing_image_that_is_ours() {
    const CopyPlan::Node& top = plan_.top();
    const auto raw = destination_.existing_manifest(stop_);
    if (!raw) return std::nullopt;
    std::optional<Manifest> existing;
    try {
      ManifestOrIndex document = parse_manifest_or_index(raw->bytes, raw->media_type);
      if (auto* manifest = std::get_if<Manifest>(&document)) existing = std::move(*manifest);
    } catch (const Error&) {
      return std::nullopt;  // somebody else's business; it is about to be replaced
    }
    if (!existing) return std::nullopt;
    learn_from(*existing);
    if (!top.image || existing->config().digest != top.image->manifest.config().digest)
      return std::nullopt;
    const Manifest ours =
        manifest_with(*top.image, [&](std::size_t blob) { return known_there(blob); });
    if (ours.digest() != existing->digest()) return std::nullopt;
    for (const std::size_t blob : top.image->layers) {
      if (blob != CopyPlan::kNoBlob) states_[blob].made = known_there(blob);
    }
    states_[top.image->config].made = plan_.blobs[top.image->config].blob.descriptor;
    return FinalManifest{ours.descriptor(), ours.bytes()};
  }

  void learn_from(const Manifest& existing) {
    std::string config;
    const auto& top = plan_.top();
    try {
      if (top.image && existing.config().digest == top.image->manifest.config().digest) {
        config = read_all(*plan_.blobs[top.image->config].blob.open(0));
      } else if (existing.config().size <= kMaxConfigBytes) {
        config = destination_.read_small_blob(existing.config(), stop_).value_or("");
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      return;  // it was only to save work
    }
    candidates_.learn_from(existing, config);
  }

  static std::string read_all(ByteSource& source) {
    std::string bytes;
    std::vector<std::byte> buffer(64 * 1024);
    while (const std::size_t size = source.read(buffer)) {
      bytes.append(reinterpret_cast<const char*>(buffer.data()), size);
      if (bytes.size() > kMaxConfigBytes) return {};
    }
    return bytes;
  }

  [[nodiscard]] std::optional<Descriptor> known_there(std::size_t blob) const {
    return candidates_.known_there(plan_.blobs[blob].blob);
  }

  // --- everything else

  void copy_all() {
    announce();
    ensure_blobs();
    if (!options_.dry_run) {
      put_manifests();
      destination_.finish(stop_);
      remember();
    } else {
      plan_manifests();
    }
    report_sent();
  }

  // The story as skopeo tells it (cli-surface.md A.3). Images are copied at the same time here, so
  // that all are announced before the first is sent.
  void announce() {
    const CopyPlan::Node& top = plan_.top();
    const auto images =
        std::count_if(plan_.nodes.begin(), plan_.nodes.end(),
                      [](const CopyPlan::Node& node) { return node.image.has_value(); });
    if (top.index) {
      progress_.line(fmt::format("Copying {} images generated from {} images in list", images,
                                 top.index->index.manifests().size()));
    }
    int number = 0;
    for (const CopyPlan::Node& node : plan_.nodes) {
      if (!node.image) continue;
      if (top.index) {
        progress_.line(fmt::format("Copying image {} ({}/{})", node.image->manifest.digest().str(),
                                   ++number, images));
      }
      announce(*node.image);
    }
  }

  void announce(const PlannedImage& image) {
    const std::vector<Descriptor>& layers = image.manifest.layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const bool is_foreign = image.layers[i] == CopyPlan::kNoBlob;
      progress_.line((is_foreign ? "Skipping foreign layer " : "Copying blob ") +
                     layers[i].digest.str());
    }
    progress_.line("Copying config " + image.manifest.config().digest.str());
  }

  // Two rounds, so that the number of round trips in a row does not depend on the number of blobs:
  // ask for all, then send what is missing, the largest first.
  void ensure_blobs() {
    std::vector<std::size_t> all(plan_.blobs.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    parallel_for_each(
        all, kParallelProbes, stop_,
        [this](std::size_t blob, const std::stop_token& stop) { find_at_destination(blob, stop); });
    std::vector<std::size_t> missing;
    std::copy_if(all.begin(), all.end(), std::back_inserter(missing),
                 [this](std::size_t blob) { return !states_[blob].made; });
    if (options_.dry_run) return;
    const auto bodies = static_cast<std::size_t>(std::max(1, options_.parallel_blobs));
    parallel_for_each(
        missing, bodies, stop_,
        [this](std::size_t blob, const std::stop_token& stop) { upload(blob, stop); });
  }

  void find_at_destination(std::size_t blob, const std::stop_token& stop) {
    BlobState& state = states_[blob];
    for (const Candidate& candidate : candidates_.of(plan_.blobs[blob].blob)) {
      if (auto found = probe(candidate.descriptor, stop)) {
        settle(blob, std::move(*found), BlobOutcome::existed);
        return;
      }
      for (const RegistryReference& from : candidate.mount_from) {
        if (auto mounted = mount(candidate.descriptor, from, stop)) {
          settle(blob, std::move(*mounted), BlobOutcome::mounted);
          return;
        }
      }
    }
    if (options_.dry_run) state.outcome = BlobOutcome::uploaded;
  }

  // A dry run must not change anything: it says where the blob would come from, if the registry
  // lets us.
  std::optional<Descriptor> mount(const Descriptor& candidate, const RegistryReference& from,
                                  const std::stop_token& stop) {
    if (options_.dry_run) return candidate;
    if (!destination_.mount_blob(candidate, from, stop)) return std::nullopt;
    return candidate.size != 0 ? std::optional(candidate) : probe(candidate, stop);
  }

  std::optional<Descriptor> probe(const Descriptor& candidate, const std::stop_token& stop) {
    if (candidate.size != 0)
      return destination_.has_blob(candidate, stop) ? std::optional(candidate) : std::nullopt;
    const auto size = destination_.blob_size(candidate.digest, stop);
    if (!size) return std::nullopt;
    Descriptor found = candidate;
    found.size = *size;
    return found;
  }

  void settle(std::size_t blob, Descriptor descriptor, BlobOutcome outcome) {
    states_[blob].made = std::move(descriptor);
    states_[blob].outcome = outcome;
    progress_.blob_finished(*states_[blob].made, outcome);
  }

  // --- sending

  void upload(std::size_t blob, const std::stop_token& stop) {
    const Blob& planned = plan_.blobs[blob].blob;
    const Descriptor& shown = planned.descriptor;
    with_context([&] { return "blob " + shown.digest.str(); },
                 [&] {
                   progress_.blob_started(
                       shown, planned.form == Blob::Form::exact ? planned.open_size : 0);
                   const SentCallback sent = [&](std::uint64_t bytes) {
                     progress_.blob_bytes(shown, bytes);
                   };
                   if (planned.form == Blob::Form::exact) {
                     states_[blob].bytes_sent += destination_.put_blob(planned, sent, stop);
                     settle(blob, shown, BlobOutcome::uploaded);
                   } else {
                     compress_and_upload(blob, sent, stop);
                   }
                 });
  }

  void compress_and_upload(std::size_t blob, const SentCallback& sent,
                           const std::stop_token& stop) {
    const Blob& planned = plan_.blobs[blob].blob;
    const CompressionSpec spec = layer_compression(options_);
    states_[blob].converted = true;
    SentLayer layer = send_compressed(
        planned, spec, compressed_media_type(planned.descriptor.media_type, spec.format),
        destination_, environment_.pool, sent, stop);
    states_[blob].bytes_sent += layer.bytes_sent;
    settle(blob, std::move(layer.descriptor),
           layer.existed ? BlobOutcome::existed : BlobOutcome::uploaded);
  }

  // --- manifests

  template <typename Made>
  Manifest manifest_with(const PlannedImage& image, Made made) const {
    std::vector<Descriptor> layers = image.manifest.layers();
    bool changed = false;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (image.layers[i] == CopyPlan::kNoBlob) continue;
      const std::optional<Descriptor> now = made(image.layers[i]);
      if (!now || now->digest == layers[i].digest) continue;
      layers[i] = replacement(layers[i], *now);
      changed = true;
    }
    return changed ? image.manifest.with_layers(layers) : image.manifest;
  }

  Manifest final_manifest(const PlannedImage& image) const {
    return manifest_with(image, [&](std::size_t blob) { return states_[blob].made; });
  }

  Index final_index(const PlannedIndex& planned) const {
    std::vector<Descriptor> children = planned.index.manifests();
    bool changed = false;
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (planned.children[i] == CopyPlan::kNoNode) continue;
      const Descriptor& now = finals_[planned.children[i]]->descriptor;
      if (now.digest == children[i].digest) continue;
      children[i].digest = now.digest;
      children[i].size = now.size;
      children[i].media_type = now.media_type;
      changed = true;
    }
    Index index = changed ? planned.index.with_manifests(children) : planned.index;
    const bool strip =
        options_.strip_removed_platforms &&
        std::count(planned.children.begin(), planned.children.end(), CopyPlan::kNoNode) > 0;
    if (!strip) return index;
    std::set<Digest> kept;
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (planned.children[i] != CopyPlan::kNoNode) kept.insert(children[i].digest);
    }
    return index.with_only([&](const Digest& digest) { return kept.count(digest) > 0; });
  }

  void make_final(std::size_t node) {
    const CopyPlan::Node& planned = plan_.nodes[node];
    if (planned.image) {
      Manifest manifest = final_manifest(*planned.image);
      finals_[node] = FinalManifest{manifest.descriptor(), manifest.bytes()};
    } else {
      Index index = final_index(*planned.index);
      finals_[node] = FinalManifest{index.descriptor(), index.bytes()};
    }
  }

  void plan_manifests() {
    finals_.resize(plan_.nodes.size());
    for (std::size_t node = 0; node < plan_.nodes.size(); ++node) make_final(node);
    report_.manifest = finals_.back()->descriptor;
    report_.digest_is_final =
        !plan_.has_unmade_blobs() ||
        std::all_of(states_.begin(), states_.end(),
                    [](const BlobState& state) { return state.made && state.made->size != 0; });
    report_.tags = destination_tags();
    put_additional_tags(*finals_.back());
    report_instances();
  }

  // Children first (images, all at once, then the indexes above them in order), the top last, under
  // its tags.
  void put_manifests() {
    finals_.resize(plan_.nodes.size());
    const std::size_t top = plan_.nodes.size() - 1;
    std::vector<std::size_t> images;
    for (std::size_t node = 0; node < top; ++node) {
      if (plan_.nodes[node].image) images.push_back(node);
    }
    parallel_for_each(images, kParallelManifests, stop_,
                      [this](std::size_t node, const std::stop_token& stop) {
                        make_final(node);
                        put_node(node, std::nullopt, stop);
                      });
    for (std::size_t node = 0; node < top; ++node) {
      if (plan_.nodes[node].image) continue;
      make_final(node);
      put_node(node, std::nullopt, stop_);
    }
    make_final(top);
    put_top(top);
    report_instances();
  }

  void put_top(std::size_t top) {
    const FinalManifest& manifest = *finals_[top];
    explain_changed_digest(manifest.descriptor);
    require_destination_digest(manifest.descriptor.digest);
    progress_.line(plan_.nodes[top].image ? "Writing manifest to image destination"
                                          : "Writing manifest list to image destination");
    put_node(top, destination_.tag(), stop_);
    report_.manifest = manifest.descriptor;
    report_.tags = destination_tags();
    put_additional_tags(manifest);
  }

  // Whenever something changes the digest, one line says what and why (user-asks 11). Compression
  // of a store's layers always does: the store does not have the blobs that its manifest names.
  void explain_changed_digest(const Descriptor& descriptor) {
    const Descriptor planned = plan_.top().descriptor();
    if (descriptor.digest == planned.digest) return;
    const char* what = options_.strip_removed_platforms ? "platforms were removed from the index"
                                                        : "layers had to be compressed";
    const std::string text = fmt::format("{}, which changes the digest from {} to {}", what,
                                         planned.digest.str(), descriptor.digest.str());
    if (options_.preserve_digests)
      throw Error(ErrorKind::usage, text + ", and --preserve-digests forbids it");
    if (options_.strip_removed_platforms) progress_.note(text);
  }

  void put_node(std::size_t node, const std::optional<std::string>& tag,
                const std::stop_token& stop) {
    const FinalManifest& manifest = *finals_[node];
    with_context([&] { return "manifest " + manifest.descriptor.digest.str(); },
                 [&] {
                   for (int round = 0;; ++round) {
                     try {
                       destination_.put_manifest(manifest.descriptor, manifest.bytes, tag, stop);
                       break;
                     } catch (const MissingBlobsError& error) {
                       if (round == kMissingBlobRounds) explain_missing(node, error);
                       supply_missing(node, error.digests(), stop);
                     }
                   }
                 });
    sent_manifests_ += manifest.bytes.size();
  }

  [[noreturn]] void explain_missing(std::size_t node, MissingBlobsError error) const {
    const auto& index = plan_.nodes[node].index;
    if (index &&
        std::count(index->children.begin(), index->children.end(), CopyPlan::kNoNode) > 0) {
      error.set_hint(
          "the registry takes no index whose images it does not hold all: use "
          "--strip-removed-platforms, or --all");
    }
    throw error;
  }

  // The registry misses what it had (or said it had): send it again, without asking it first.
  void supply_missing(std::size_t node, const std::vector<Digest>& named,
                      const std::stop_token& stop) {
    const CopyPlan::Node& planned = plan_.nodes[node];
    if (planned.index) {
      for (const std::size_t child : planned.index->children) {
        if (child != CopyPlan::kNoNode) put_node(child, std::nullopt, stop);
      }
      return;
    }
    for (const std::size_t blob : missing_blobs(*planned.image, named)) {
      if (appears_after_all(*states_[blob].made, stop)) continue;
      upload(blob, stop);
    }
  }

  std::vector<std::size_t> missing_blobs(const PlannedImage& image,
                                         const std::vector<Digest>& named) const {
    std::set<std::size_t> all(image.layers.begin(), image.layers.end());
    all.erase(CopyPlan::kNoBlob);
    all.insert(image.config);
    const auto select = [&](auto wanted) {
      std::vector<std::size_t> blobs;
      std::copy_if(all.begin(), all.end(), std::back_inserter(blobs), wanted);
      return blobs;
    };
    auto blobs = select([&](std::size_t b) {
      return std::count(named.begin(), named.end(), states_[b].made->digest) > 0;
    });
    if (blobs.empty())
      blobs = select([&](std::size_t b) { return states_[b].outcome != BlobOutcome::uploaded; });
    if (blobs.empty()) blobs = select([](std::size_t) { return true; });
    return blobs;
  }

  // Only for blobs that we sent ourselves: those may become visible late. One that was said to
  // exist, or was mounted, is not trusted again.
  bool appears_after_all(const Descriptor& blob, const std::stop_token& stop) {
    const auto state = std::find_if(states_.begin(), states_.end(), [&](const BlobState& s) {
      return s.made && s.made->digest == blob.digest;
    });
    if (state == states_.end() || state->outcome != BlobOutcome::uploaded) return false;
    for (const auto wait : environment_.missing_blob_polls) {
      sleep_for(wait, stop);
      if (destination_.has_blob(blob, stop)) return true;
    }
    return false;
  }

  void put_additional_tags(const FinalManifest& manifest) {
    for (const std::string& tag : options_.additional_tags) {
      report_.tags.push_back(tag);
      if (options_.dry_run) continue;
      with_context("tag " + tag, [&] {
        destination_.put_manifest(manifest.descriptor, manifest.bytes, tag, stop_);
      });
      sent_manifests_ += manifest.bytes.size();
    }
  }

  // --- what came of it

  std::vector<std::string> destination_tags() const {
    const auto tag = destination_.tag();
    return tag ? std::vector<std::string>{*tag} : std::vector<std::string>{};
  }

  void report_instances() {
    for (std::size_t node = 0; node + 1 < plan_.nodes.size(); ++node)
      report_.instances.push_back(finals_[node]->descriptor);
  }

  void report_sent() {
    report_.bytes_sent = sent_manifests_;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const BlobState& state = states_[i];
      report_.blobs.push_back({state.made ? *state.made : plan_.blobs[i].blob.descriptor,
                               state.outcome, state.bytes_sent});
      report_.bytes_sent += state.bytes_sent;
    }
    report_foreign_layers();
  }

  void report_foreign_layers() {
    std::set<Digest> told;
    for (const CopyPlan::Node& node : plan_.nodes) {
      if (!node.image) continue;
      const std::vector<Descriptor>& layers = node.image->manifest.layers();
      for (std::size_t i = 0; i < layers.size(); ++i) {
        if (node.image->layers[i] == CopyPlan::kNoBlob && told.insert(layers[i].digest).second)
          report_.blobs.push_back({layers[i], BlobOutcome::skipped, 0});
      }
    }
  }

  // Into the shared cache goes only what was hashed here or by the store.
  void remember() {
    if (!repository_ || !options_.use_blob_info_cache) return;
    BlobInfoCache::Facts facts;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const BlobState& state = states_[i];
      const PlannedBlob& planned = plan_.blobs[i];
      if (state.outcome == BlobOutcome::uploaded || state.outcome == BlobOutcome::mounted)
        facts.locations.push_back(state.made->digest);
      if (state.outcome == BlobOutcome::uploaded && planned.is_config)
        facts.compressors.emplace_back(state.made->digest, "uncompressed");
      const auto format = compression_of(state.made->media_type);
      if (!state.converted || !format) continue;
      facts.pairs.push_back({state.made->digest, *planned.blob.diff_id});
      facts.compressors.emplace_back(state.made->digest,
                                     *format == LayerCompression::gzip ? "gzip" : "zstd");
      facts.compressors.emplace_back(*planned.blob.diff_id, "uncompressed");
    }
    if (!facts.locations.empty() || !facts.pairs.empty())
      environment_.cache.record(*repository_, facts);
  }

  ImageSource& source_;
  ImageDestination& destination_;
  const CopyOptions& options_;
  const CopyEnvironment& environment_;
  Progress& progress_;
  const std::stop_token& stop_;
  const std::optional<RegistryReference> repository_;
  CopyPlan plan_;
  std::vector<BlobState>
      states_;  // parallel to plan_.blobs; each is touched by one worker at a time
  Candidates candidates_;
  std::vector<std::optional<FinalManifest>> finals_;  // parallel to plan_.nodes
  std::atomic<std::uint64_t> sent_manifests_{0};
  CopyReport report_{.manifest = {std::string(), Digest::of(""), 0}};  // until it is known
};

}  // namespace

CopyReport execute_copy(ImageSource& source, ImageDestination& destination,
                        const CopyOptions& options, const CopyEnvironment& environment,
                        Progress& progress, const std::stop_token& stop) {
  return with_context(
      [&] { return "copying " + source.describe() + " to " + destination.describe(); },
      [&] { return Copy(source, destination, options, environment, progress, stop).run(); });
}

}  // namespace tug
