// registries.conf version 2 (registry-protocol.md section 2): which registries are insecure,
// blocked, mirrored.
#ifndef TUG_REGISTRY_REGISTRIES_CONF_H_
#define TUG_REGISTRY_REGISTRIES_CONF_H_

#include "base/log.h"

#include <tug/reference.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

struct Mirror {
  enum class Pull { all, digest_only, tag_only };
  std::string location;
  bool insecure = false;
  Pull pull = Pull::all;
  friend bool operator==(const Mirror&, const Mirror&) = default;
};

struct RegistryEntry {
  std::string prefix;    // "host[:port][/path]" or "*.host"
  std::string location;  // "" = as the prefix
  bool insecure = false;
  bool blocked = false;
  std::vector<Mirror> mirrors;
  std::string file;  // where it stands, for messages
  friend bool operator==(const RegistryEntry&, const RegistryEntry&) = default;
};

// A place where an image is read from: a mirror of its registry, or the registry itself, wherever
// registries.conf says that it is. A value.
struct PullPlace {
  RegistryReference reference;  // with the tag or digest, if there is one
  bool insecure = false;
  friend bool operator==(const PullPlace&, const PullPlace&) = default;
};

class RegistriesConf {
 public:
  RegistriesConf() = default;  // nothing configured
  // Reads the files for this environment (2.1); `named` is --registries-conf, and wins over
  // CONTAINERS_REGISTRIES_CONF. A missing default file is an empty configuration, a missing named
  // one and any broken one is Error(usage) naming file and line.
  static RegistriesConf load(const std::optional<std::string>& named, const Log& log);
  // One file's text merged over this configuration; `path` is for messages (exposed for tests and
  // fuzzing). A drop-in must be of version 2; version 1 is converted in a main file only.
  enum class Kind { main, drop_in };
  void merge(std::string_view toml, const std::string& path, Kind kind = Kind::main);

  // The entry with the longest prefix that matches (2.3), or nullptr. A prefix without a port does
  // not match a reference with one; a wildcard, which cannot have a port, matches every port.
  [[nodiscard]] const RegistryEntry* match(const RegistryReference& reference) const;
  // Where to read `reference` from (2.2): the mirrors that serve such references in their order, if
  // `mirrors`, and last the registry. Never empty. Throws Error(usage) for a location that is no
  // beginning of a repository's name.
  [[nodiscard]] std::vector<PullPlace> pull_places(const RegistryReference& reference,
                                                   bool mirrors = true) const;
  // The same for a bare "host[:port]": a token service, which is no repository.
  [[nodiscard]] const RegistryEntry* match_host(std::string_view host) const;
  [[nodiscard]] const std::vector<std::string>& credential_helpers() const noexcept {
    return credential_helpers_;
  }
  [[nodiscard]] const std::vector<RegistryEntry>& entries() const noexcept { return entries_; }

 private:
  std::vector<RegistryEntry> entries_;
  std::vector<std::string> credential_helpers_{"containers-auth.json"};
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_REGISTRIES_CONF_H_
