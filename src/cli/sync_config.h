// The source of `tug sync --src yaml`: which images of which registries (cli-surface.md A.6).
// Values; pure.
#ifndef TUG_CLI_SYNC_CONFIG_H_
#define TUG_CLI_SYNC_CONFIG_H_

#include <tug/secret.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::cli {

inline constexpr std::size_t kMaxSyncConfigBytes = std::size_t{4} * 1024 * 1024;

// What a sync file wants of one repository.
struct SyncRepository {
  enum class Selection { listed, all_tags, by_regex, by_semver };
  std::string name;  // without the registry
  Selection selection = Selection::all_tags;
  std::vector<std::string> images = {};  // listed: tags and digests
  std::string filter = {};               // by_regex, by_semver
  std::string where = {};                // "REGISTRY.images.NAME in FILE": for messages
};

struct SyncRegistry {
  std::string name;  // HOST[:PORT][/PATH]
  std::vector<SyncRepository> repositories = {};
  std::optional<std::pair<std::string, Secret>> credentials = {};
  std::optional<bool> tls_verify = {};
  std::optional<std::string> cert_dir = {};
};

struct SyncConfig {
  std::vector<SyncRegistry> registries = {};  // in the file's order
  std::vector<std::string> notes = {};        // keys that nothing reads
};

// `images` before `images-by-tag-regex` before `images-by-semver`, whatever their order is. What a
// number looks like ("1.10") is taken as it is written. Throws Error(usage) naming file and key.
SyncConfig parse_sync_config(std::string_view text, const std::string& file);

}  // namespace tug::cli

#endif  // TUG_CLI_SYNC_CONFIG_H_
