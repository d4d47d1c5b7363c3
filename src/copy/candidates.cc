#include "copy/candidates.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <utility>

namespace tug {
namespace {

// Docker's manifests have no media type for zstd.
bool manifest_can_hold(const Blob& planned, LayerCompression format) {
  return format != LayerCompression::zstd || !media_type::is_docker(planned.descriptor.media_type);
}

}  // namespace

Candidates::Candidates(const CopyOptions& options, BlobInfoCache& cache,
                       std::optional<RegistryReference> source,
                       std::optional<RegistryReference> destination)
    : options_(options),
      cache_(cache),
      source_(std::move(source)),
      destination_(std::move(destination)) {}

void Candidates::learn_from(const Manifest& existing, std::string_view config_bytes) {
  for (DiffIdPair& pair : pair_diff_ids(existing, config_bytes))
    there_.emplace(pair.diff_id, std::move(pair.layer));
}

std::optional<Descriptor> Candidates::known_there(const PlannedBlob& layer) const {
  if (!layer.blob.diff_id) return std::nullopt;
  const auto found = there_.find(*layer.blob.diff_id);
  if (found == there_.end() || !is_acceptable(layer, found->second)) return std::nullopt;
  return found->second;
}

bool Candidates::is_acceptable(const PlannedBlob& planned, const Descriptor& layer) const {
  const auto format = compression_of(layer.media_type);
  if (planned.is_plain) return !format && layer.digest == *planned.blob.diff_id;
  if (!format) return false;  // a plain or unknown layer: compress rather than keep it so
  return manifest_can_hold(planned.blob, *format) &&
         (!(options_.force_compression || planned.is_recompressed) ||
          *format == options_.compression.value_or(LayerCompression::gzip));
}

std::vector<Candidate> Candidates::of(const PlannedBlob& planned) const {
  std::vector<Candidate> result;
  if (auto same = original(planned)) result.push_back(std::move(*same));
  if (is_made(planned.blob)) {
    if (auto known = known_there(planned)) result.push_back({*known, {}});
    if (planned.is_plain) {
      result.push_back(
          {{plain_media_type(planned.blob.descriptor.media_type), *planned.blob.diff_id, 0}, {}});
    }
  }
  add_cached(planned, result);
  return result;
}

// The blob that the source's manifest names. One that would have to be made counts only when it is
// known to be the tar's compressed form.
std::optional<Candidate> Candidates::original(const PlannedBlob& layer) const {
  const Blob& planned = layer.blob;
  if (is_made(planned) &&
      !(planned.descriptor_verified && is_acceptable(layer, planned.descriptor)))
    return std::nullopt;
  Candidate candidate{planned.descriptor, {}};
  if (!destination_) return candidate;
  if (source_ && source_->registry() == destination_->registry())
    candidate.mount_from.push_back(*source_);
  for (RegistryReference& from : annotated_sources(planned.descriptor, destination_->registry()))
    candidate.mount_from.push_back(std::move(from));
  return candidate;
}

void Candidates::add_cached(const PlannedBlob& layer, std::vector<Candidate>& result) const {
  const Blob& planned = layer.blob;
  if (!destination_ || !options_.use_blob_info_cache) return;
  const Digest& key = is_made(planned) ? *planned.diff_id : planned.descriptor.digest;
  for (const BlobInfoCache::Candidate& cached :
       cache_.candidates(destination_->registry(), key, is_made(planned))) {
    std::vector<RegistryReference> mount_from;
    for (const std::string& name : cached.repositories) add_location(name, mount_from);
    const auto known = std::find_if(result.begin(), result.end(), [&](const Candidate& other) {
      return other.descriptor.digest == cached.digest;
    });
    if (known != result.end()) {
      known->mount_from.insert(known->mount_from.end(), mount_from.begin(), mount_from.end());
      continue;
    }
    if (!is_made(planned)) continue;
    Candidate candidate{{cached_type(planned, cached.compressor), cached.digest, 0},
                        std::move(mount_from)};
    if (!candidate.descriptor.media_type.empty() && is_acceptable(layer, candidate.descriptor))
      result.push_back(std::move(candidate));
  }
}

// "": unknown to us, or nothing that this kind of manifest can hold.
std::string Candidates::cached_type(const Blob& planned, std::string_view compressor) const {
  const std::string& type = planned.descriptor.media_type;
  if (compressor == "gzip") return compressed_media_type(type, LayerCompression::gzip);
  if (compressor == "zstd" && manifest_can_hold(planned, LayerCompression::zstd))
    return compressed_media_type(type, LayerCompression::zstd);
  return {};
}

void Candidates::add_location(const std::string& name,
                              std::vector<RegistryReference>& mount_from) const {
  try {
    RegistryReference from = RegistryReference::parse_repository(name);
    if (from.registry() == destination_->registry() &&
        from.repository() != destination_->repository())
      mount_from.push_back(std::move(from));
  } catch (const Error&) {  // the cache is anybody's file
  }
}

}  // namespace tug
