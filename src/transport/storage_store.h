// The records of a containers/storage store: images.json and layers.json of one or several stores,
// and look-ups in them (containers-storage-format.md 2.2, 3 and 4). Reading only: nothing is ever
// created or written in a store.
#ifndef TUG_TRANSPORT_STORAGE_STORE_H_
#define TUG_TRANSPORT_STORAGE_STORE_H_

#include "oci/json.h"
#include "transport/storage_conf.h"

#include <tug/digest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tug {

// Directories that hold a store, or the part of one, all with the same driver.
struct StorePaths {
  std::string driver;
  std::string graph_root;
  std::vector<std::string> image_roots;  // where images are looked up, in order (3.6)
  std::vector<std::string>
      layer_roots;  // where layers, their files and tar-split files are looked up, in order

  // Chooses the driver when `config` names none: the one whose images.json is there; of several the
  // first in the order of driver_priority or overlay, btrfs, zfs, vfs, which `note` is told. Throws
  // Error(usage) for a driver that tug cannot read, Error(not_found) when there is no store at all.
  static StorePaths find(const StorageConfig& config,
                         const std::function<void(std::string_view)>& note);

  // "ROOT/overlay-images", "ROOT/overlay-layers"
  [[nodiscard]] std::string images_directory(const std::string& root) const {
    return root + "/" + driver + "-images";
  }
  [[nodiscard]] std::string layers_directory(const std::string& root) const {
    return root + "/" + driver + "-layers";
  }
};

// One record of images.json. A value.
struct StoredImage {
  std::string id;
  std::vector<std::string> names;
  std::string layer;             // top layer; "" for lists and artifacts
  std::string directory;         // of its big data: "ROOT/overlay-images/ID"
  std::size_t root = 0;          // position of its store among image_roots
  std::optional<Digest> digest;  // may be stale: only good for finding the image (2.3)
  std::map<std::string, Digest>
      big_data;  // key → digest; schema 1 manifests: without their signatures

  // Whether a reference with `wanted` may mean this image: `digest` and the digests of its
  // manifests (2.3).
  [[nodiscard]] bool has_manifest_digest(const Digest& wanted) const;
  [[nodiscard]] bool has_name_in(std::string_view repository) const;
  // The file of a big data item (3.1).
  [[nodiscard]] std::string big_data_path(const std::string& key) const;
  // The key of the manifest with the digest `wanted`: its own, or "manifest"; "" when there is
  // none.
  [[nodiscard]] std::string manifest_key(const Digest& wanted) const;
};

// One record of layers.json. A value.
struct StoredLayer {
  std::string id;
  std::string parent;  // "" for a base layer
  // Of the uncompressed tar: diff-digest, or for layers known by their TOC the digest that the
  // image's config claims (5.6). Absent: the layer cannot be verified, so it cannot be pushed.
  std::optional<Digest> diff_id;
  std::optional<std::uint64_t> diff_size;
  std::optional<Digest> compressed_digest;  // of the blob it came as, hashed when it was pulled
  std::optional<std::uint64_t> compressed_size;
};

// All records, as they were at one moment. A value.
class StoreSnapshot {
 public:
  // Reads images.json and layers.json of all stores, each under its shared lock, held only while
  // the file is read and never waited for long: the files are replaced at once, so reading without
  // it is safe too. Throws Error(local) when one cannot be read, with the hint for rootless stores;
  // Error(integrity) when it is broken.
  static StoreSnapshot read(const StorePaths& paths);

  [[nodiscard]] const std::vector<StoredImage>& images() const noexcept { return images_; }
  // The look-up of one string (2.2): exact id, exact name, unambiguous beginning of an id, store by
  // store. nullptr when nothing fits.
  [[nodiscard]] const StoredImage* find_image(std::string_view text) const;
  // The layers of an image, base first. nullopt when a record on the way is missing or incomplete,
  // or the chain is a loop.
  [[nodiscard]] std::optional<std::vector<const StoredLayer*>> chain(const std::string& top) const;

 private:
  void read_layers(const std::string& directory);

  std::vector<StoredImage> images_;  // in the order of image_roots
  std::unordered_map<std::string, StoredLayer> layers_;
};

// The hint of every permission error in a store, "" when `error_number` is another error (1.4).
std::string permission_hint(int error_number);

namespace detail {
// The text of a file of records, "" when it is not there; its array, which a file without text has
// empty, of records whose ids can be parts of paths. Throw Error(local), with a hint for rootless
// stores, and Error(integrity).
std::string read_record_file(const std::string& path);
Json::Array parse_records(std::string_view text);
// Whoever wrote the layer died, or is not done.
bool is_incomplete(const Json& record);
// One file's text, for tests and fuzzing; `path` is for messages.
std::vector<StoredImage> parse_images(std::string_view text, const std::string& path,
                                      const std::string& images_directory, std::size_t root);
std::vector<StoredLayer> parse_layers(std::string_view text, const std::string& path);
}  // namespace detail

}  // namespace tug

#endif  // TUG_TRANSPORT_STORAGE_STORE_H_
