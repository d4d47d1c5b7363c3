// Which images a sync copies, and where to: found out from its source before anything is copied.
#ifndef TUG_CLI_SYNC_IMAGES_H_
#define TUG_CLI_SYNC_IMAGES_H_

#include "cli/context.h"
#include "cli/image_list.h"
#include "cli/output.h"
#include "cli/sync_config.h"
#include "cli/sync_names.h"
#include "cli/tag_pattern.h"
#include "transport/open.h"

#include <tug/reference.h>

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

// What --src and the flags beside it ask for.
struct SyncRequest {
  enum class From { docker, dir, oci, yaml };
  From from = From::docker;
  std::string source = {};  // a repository or image, a directory, a file
  SyncDestination destination = {};
  TransportOptions access = {};  // of the source; a sync file may say otherwise
  // Of tags; images that are named by a digest are not asked.
  std::vector<TagPattern> include = {};  // one of them must match, if there are any
  std::vector<TagPattern> exclude = {};
  std::optional<Shard> shard = {};
  bool keep_going = false;
  // skopeo tells the story on standard error, and passes over what is wrong with an entry of a sync
  // file.
  bool as_skopeo = false;
};

// What --prune needs to know of a repository of the destination.
struct MirroredRepository {
  RegistryReference repository;
  std::set<std::string> source_tags = {};  // without --append-suffix
  // Which of the destination's tags (without --append-suffix) are the source's: of these, those
  // that it has no more may go. Empty when no list of tags was asked for.
  std::vector<std::function<bool(std::string_view)>> scopes = {};
  bool is_complete = true;  // false: the source did not give its list
};

struct SyncImages {
  // A repository or directory: its images are together.
  struct Source {
    TransportOptions access;
    std::size_t images = 0;
  };
  std::vector<ImagePair> pairs = {};
  std::vector<std::size_t> source_of = {};  // of each pair
  std::vector<Source> sources = {};
  std::map<std::string, MirroredRepository> mirrored = {};  // by name
  std::size_t excluded = 0;
  std::size_t elsewhere = 0;   // in other shards
  std::size_t unnamed = 0;     // of an OCI layout
  bool is_incomplete = false;  // a repository of a sync file could not be listed
  bool passed_over = false;    // as skopeo, an entry of a sync file was: nothing may be pruned

  // Removes the others; returns how many.
  std::size_t keep_only(const std::function<bool(const ImagePair&)>& wanted);
};

// What it returns refers to the request. Throws Error: what is wrong with the source, nothing to
// sync, names that no destination has, two images for one place (not as skopeo).
SyncImages find_sync_images(Context& context, const SyncRequest& request);

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_IMAGES_H_
