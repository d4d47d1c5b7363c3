#include "copy/execute.h"

#include "base/parallel.h"
#include "base/strings.h"
#include "copy/attached.h"
#include "copy/blob_mover.h"
#include "copy/candidates.h"
#include "copy/finals.h"
#include "copy/layers.h"
#include "copy/plan.h"
#include "stream/file_source.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kParallelManifests = 8;
constexpr int kMissingBlobRounds = 2;
constexpr std::size_t kMaxLearnedChildren = 64;
constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

// A manifest that the destination did not take because of what it names.
struct Refusal {
  std::size_t node;
  std::vector<Digest> digests;  // those that it named
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
        repository_(destination.repository()) {}

  CopyReport run() {
    const auto start = std::chrono::steady_clock::now();
    plan_ = make_plan(source_, options_, destination_.form(), stop_);
    check_intake();
    if (plan_.chosen_from) destination_.chosen_from(*plan_.chosen_from);
    check_compression();
    check_attached();
    progress_.line(plan_.top().index ? "Getting image list signatures"
                                     : "Getting image source signatures");
    // Where the source reads from is known only now: it may be a mirror.
    candidates_.emplace(options_, environment_.cache, source_.repository(), repository_);
    blobs_.emplace(plan_, options_, environment_, *candidates_, destination_, progress_, stop_);
    finish_against_destination();
    copy_what_is_attached();
    report_.elapsed = std::chrono::steady_clock::now() - start;
    return std::move(report_);
  }

 private:
  // Exit code 2 and the class "not-found" speak of the image that is to be copied (cli-surface.md
  // A.7). A destination that answers 404 to a push does not take it.
  void finish_against_destination() {
    try {
      if (!plan_.has_unmade_blobs()) require_destination_digest(plan_.top().descriptor().digest);
      learn_what_is_there();
      if (!skip_because_it_is_there()) copy_all();
    } catch (Error& error) {
      if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::denied);
      throw;
    }
  }

  // What the destination can never hold is said before anything is sent.
  void check_intake() const {
    const Intake intake = destination_.intake();
    const CopyPlan::Node& top = plan_.top();
    if (!intake.indexes && top.index) {
      throw Error(ErrorKind::usage, "the destination holds one image, and " +
                                        top.descriptor().digest.str() + " is an index of images")
          .set_hint("copy one of them: without --all, with --override-arch for another platform");
    }
  }

  // What cannot be compressed as asked for is said before anything is sent.
  void check_compression() const {
    const CompressionSpec spec = layer_compression(options_);
    for (const PlannedBlob& planned : plan_.blobs) {
      if (is_made(planned.blob) && !planned.is_plain)
        (void)compressed_media_type(planned.blob.descriptor.media_type, spec.format);
    }
  }

  // --- referrers and digest tags

  void check_attached() {
    const bool is_asked = options_.referrers || options_.digest_tags;
    if (!is_asked) return;
    check_holds_attached(destination_, plan_.top().original.digest, options_);
    if (plan_.changes.empty() && !options_.strip_removed_platforms) return;
    throw Error(ErrorKind::usage,
                fmt::format("--{}: they are about the image as it is, but {}",
                            options_.referrers ? "referrers" : "digest-tags",
                            plan_.changes.empty() ? "platforms are removed from the index"
                                                  : join(plan_.changes, " and ")));
  }

  void copy_what_is_attached() {
    std::vector<Digest> subjects{plan_.top().original.digest};
    for (std::size_t node = 0; node + 1 < plan_.nodes.size(); ++node)
      subjects.push_back(plan_.nodes[node].original.digest);
    if (options_.referrers || options_.digest_tags) {
      for (const CopyReport& each : copy_attached(source_, destination_, subjects, options_,
                                                  environment_, progress_, stop_)) {
        report_.attached.push_back(each.manifest);
        report_.bytes_sent += each.bytes_sent;
      }
      return;
    }
    const bool has_some = std::any_of(subjects.begin(), subjects.end(), [&](const Digest& subject) {
      return source_.knows_attached(subject);
    });
    if (has_some) {
      progress_.note(
          "the source has signatures or other referrers of the image, which are not copied; "
          "--referrers and --digest-tags copy them");
    }
  }

  // --- whether anything is to be done

  // A destination by digest takes exactly that manifest.
  void require_destination_digest(const Digest& ours) const {
    const std::optional<Digest> named = destination_.digest();
    if (!named || *named == ours) return;
    throw Error(ErrorKind::usage,
                fmt::format("the destination names the digest {}, but the image has {}",
                            named->str(), ours.str()))
        .set_hint("name a tag instead");
  }

  // Layers that would have to be compressed: the image under the tag may have them, under digests
  // that its config pairs with our diff IDs (issue 3, "no work twice"). It is only to save work.
  void learn_what_is_there() {
    if (!plan_.has_unmade_blobs()) return;
    const auto raw = destination_.existing_manifest(stop_);
    if (!raw) return;
    existing_ = Digest::of(raw->bytes);
    if (const auto index = learn_from(*raw)) {
      std::vector<Descriptor> children = index->manifests();
      if (children.size() > kMaxLearnedChildren) return;
      std::vector<std::optional<RawManifest>> manifests(children.size());
      parallel_for_each(
          children, kParallelRequests, stop_, [&](Descriptor& child, const std::stop_token& stop) {
            manifests[static_cast<std::size_t>(&child - children.data())] =
                unless_it_fails([&] { return destination_.read_manifest(child, stop); });
          });
      for (const auto& manifest : manifests) {
        if (manifest) learn_from(*manifest);
      }
    }
  }

  // The index that it is, if it is one.
  std::optional<Index> learn_from(const RawManifest& raw) {
    return unless_it_fails([&]() -> std::optional<Index> {
      ManifestOrIndex document = parse_manifest_or_index(raw.bytes, raw.media_type);
      if (auto* index = std::get_if<Index>(&document)) return std::move(*index);
      const Manifest& manifest = std::get<Manifest>(document);
      candidates_->learn_from(manifest, config_of(manifest));
      return std::nullopt;
    });
  }

  // What is there is somebody else's, and it is about to be replaced.
  template <typename Work>
  static auto unless_it_fails(Work work) -> decltype(work()) {
    try {
      return work();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      return std::nullopt;
    }
  }

  std::string config_of(const Manifest& manifest) {
    for (const PlannedBlob& planned : plan_.blobs) {
      if (planned.is_config && planned.blob.descriptor.digest == manifest.config().digest)
        return read_small(*planned.blob.open(0), kMaxConfigBytes).value_or("");
    }
    if (manifest.config().size > kMaxConfigBytes) return {};
    return destination_.read_small_blob(manifest.config(), stop_).value_or("");
  }

  // The first question: what does the destination's reference name now?
  bool skip_because_it_is_there() {
    if (!options_.skip_existing || !expect_finals()) return false;
    const FinalManifest& top = finals_.back();
    if (!tag_names(top.descriptor) || !children_are_there()) return false;
    refuse_changed_digest(top.descriptor);
    progress_.line("Skipping: image already present at destination");
    note_changes(top.descriptor);
    for (std::size_t blob = 0; blob < plan_.blobs.size(); ++blob)
      blobs_->assume_there(blob, *expected(blob));
    report_.skipped = true;
    report_.manifest = top.descriptor;
    report_.tags = destination_tags();
    put_additional_tags(top);
    report_sent();
    return true;
  }

  // The manifests that come out when every layer is at the destination already; false when one has
  // to be compressed first, so that nobody knows.
  bool expect_finals() {
    for (std::size_t blob = 0; blob < plan_.blobs.size(); ++blob) {
      if (!expected(blob)) return false;
    }
    finals_ = final_manifests(plan_, options_, [this](std::size_t blob) { return expected(blob); });
    return true;
  }

  [[nodiscard]] std::optional<Descriptor> expected(std::size_t blob) const {
    const PlannedBlob& planned = plan_.blobs[blob];
    return !is_made(planned.blob) ? planned.blob.descriptor : candidates_->known_there(planned);
  }

  bool tag_names(const Descriptor& ours) {
    if (plan_.has_unmade_blobs()) return existing_ && *existing_ == ours.digest;
    const auto existing = destination_.existing(stop_);
    return existing && existing->digest == ours.digest &&
           (existing->size == 0 || existing->size == ours.size);
  }

  // An index may be there without the images that it names: somebody copied it for one platform.
  bool children_are_there() {
    std::vector<Descriptor> children;
    for (std::size_t node = 0; node + 1 < finals_.size(); ++node)
      children.push_back(finals_[node].descriptor);
    std::atomic<bool> all = true;
    parallel_for_each(children, kParallelRequests, stop_,
                      [&](const Descriptor& child, const std::stop_token& stop) {
                        if (all && !destination_.has_manifest(child, stop)) all = false;
                      });
    return all;
  }

  // --- everything else

  void copy_all() {
    announce();
    const CopyPlan::Node& top = plan_.top();
    if (top.image && !options_.dry_run) destination_.expect(top.image->manifest);
    blobs_->move_all();
    if (!options_.dry_run) {
      put_manifests();
      finish();
      blobs_->remember_all();
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
        progress_.line(
            fmt::format("Copying image {} ({}/{})", node.original.digest.str(), ++number, images));
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

  // --- manifests

  void make_finals() {
    finals_ = final_manifests(plan_, options_,
                              [this](std::size_t blob) { return blobs_->states()[blob].made; });
  }

  void plan_manifests() {
    make_finals();
    report_.manifest = finals_.back().descriptor;
    report_.digest_is_final =
        !plan_.has_unmade_blobs() ||
        std::all_of(blobs_->states().begin(), blobs_->states().end(),
                    [](const BlobState& state) { return state.made && state.made->size != 0; });
    note_changes(report_.manifest);
    report_.tags = destination_tags();
    put_additional_tags(finals_.back());
    report_instances();
  }

  // Children first (images, all at once, then the indexes above them in order), the top last, under
  // its tags.
  void put_manifests() {
    make_finals();
    const std::size_t top = plan_.nodes.size() - 1;
    std::vector<std::size_t> images;
    for (std::size_t node = 0; node < top; ++node) {
      if (plan_.nodes[node].image) images.push_back(node);
    }
    put_nodes(images);
    for (std::size_t node = 0; node < top; ++node) {
      if (plan_.nodes[node].index) put_nodes({node});
    }
    refuse_changed_digest(finals_[top].descriptor);
    progress_.line(plan_.nodes[top].image ? "Writing manifest to image destination"
                                          : "Writing manifest list to image destination");
    put_nodes({top});
    note_changes(finals_[top].descriptor);
    report_.manifest = finals_[top].descriptor;
    report_.tags = destination_tags();
    put_additional_tags(finals_[top]);
    report_instances();
  }

  // What the destination had when it was asked, and has lost by now, is sent to it after all.
  void finish() {
    for (int round = 0;; ++round) {
      try {
        return destination_.finish(stop_);
      } catch (const MissingBlobsError& error) {
        if (round == kMissingBlobRounds) throw;
        supply_missing({{plan_.nodes.size() - 1, error.digests()}});
      }
    }
  }

  // Puts them all. What the destination then misses is supplied, and what was refused or has
  // changed by that is put again.
  void put_nodes(std::vector<std::size_t> nodes) {
    for (int round = 0; !nodes.empty(); ++round) {
      const std::vector<Refusal> refusals = try_to_put(nodes, round == kMissingBlobRounds);
      if (refusals.empty()) return;
      const std::vector<FinalManifest> before = finals_;
      supply_missing(refusals);
      make_finals();
      std::vector<std::size_t> again;
      for (const std::size_t node : nodes) {
        const bool is_refused =
            std::any_of(refusals.begin(), refusals.end(),
                        [&](const Refusal& refusal) { return refusal.node == node; });
        if (is_refused || finals_[node].descriptor.digest != before[node].descriptor.digest)
          again.push_back(node);
      }
      nodes = std::move(again);
    }
  }

  std::vector<Refusal> try_to_put(std::vector<std::size_t>& nodes, bool is_last_try) {
    std::mutex mutex;
    std::vector<Refusal> refusals;
    // Where order is kept, so that the same image makes the same bytes, nothing goes at once.
    const std::size_t parallel = destination_.intake().in_order ? 1 : kParallelManifests;
    parallel_for_each(nodes, parallel, stop_, [&](std::size_t node, const std::stop_token& stop) {
      try {
        put_node(node, stop);
      } catch (const MissingBlobsError& error) {
        if (is_last_try) explain_missing(node, error);
        const std::lock_guard lock(mutex);
        refusals.push_back({node, error.digests()});
      }
    });
    return refusals;
  }

  void put_node(std::size_t node, const std::stop_token& stop) {
    const FinalManifest& manifest = finals_[node];
    const bool is_top = node + 1 == finals_.size();
    if (is_top) refuse_changed_digest(manifest.descriptor);
    with_context([&] { return "manifest " + manifest.descriptor.digest.str(); },
                 [&] {
                   destination_.put_manifest(manifest.descriptor, manifest.bytes,
                                             is_top ? destination_.tag() : std::nullopt, stop);
                 });
    sent_manifests_ += manifest.bytes.size();
  }

  // Whenever something changes the digest, one line says what and why (user-asks 11). Compression
  // of a store's layers always does: the store does not have the blobs that its manifest names.
  void refuse_changed_digest(const Descriptor& descriptor) const {
    if (options_.preserve_digests && descriptor.digest != plan_.top().original.digest) {
      throw Error(ErrorKind::usage,
                  what_changed_the_digest(descriptor) + ", and --preserve-digests forbids it");
    }
    require_destination_digest(descriptor.digest);
  }
  void note_changes(const Descriptor& descriptor) {
    const bool is_told = (options_.strip_removed_platforms || !plan_.changes.empty()) &&
                         destination_.form().keeps_manifest;
    if (is_told && descriptor.digest != plan_.top().original.digest)
      progress_.note(what_changed_the_digest(descriptor));
    if (!plan_.losses.empty()) progress_.note(plan_.losses);
  }
  [[nodiscard]] std::string what_changed_the_digest(const Descriptor& descriptor) const {
    std::vector<std::string> changes = plan_.changes;
    if (options_.strip_removed_platforms)
      changes.emplace_back("platforms are removed from the index");
    if (changes.empty()) changes.emplace_back("layers have to be compressed");
    return fmt::format("{}, which changes the digest from {} to {}", join(changes, " and "),
                       plan_.top().original.digest.str(), descriptor.digest.str());
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
  void supply_missing(const std::vector<Refusal>& refusals) {
    std::set<std::size_t> blobs;
    for (const Refusal& refusal : refusals) {
      const CopyPlan::Node& planned = plan_.nodes[refusal.node];
      if (planned.index) {
        put_nodes(copied_children(*planned.index));
      } else {
        const auto missing = missing_blobs(*planned.image, refusal.digests);
        blobs.insert(missing.begin(), missing.end());
      }
    }
    blobs_->supply({blobs.begin(), blobs.end()});
  }

  static std::vector<std::size_t> copied_children(const PlannedIndex& index) {
    std::vector<std::size_t> children;
    std::copy_if(index.children.begin(), index.children.end(), std::back_inserter(children),
                 [](std::size_t child) { return child != CopyPlan::kNoNode; });
    return children;
  }

  std::vector<std::size_t> missing_blobs(const PlannedImage& image,
                                         const std::vector<Digest>& named) const {
    std::set<std::size_t> all(image.layers.begin(), image.layers.end());
    all.erase(CopyPlan::kNoBlob);
    all.insert(image.config);
    const std::vector<BlobState>& states = blobs_->states();
    const auto select = [&](auto wanted) {
      std::vector<std::size_t> blobs;
      std::copy_if(all.begin(), all.end(), std::back_inserter(blobs), wanted);
      return blobs;
    };
    auto blobs = select([&](std::size_t b) {
      return std::count(named.begin(), named.end(), states[b].made->digest) > 0;
    });
    if (blobs.empty())
      blobs = select([&](std::size_t b) { return states[b].outcome != BlobOutcome::uploaded; });
    if (blobs.empty()) blobs = select([](std::size_t) { return true; });
    return blobs;
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
      report_.instances.push_back(finals_[node].descriptor);
  }

  void report_sent() {
    report_.bytes_sent = sent_manifests_;
    for (std::size_t i = 0; i < plan_.blobs.size(); ++i) {
      const BlobState& state = blobs_->states()[i];
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

  ImageSource& source_;
  ImageDestination& destination_;
  const CopyOptions& options_;
  const CopyEnvironment& environment_;
  Progress& progress_;
  const std::stop_token& stop_;
  const std::optional<RegistryReference> repository_;
  CopyPlan plan_;
  std::optional<Candidates> candidates_;
  std::optional<BlobMover> blobs_;     // once there is a plan
  std::optional<Digest> existing_;     // what the destination's reference names now, if it was read
  std::vector<FinalManifest> finals_;  // parallel to plan_.nodes
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
