#include "cli/sync_prune.h"

#include "base/parallel.h"
#include "cli/output.h"
#include "registry/repository.h"

#include <tug/descriptor.h>
#include <tug/digest.h>
#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

namespace tug::cli {
namespace {

struct Tag {
  std::string name;
  bool goes = false;
  std::optional<Digest> digest = {};  // what it names; nullopt: nothing any more
  std::vector<Digest> images = {};    // of an index that stays
};

// What the tag names, and for one that stays what is below that.
void look_up(registry::Repository& repository, Tag& tag, const std::stop_token& stop) {
  auto found = repository.head_manifest(tag.name, stop);
  if (found && (tag.goes || !media_type::is_index(found->media_type))) {
    tag.digest = found->digest;
    return;
  }
  try {
    const RawManifest raw = repository.get_manifest(tag.name, stop);
    tag.digest = Digest::of(raw.bytes);
    if (tag.goes) return;
    const ManifestOrIndex parsed = parse_manifest_or_index(raw.bytes, raw.media_type);
    if (const Index* index = std::get_if<Index>(&parsed))
      for (const Descriptor& image : index->manifests()) tag.images.push_back(image.digest);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
  }
}

}  // namespace

std::vector<std::string> dropped_tags(const MirroredRepository& mirrored,
                                      const std::vector<std::string>& present,
                                      const std::string& append_suffix) {
  std::vector<std::string> dropped;
  if (!mirrored.is_complete || mirrored.source_tags.empty()) return dropped;
  for (const std::string& tag : present) {
    if (!tag.ends_with(append_suffix) || tag.size() == append_suffix.size()) continue;
    const std::string_view source_tag =
        std::string_view(tag).substr(0, tag.size() - append_suffix.size());
    const bool is_in_scope = std::any_of(mirrored.scopes.begin(), mirrored.scopes.end(),
                                         [&](const auto& scope) { return scope(source_tag); });
    if (is_in_scope && !mirrored.source_tags.count(std::string(source_tag))) dropped.push_back(tag);
  }
  return dropped;
}

void prune(const MirroredRepository& mirrored, const PruneRun& run, const std::stop_token& stop) {
  registry::Host& host = run.hosts.get(mirrored.repository, run.access);
  registry::Repository repository(host, mirrored.repository, false);
  std::vector<std::string> present;
  try {
    present = repository.list_tags(stop);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return;  // a dry run before the first sync
    throw;
  }
  const std::vector<std::string> dropped = dropped_tags(mirrored, present, run.append_suffix);
  if (dropped.empty()) return;
  const std::set<std::string> going(dropped.begin(), dropped.end());
  std::vector<Tag> tags;
  for (std::string& name : present) {
    const bool goes = going.count(name) > 0;
    tags.push_back({std::move(name), goes});
  }
  parallel_for_each(tags, run.jobs, stop, [&](Tag& tag, const std::stop_token& stop_one) {
    look_up(repository, tag, stop_one);
  });
  std::map<std::string, std::string> kept;  // digests, and the tag that needs each
  for (const Tag& tag : tags) {
    if (tag.goes || !tag.digest) continue;
    kept.emplace(tag.digest->str(), tag.name);
    for (const Digest& image : tag.images) kept.emplace(image.str(), tag.name);
  }
  std::set<std::string> deleted;
  for (const Tag& tag : tags) {
    if (!tag.goes || !tag.digest) continue;
    const RegistryReference image = mirrored.repository.with_tag(tag.name);
    if (const auto keeper = kept.find(tag.digest->str()); keeper != kept.end()) {
      log_line(Level::warning,
               fmt::format("docker://{} is not pruned: {} names the same image, and a registry "
                           "deletes images with all their tags",
                           image.str(), keeper->second));
      continue;
    }
    if (!run.dry_run && deleted.insert(tag.digest->str()).second) {
      with_context("deleting docker://" + image.str(), [&] {
        try {
          repository.delete_manifest(*tag.digest, stop);
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::not_found) throw;  // somebody else has deleted it
        }
      });
    }
    run.deleted(image, *tag.digest);
  }
}

}  // namespace tug::cli
