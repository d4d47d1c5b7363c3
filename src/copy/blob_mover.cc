#include "copy/blob_mover.h"

#include "base/parallel.h"
#include "base/stop.h"
#include "copy/layers.h"
#include "copy/send_layer.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <variant>

namespace tug {

BlobMover::BlobMover(const CopyPlan& plan, const CopyOptions& options,
                     const CopyEnvironment& environment, const Candidates& candidates,
                     ImageDestination& destination, Progress& progress, std::stop_token stop)
    : plan_(plan),
      options_(options),
      environment_(environment),
      candidates_(candidates),
      destination_(destination),
      progress_(progress),
      stop_(std::move(stop)),
      repository_(destination.repository()),
      intake_(destination.intake()),
      slots_(environment.bodies ? environment.bodies
                                : std::make_shared<BodySlots>(options.parallel_blobs)),
      states_(plan.blobs.size()),
      shared_(plan.blobs.size()) {}

// Rounds, so that the number of round trips in a row does not depend on the number of blobs: ask
// for all, then send what is missing, then take over what other copies have sent meanwhile. Before
// that last one, nothing of this copy is left that others may wait for.
void BlobMover::move_all() {
  std::vector<std::size_t> all = all_blobs();
  parallel_for_each(all, kParallelRequests, stop_,
                    [this](std::size_t blob, const std::stop_token& stop) { find(blob, stop); });
  refuse_layers_with_other_digests();
  std::vector<std::size_t> missing;
  std::vector<std::size_t> awaited;
  for (const std::size_t blob : all) {
    if (shared_[blob].awaited) {
      awaited.push_back(blob);
    } else if (!states_[blob].made) {
      missing.push_back(blob);
    }
  }
  if (!options_.dry_run) send(missing);
  parallel_for_each(awaited, kParallelRequests, stop_,
                    [this](std::size_t blob, const std::stop_token& stop) { await(blob, stop); });
}

// The largest first, but for the small ones, which go beside them.
void BlobMover::send(const std::vector<std::size_t>& missing) {
  announce_bytes(missing);
  if (intake_.in_order) {
    std::vector<std::size_t> order = in_image_order(missing);
    return parallel_for_each(
        order, 1, stop_,
        [this](std::size_t blob, const std::stop_token& stop) { upload(blob, stop); });
  }
  std::vector<std::size_t> order = missing;
  const auto small = std::stable_partition(order.begin(), order.end(),
                                           [this](std::size_t blob) { return needs_slot(blob); });
  const auto large = static_cast<std::size_t>(small - order.begin());
  if (large > slots_->count())
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(slots_->count()), small, order.end());
  // No worker more than can send at the start: it would come before a larger blob's to the slots.
  const std::size_t beside = std::min(order.size() - large, BodySlots::kSmallBeside);
  parallel_for_each(order, slots_->count() + beside, stop_,
                    [this](std::size_t blob, const std::stop_token& stop) { upload(blob, stop); });
}

std::vector<std::size_t> BlobMover::in_image_order(const std::vector<std::size_t>& missing) const {
  std::vector<bool> is_wanted(states_.size());
  for (const std::size_t blob : missing) is_wanted[blob] = true;
  std::vector<std::size_t> order;
  const auto add = [&](std::size_t blob) {
    if (blob == CopyPlan::kNoBlob || !is_wanted[blob]) return;
    is_wanted[blob] = false;
    order.push_back(blob);
  };
  for (const CopyPlan::Node& node : plan_.nodes) {
    if (!node.image) continue;
    std::for_each(node.image->layers.begin(), node.image->layers.end(), add);
    add(node.image->config);
  }
  return order;
}

bool BlobMover::needs_slot(std::size_t blob) const {
  const Blob& planned = plan_.blobs[blob].blob;
  return is_made(planned) || !slots_->is_free(planned.open_size);
}

void BlobMover::supply(std::vector<std::size_t> blobs) {
  parallel_for_each(blobs, kParallelRequests, stop_,
                    [this](std::size_t blob, const std::stop_token& stop) {
                      if (!appears_after_all(states_[blob], stop)) upload(blob, stop);
                    });
}

void BlobMover::remember_all() {
  std::vector<std::size_t> blobs = all_blobs();
  std::erase_if(blobs, [this](std::size_t blob) { return states_[blob].converted; });
  remember(blobs);
}

void BlobMover::announce_bytes(const std::vector<std::size_t>& blobs) {
  std::uint64_t bytes = 0;
  for (const std::size_t blob : blobs) {
    if (is_made(plan_.blobs[blob].blob)) return;  // nobody knows
    bytes += plan_.blobs[blob].blob.open_size;
  }
  progress_.to_send(bytes);
}

std::vector<std::size_t> BlobMover::all_blobs() const {
  std::vector<std::size_t> all(plan_.blobs.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// Before they are sent: where the manifest may not change, its layers may not either.
void BlobMover::refuse_layers_with_other_digests() const {
  if (may_change_digest()) return;
  for (std::size_t blob = 0; blob < states_.size(); ++blob) {
    const Blob& planned = plan_.blobs[blob].blob;
    const auto& made = states_[blob].made;
    if (!is_made(planned) || (made && made->digest == planned.descriptor.digest)) continue;
    throw Error(
        ErrorKind::usage,
        fmt::format("the layer {} would have to be compressed anew, which changes the "
                    "image's digest, and {} forbids it",
                    planned.descriptor.digest.str(),
                    options_.preserve_digests ? "--preserve-digests" : "a destination by digest"));
  }
}

bool BlobMover::may_change_digest() const noexcept {
  return !options_.preserve_digests && !destination_.digest();
}

// What the blob is called among the copies of this process; "": it is of no use to the others.
std::string BlobMover::shared_key(const PlannedBlob& layer) const {
  const Blob& planned = layer.blob;
  if (!is_made(planned)) return planned.descriptor.digest.str();
  if (!may_change_digest() || layer.is_plain) return {};
  const std::string key = compressed_key(planned, layer_compression(options_));
  if (key.empty()) return key;
  // One that may be had in another compression is not what another copy insists on.
  return key + (layer.is_recompressed ? " alone " : " ") + planned.descriptor.media_type;
}

// `there` is what another copy planned, perhaps with other annotations.
Descriptor BlobMover::as_planned(std::size_t blob, const Descriptor& there) const {
  const Blob& planned = plan_.blobs[blob].blob;
  return !is_made(planned) ? planned.descriptor : there;
}

void BlobMover::find(std::size_t blob, const std::stop_token& stop) {
  const bool shares = environment_.blobs && repository_;
  const std::string key = shares ? shared_key(plan_.blobs[blob]) : std::string();
  if (key.empty()) return find_at_destination(blob, false, stop);
  find(blob, environment_.blobs->ask(key, *repository_), stop);
}

void BlobMover::await(std::size_t blob, const std::stop_token& stop) {
  const std::string key = shared_key(plan_.blobs[blob]);
  find(blob, environment_.blobs->wait(key, *repository_, stop), stop);
  if (!states_[blob].made && !options_.dry_run) upload(blob, stop);
}

void BlobMover::find(std::size_t blob, SharedBlobs::Answer answer, const std::stop_token& stop) {
  shared_[blob].awaited = std::holds_alternative<SharedBlobs::Busy>(answer);
  if (shared_[blob].awaited) return;
  if (const auto* there = std::get_if<Descriptor>(&answer))
    return settle(blob, as_planned(blob, *there), BlobOutcome::existed);
  SharedBlobs::Claim& claim =
      shared_[blob].claim.emplace(std::move(std::get<SharedBlobs::Claim>(answer)));
  if (const auto& elsewhere = claim.elsewhere()) {
    const auto mounted = mount(as_planned(blob, elsewhere->blob), elsewhere->repository, stop);
    claim.mounted(mounted.has_value());
    if (mounted) return settle(blob, *mounted, BlobOutcome::mounted);
  }
  const bool may_open = !claim.elsewhere() && environment_.blobs->mounts(repository_->registry());
  find_at_destination(blob, may_open, stop);
  // For the copies that come after it, as if it had been sent.
  if (options_.dry_run && !states_[blob].made) claim.is_there(plan_.blobs[blob].blob.descriptor);
}

// `may_open`: the upload of what is missing may be opened by the same request, if it is clear what
// will be sent.
void BlobMover::find_at_destination(std::size_t blob, bool may_open, const std::stop_token& stop) {
  const std::vector<Candidate> candidates = candidates_.of(plan_.blobs[blob]);
  const bool is_clear = plan_.blobs[blob].blob.form == Blob::Form::exact &&
                        candidates.size() == 1 && candidates.front().mount_from.empty();
  if (may_open && is_clear && !options_.dry_run) {
    const Descriptor& wanted = candidates.front().descriptor;
    if (destination_.has_or_open_blob(wanted, stop)) settle(blob, wanted, BlobOutcome::existed);
    return;
  }
  for (const Candidate& candidate : candidates) {
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
  if (options_.dry_run) states_[blob].outcome = BlobOutcome::uploaded;
}

// A dry run must not change anything: it says where the blob would come from, if the registry
// lets us.
std::optional<Descriptor> BlobMover::mount(const Descriptor& candidate,
                                           const RegistryReference& from,
                                           const std::stop_token& stop) {
  if (options_.dry_run) return candidate;
  if (!destination_.mount_blob(candidate, from, stop)) return std::nullopt;
  return candidate.size != 0 ? std::optional(candidate) : probe(candidate, stop);
}

std::optional<Descriptor> BlobMover::probe(const Descriptor& candidate,
                                           const std::stop_token& stop) {
  if (candidate.size != 0)
    return destination_.has_blob(candidate, stop) ? std::optional(candidate) : std::nullopt;
  const auto size = destination_.blob_size(candidate.digest, stop);
  if (!size) return std::nullopt;
  Descriptor found = candidate;
  found.size = *size;
  return found;
}

void BlobMover::settle(std::size_t blob, Descriptor descriptor, BlobOutcome outcome) {
  states_[blob].made = std::move(descriptor);
  states_[blob].outcome = outcome;
  if (auto& claim = shared_[blob].claim) claim->is_there(*states_[blob].made);
  progress_.blob_finished(*states_[blob].made, outcome);
}

// --- sending

void BlobMover::upload(std::size_t blob, const std::stop_token& stop) {
  std::optional<BodySlots::Slot> slot;
  if (needs_slot(blob)) slot.emplace(*slots_, stop);
  const Blob& planned = plan_.blobs[blob].blob;
  const Descriptor& shown = planned.descriptor;
  with_context([&] { return "blob " + shown.digest.str(); },
               [&] {
                 progress_.blob_started(shown, !is_made(planned) ? planned.open_size : 0);
                 const SentCallback sent = [&](std::uint64_t bytes) {
                   progress_.blob_bytes(shown, bytes);
                 };
                 if (!is_made(planned)) {
                   states_[blob].bytes_sent += destination_.put_blob(planned, sent, stop);
                   settle(blob, shown, BlobOutcome::uploaded);
                 } else {
                   make_and_upload(blob, sent, stop);
                 }
               });
}

void BlobMover::make_and_upload(std::size_t blob, const SentCallback& sent,
                                const std::stop_token& stop) {
  const Blob& planned = plan_.blobs[blob].blob;
  const std::string& type = planned.descriptor.media_type;
  const CompressionSpec spec = layer_compression(options_);
  states_[blob].converted = true;
  SentLayer layer = plan_.blobs[blob].is_plain
                        ? send_plain(planned, !plan_.blobs[blob].is_recompressed,
                                     plain_media_type(type), destination_, sent, stop)
                        : send_compressed(planned, spec, compressed_media_type(type, spec.format),
                                          destination_, environment_.pool, sent, stop);
  states_[blob].bytes_sent += layer.bytes_sent;
  settle(blob, std::move(layer.descriptor),
         layer.existed ? BlobOutcome::existed : BlobOutcome::uploaded);
  // At once: should this process be killed, the next one need not compress and send it again.
  remember({blob});
}

// Only for blobs that we sent ourselves: those may become visible late. One that was said to
// exist, or was mounted, is not trusted again.
bool BlobMover::appears_after_all(const BlobState& state, const std::stop_token& stop) {
  if (state.outcome != BlobOutcome::uploaded) return false;
  for (const auto wait : environment_.missing_blob_polls) {
    sleep_for(wait, stop);
    if (destination_.has_blob(*state.made, stop)) return true;
  }
  return false;
}

// Into the shared cache goes only what was hashed here or by the store.
void BlobMover::remember(const std::vector<std::size_t>& blobs) {
  if (!repository_ || !options_.use_blob_info_cache) return;
  BlobInfoCache::Facts facts;
  for (const std::size_t i : blobs) {
    const BlobState& state = states_[i];
    const PlannedBlob& planned = plan_.blobs[i];
    facts.locations.push_back(state.made->digest);
    if (state.outcome == BlobOutcome::uploaded && planned.is_config)
      facts.compressors.emplace_back(state.made->digest, "uncompressed");
    const auto format = compression_of(state.made->media_type);
    const bool is_stores_own = is_made(planned.blob) && planned.blob.descriptor_verified &&
                               state.made->digest == planned.blob.descriptor.digest;
    if (!(state.converted || is_stores_own) || !format) continue;
    facts.pairs.push_back({state.made->digest, *planned.blob.diff_id});
    facts.compressors.emplace_back(state.made->digest,
                                   *format == LayerCompression::gzip ? "gzip" : "zstd");
    facts.compressors.emplace_back(*planned.blob.diff_id, "uncompressed");
  }
  environment_.cache.record(*repository_, facts);
}

}  // namespace tug
