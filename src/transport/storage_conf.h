// Where the containers/storage store of podman, buildah and CRI-O is: storage.conf and its
// environment (containers-storage-format.md section 1).
#ifndef TUG_TRANSPORT_STORAGE_CONF_H_
#define TUG_TRANSPORT_STORAGE_CONF_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// The process's surroundings as far as they decide about the store. A value; tests make their own.
struct StorageEnvironment {
  // The user whom the store belongs to: _CONTAINERS_ROOTLESS_UID inside `podman unshare`, else the
  // real uid.
  unsigned uid = 0;
  // The owner that our own files have here: the effective uid.
  unsigned file_owner = 0;
  std::string system_root;  // put before /etc and /usr/share
  std::function<std::optional<std::string>(const char*)> variable;

  static StorageEnvironment current();
  // Without a value when it is unset or empty.
  [[nodiscard]] std::optional<std::string> nonempty(const char* name) const;
};

// Where images are. Empty paths and drivers are not configured.
struct StorageConfig {
  std::string driver;  // "overlay", "vfs", …; "": whichever is there
  std::vector<std::string> driver_priority;
  std::string graph_root;   // never empty
  std::string image_store;  // images and their layers are here instead; tar-split files stay below
                            // graph_root
  std::vector<std::string> additional_image_stores;
  // What matters to a writer: how files get their modes and owners.
  std::string force_mask = {};
  bool ignore_chown_errors = false;
  bool use_composefs = false;

  friend bool operator==(const StorageConfig&, const StorageConfig&) = default;
};

// Reads the files of 1.1 (the scheme of 2026, which also gives the old scheme's result for what
// distributions ship), then STORAGE_DRIVER and STORAGE_OPTS. Throws Error(usage) for a broken file,
// Error(local) for an unreadable one or a named one that is missing.
StorageConfig load_storage_config(const StorageEnvironment& environment);

// Applies one `[driver.]name=value` option (1.2) as STORAGE_OPTS and the brackets of a reference
// carry it; options that do not say where images are change nothing. `where` is for messages.
// Throws Error(usage): no "=", a relative path.
void apply_storage_option(StorageConfig& config, std::string_view option, std::string_view where);

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_CONF_H_
