// The records of a containers/storage store as its writers change them: images.json and layers.json
// under their locks, so that podman, buildah and skopeo notice (containers-storage-format.md 3, 4).
#ifndef TUG_TRANSPORT_STORAGE_WRITE_H_
#define TUG_TRANSPORT_STORAGE_WRITE_H_

#include "base/fd.h"
#include "oci/json.h"
#include "transport/storage_conf.h"

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug {

// The exclusive lock of a store's lock file, held until it is destroyed. Waits as long as somebody
// else has it. Throws Error(local), Error(interrupted).
class StorageLock {
 public:
  StorageLock(const std::string& path, const std::stop_token& stop);
  // Tells other processes that what the lock protects has changed.
  void touch() const;

 private:
  std::string path_;
  UniqueFd fd_;  // closing it releases the lock
};

// One file of records, to be changed while its lock is held. Records and members that are not
// known here stay as they are.
class StorageRecords {
 public:
  // A file that is missing or empty has no records. Throws Error(local), Error(integrity).
  static StorageRecords read(const std::string& path);

  [[nodiscard]] Json::Array& all() noexcept { return records_; }
  [[nodiscard]] Json* find(std::string_view id) noexcept;
  void erase(std::string_view id);
  // Replaces the file at once.
  void write() const;

 private:
  std::string path_;
  Json::Array records_;
};

// What can be written at all. Each throws Error(usage), whose hint is `hint`.
[[noreturn]] void refuse_option(const StorageConfig& config, const std::string& option,
                                const std::string& hint);
void require_one_root(const StorageConfig& config, const std::string& hint);  // no imagestore
void require_known_driver(const std::string& root, const std::string& driver,
                          const std::string& hint);
void require_root_user(const std::string& hint);
// "2026-11-26T22:52:56.352075243Z": now, as Go writes it.
std::string storage_time();
// Directories as Go makes them, with mode 0700 below `root`, and empty lock files.
void make_store(const std::string& root, const std::string& driver);
// A file that is not there yet. Throws Error(local).
void write_new_file(int directory, const std::string& name, std::string_view text, unsigned mode,
                    const std::string& path);

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_WRITE_H_
