// The directories of layers, as the drivers overlay and vfs of containers/storage lay them out
// (containers-storage-format.md 3).
#ifndef TUG_TRANSPORT_STORAGE_DRIVER_H_
#define TUG_TRANSPORT_STORAGE_DRIVER_H_

#include "base/fd.h"

#include <stop_token>
#include <string>

namespace tug {

// While the lock of the layers is held. A value.
class StorageDriver {
 public:
  // `driver`: "overlay" or "vfs".
  StorageDriver(std::string root, const std::string& driver)
      : root_(std::move(root)), is_overlay_(driver == "overlay") {}

  [[nodiscard]] bool is_overlay() const noexcept { return is_overlay_; }
  // Where the files of the layer `id` are.
  [[nodiscard]] std::string files_of(const std::string& id) const;
  [[nodiscard]] bool has(const std::string& id) const;
  // Makes the directory of a layer on top of `parent` ("": of none) and opens it: empty, or with
  // what is below it. Throws Error(local), Error(limit), Error(interrupted).
  [[nodiscard]] UniqueFd create(const std::string& id, const std::string& parent,
                                const std::stop_token& stop) const;
  // Nothing of the layer is left.
  void remove(const std::string& id) const;

 private:
  void make_overlay(const std::string& id, const std::string& parent) const;

  std::string root_;
  bool is_overlay_;
};

// Nothing of a layer is left but its record. `layers_directory` has the store's records of layers;
// its lock is held.
void remove_layer_files(const StorageDriver& driver, const std::string& layers_directory,
                        const std::string& id);

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_DRIVER_H_
