// tug sync --prune: tags of the destination that the source has no more.
#ifndef TUG_CLI_SYNC_PRUNE_H_
#define TUG_CLI_SYNC_PRUNE_H_

#include "cli/sync_images.h"
#include "registry/host.h"

#include <tug/reference.h>
#include <tug/registry.h>

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug::cli {

// The tags of `present`, a destination's, that may go: those of the repository's scopes, with the
// suffix of this sync, which its source does not have. None when the source gave no list, or an
// empty one. Pure.
std::vector<std::string> dropped_tags(const MirroredRepository& mirrored,
                                      const std::vector<std::string>& present,
                                      const std::string& append_suffix);

struct PruneRun {
  registry::Hosts& hosts;
  RegistryAccess access;
  std::string append_suffix;
  std::size_t jobs;
  bool dry_run;
  // Told of each tag that goes, or would go.
  std::function<void(const RegistryReference& image, const Digest& digest)> deleted;
};

// Registries delete manifests, with all their tags: an image that a tag which stays names too, by
// itself or in an index, is kept, and a warning says so. Throws Error.
void prune(const MirroredRepository& mirrored, const PruneRun& run, const std::stop_token& stop);

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_PRUNE_H_
