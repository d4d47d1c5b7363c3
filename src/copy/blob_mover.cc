#include "copy/blob_mover.h"

#include "base/parallel.h"
#include "base/stop.h"
#include "copy/layers.h"
#include "copy/send_layer.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

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
      states_(plan.blobs.size()) {}

// Two rounds, so that the number of round trips in a row does not depend on the number of blobs:
// ask for all, then send what is missing, the largest first.
void BlobMover::move_all() {
  std::vector<std::size_t> all = all_blobs();
  parallel_for_each(
      all, kParallelRequests, stop_,
      [this](std::size_t blob, const std::stop_token& stop) { find_at_destination(blob, stop); });
  std::vector<std::size_t> missing;
  std::copy_if(all.begin(), all.end(), std::back_inserter(missing),
               [this](std::size_t blob) { return !states_[blob].made; });
  refuse_layers_with_other_digests();
  if (options_.dry_run) return;
  announce_bytes(missing);
  parallel_for_each(missing, parallel_bodies(), stop_,
                    [this](std::size_t blob, const std::stop_token& stop) { upload(blob, stop); });
}

std::size_t BlobMover::parallel_bodies() const noexcept {
  return static_cast<std::size_t>(std::max(1, options_.parallel_blobs));
}

void BlobMover::supply(std::vector<std::size_t> blobs) {
  parallel_for_each(blobs, parallel_bodies(), stop_,
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
    if (plan_.blobs[blob].blob.form != Blob::Form::exact) return;  // nobody knows
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
  const bool to_a_digest = repository_ && repository_->digest();
  if (!options_.preserve_digests && !to_a_digest) return;
  for (std::size_t blob = 0; blob < states_.size(); ++blob) {
    const Blob& planned = plan_.blobs[blob].blob;
    const auto& made = states_[blob].made;
    if (planned.form == Blob::Form::exact || (made && made->digest == planned.descriptor.digest))
      continue;
    throw Error(ErrorKind::usage,
                fmt::format("the layer {} would have to be compressed anew, which changes the "
                            "image's digest, and {} forbids it",
                            planned.descriptor.digest.str(),
                            to_a_digest ? "a destination by digest" : "--preserve-digests"));
  }
}

void BlobMover::find_at_destination(std::size_t blob, const std::stop_token& stop) {
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
  progress_.blob_finished(*states_[blob].made, outcome);
}

// --- sending

void BlobMover::upload(std::size_t blob, const std::stop_token& stop) {
  const Blob& planned = plan_.blobs[blob].blob;
  const Descriptor& shown = planned.descriptor;
  with_context(
      [&] { return "blob " + shown.digest.str(); },
      [&] {
        progress_.blob_started(shown, planned.form == Blob::Form::exact ? planned.open_size : 0);
        const SentCallback sent = [&](std::uint64_t bytes) { progress_.blob_bytes(shown, bytes); };
        if (planned.form == Blob::Form::exact) {
          states_[blob].bytes_sent += destination_.put_blob(planned, sent, stop);
          settle(blob, shown, BlobOutcome::uploaded);
        } else {
          compress_and_upload(blob, sent, stop);
        }
      });
}

void BlobMover::compress_and_upload(std::size_t blob, const SentCallback& sent,
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
    const bool is_stores_own = planned.blob.form == Blob::Form::layer_tar &&
                               planned.blob.descriptor_verified &&
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
