#include "transport/storage_store.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "transport/storage_reference.h"

#include <tug/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <thread>
#include <unordered_set>
#include <utility>

namespace tug {
namespace {

// Thousands of layers are a few MB (section 8).
constexpr std::size_t kMaxRecordBytes = std::size_t{256} * 1024 * 1024;
constexpr std::size_t kMaxIdBytes = 200;
// A process that reads a big layer holds layers.lock for minutes (section 4.4): after this long we
// read without the lock.
constexpr std::chrono::milliseconds kLockPatience{500};
constexpr std::chrono::milliseconds kLockPause{5};
constexpr std::array<const char*, 4> kDriverOrder{"overlay", "btrfs", "zfs", "vfs"};

// A shared OFD lock on the whole of a lock file, which conflicts with the POSIX locks of the Go
// tools. Taken if the file is there and the lock is free soon; else there is none, and reading goes
// on without it.
class SharedLock {
 public:
  explicit SharedLock(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!fd_) return;
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (!try_lock() && (errno == EAGAIN || errno == EACCES) &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kLockPause);
    }
  }

 private:
  bool try_lock() {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0;
  }

  UniqueFd fd_;  // closing it releases the lock
};

// Ids become parts of paths.
bool is_safe_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && id.front() != '.' &&
         std::all_of(id.begin(), id.end(),
                     [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

std::string id_member(const Json& record, std::string_view key) {
  std::string id = record.string_or_empty(key);
  if (!id.empty() && !is_safe_id(id)) {
    throw Error(ErrorKind::integrity,
                std::string(key) + " \"" + printable(id, 200) + "\" is not usable");
  }
  return id;
}

std::optional<Digest> digest_member(const Json& record, std::string_view key) {
  return Digest::try_parse(record.string_or_empty(key));
}

std::optional<std::uint64_t> size_member(const Json& record, std::string_view key) {
  const Json* value = record.find(key);
  return value == nullptr ? std::nullopt : value->as_uint();  // -1 and the like are "not known"
}

StoredImage parse_image(const Json& record, const std::string& images_directory, std::size_t root) {
  StoredImage image;
  image.id = id_member(record, "id");
  if (image.id.empty()) throw Error(ErrorKind::integrity, "an image has no id");
  image.layer = id_member(record, "layer");
  image.directory = images_directory + "/" + image.id;
  image.root = root;
  image.digest = digest_member(record, "digest");
  if (const Json* names = record.find("names"); names != nullptr && names->as_array() != nullptr) {
    for (const Json& name : *names->as_array()) {
      if (name.is_string()) image.names.push_back(*name.as_string());
    }
  }
  if (const Json* digests = record.find("big-data-digests");
      digests != nullptr && digests->as_object() != nullptr) {
    for (const auto& [key, value] : *digests->as_object()) {
      if (!value.is_string()) continue;
      if (std::optional<Digest> digest = Digest::try_parse(*value.as_string()))
        image.big_data.emplace(key, *digest);
    }
  }
  return image;
}

// nullopt for a layer that must be treated as if it were not there: its writer died.
std::optional<StoredLayer> parse_layer(const Json& record) {
  StoredLayer layer;
  layer.id = id_member(record, "id");
  if (layer.id.empty()) throw Error(ErrorKind::integrity, "a layer has no id");
  layer.parent = id_member(record, "parent");
  layer.diff_id = digest_member(record, "diff-digest");
  layer.diff_size = size_member(record, "diff-size");
  layer.compressed_digest = digest_member(record, "compressed-diff-digest");
  layer.compressed_size = size_member(record, "compressed-size");
  if (detail::is_incomplete(record)) return std::nullopt;
  if (const Json* flags = record.find("flags"); flags != nullptr && !layer.diff_id)
    layer.diff_id = digest_member(*flags, "expected-layer-diffid");
  return layer;
}

bool has_images(const std::string& root, const std::string& driver) {
  struct stat status {};
  return ::stat((root + "/" + driver + "-images/images.json").c_str(), &status) == 0;
}

bool contains(const std::vector<std::string>& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

// The drivers that have images below any of `roots`, in the order in which they are preferred.
std::vector<std::string> drivers_in(const std::vector<std::string>& roots,
                                    const std::vector<std::string>& priority) {
  std::vector<std::string> order = priority;
  for (const char* driver : kDriverOrder) {
    if (!contains(order, driver)) order.emplace_back(driver);
  }
  std::vector<std::string> found;
  for (const std::string& driver : order) {
    if (std::any_of(roots.begin(), roots.end(),
                    [&](const std::string& root) { return has_images(root, driver); })) {
      found.push_back(driver);
    }
  }
  return found;
}

std::string choose_driver(const StorageConfig& config, const std::vector<std::string>& roots,
                          const std::function<void(std::string_view)>& note) {
  if (!config.driver.empty()) return config.driver;
  const std::vector<std::string> found = drivers_in(roots, config.driver_priority);
  if (found.empty()) {
    // The directory itself may be closed to us, which is another matter than an absent store.
    if (::access(config.graph_root.c_str(), R_OK | X_OK) != 0 && errno != ENOENT) {
      const int error_number = errno;
      throw Error(ErrorKind::local,
                  "cannot read the store " + config.graph_root + ": " + errno_text(error_number))
          .set_hint(permission_hint(error_number));
    }
    throw Error(ErrorKind::not_found, "there are no images in the store " + config.graph_root)
        .set_hint(
            "another store is named by storage.conf, CONTAINERS_STORAGE_CONF or "
            "containers-storage:[DRIVER@ROOT]NAME");
  }
  if (found.size() > 1 && note) {
    note("the store " + config.graph_root + " holds images of the drivers " + join(found, ", ") +
         "; reading those of " + found.front() + " (STORAGE_DRIVER chooses another)");
  }
  return found.front();
}

void refuse_unreadable_driver(const std::string& driver, const std::string& root) {
  if (driver == "overlay" || driver == "vfs") return;
  if (driver == "btrfs" || driver == "zfs") {
    throw Error(ErrorKind::usage,
                "the store " + root + " uses the driver " + driver + ", which tug cannot read")
        .set_hint("podman save --format oci-dir -o DIR IMAGE, then copy oci:DIR");
  }
  throw Error(ErrorKind::usage,
              "unknown storage driver \"" + printable(driver, 100) + "\" (known: overlay, vfs)");
}

// The only image of images[begin, end) whose id begins with `text`; nullptr for none or several.
const StoredImage* unique_by_prefix(const StoredImage* begin, const StoredImage* end,
                                    std::string_view text) {
  const StoredImage* found = nullptr;
  for (const StoredImage* image = begin; image != end; ++image) {
    if (!image->id.starts_with(text)) continue;
    if (found != nullptr) return nullptr;
    found = image;
  }
  return found;
}

const StoredImage* find_in(const StoredImage* begin, const StoredImage* end,
                           std::string_view text) {
  const auto by_id = [&](const StoredImage& image) { return image.id == text; };
  if (const StoredImage* found = std::find_if(begin, end, by_id); found != end) return found;
  const auto by_name = [&](const StoredImage& image) { return contains(image.names, text); };
  if (const StoredImage* found = std::find_if(begin, end, by_name); found != end) return found;
  return text.empty() ? nullptr : unique_by_prefix(begin, end, text);
}

}  // namespace

StorePaths StorePaths::find(const StorageConfig& config,
                            const std::function<void(std::string_view)>& note) {
  StorePaths paths;
  paths.graph_root = config.graph_root;
  if (!config.image_store.empty() && config.image_store != config.graph_root) {
    paths.image_roots = {config.image_store, config.graph_root};
    paths.layer_roots = {config.graph_root, config.image_store};
  } else {
    paths.image_roots = {config.graph_root};
    paths.layer_roots = {config.graph_root};
  }
  for (const std::string& root : config.additional_image_stores) {
    if (contains(paths.image_roots, root)) continue;
    paths.image_roots.push_back(root);
    paths.layer_roots.push_back(root);
  }
  paths.driver = choose_driver(config, paths.image_roots, note);
  refuse_unreadable_driver(paths.driver, config.graph_root);
  return paths;
}

bool StoredImage::has_manifest_digest(const Digest& wanted) const {
  if (digest == wanted) return true;
  return std::any_of(big_data.begin(), big_data.end(), [&](const auto& item) {
    return item.first.starts_with("manifest") && item.second == wanted;
  });
}

bool StoredImage::has_name_in(std::string_view repository) const {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return repository_of(name) == repository; });
}

std::string StoredImage::big_data_path(const std::string& key) const {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.';
  });
  return directory + "/" + (plain ? key : "=" + base64_encode(key));
}

std::string StoredImage::manifest_key(const Digest& wanted) const {
  const std::string own = "manifest-" + wanted.str();
  if (big_data.contains(own)) return own;
  const auto found = big_data.find("manifest");
  return found != big_data.end() && found->second == wanted ? "manifest" : "";
}

StoreSnapshot StoreSnapshot::read(const StorePaths& paths) {
  StoreSnapshot snapshot;
  for (std::size_t root = 0; root < paths.image_roots.size(); ++root) {
    const std::string directory = paths.images_directory(paths.image_roots[root]);
    const std::string path = directory + "/images.json";
    const std::string text = [&] {
      const SharedLock lock(directory + "/images.lock");
      return detail::read_record_file(path);
    }();
    std::vector<StoredImage> images = detail::parse_images(text, path, directory, root);
    std::move(images.begin(), images.end(), std::back_inserter(snapshot.images_));
  }
  for (const std::string& root : paths.layer_roots)
    snapshot.read_layers(paths.layers_directory(root));
  return snapshot;
}

void StoreSnapshot::read_layers(const std::string& directory) {
  for (const char* name : {"layers.json", "volatile-layers.json"}) {
    const std::string path = directory + "/" + name;
    const std::string text = [&] {
      const SharedLock lock(directory + "/layers.lock");
      return detail::read_record_file(path);
    }();
    for (StoredLayer& layer : detail::parse_layers(text, path)) {
      std::string id = layer.id;
      layers_.try_emplace(std::move(id), std::move(layer));  // the first record of an id wins (3.4)
    }
  }
}

const StoredImage* StoreSnapshot::find_image(std::string_view text) const {
  const StoredImage* const end = images_.data() + images_.size();
  const StoredImage* begin = images_.data();
  for (std::size_t root = 0; begin != end; ++root) {
    const StoredImage* const next =
        std::find_if(begin, end, [&](const StoredImage& i) { return i.root > root; });
    if (const StoredImage* found = find_in(begin, next, text)) {
      // The primary store's record of an image is authoritative for its names.
      const auto same_id = [&](const StoredImage& image) {
        return image.root == 0 && image.id == found->id;
      };
      if (root == 0 || std::none_of(images_.begin(), images_.end(), same_id)) return found;
    }
    begin = next;
  }
  return nullptr;
}

std::optional<std::vector<const StoredLayer*>> StoreSnapshot::chain(const std::string& top) const {
  std::vector<const StoredLayer*> layers;
  std::unordered_set<std::string_view> seen;
  for (std::string_view id = top; !id.empty();) {
    const auto found = layers_.find(std::string(id));
    if (found == layers_.end() || !seen.insert(found->first).second) return std::nullopt;
    layers.push_back(&found->second);
    id = found->second.parent;
  }
  std::reverse(layers.begin(), layers.end());
  return layers;
}

std::string permission_hint(int error_number) {
  if (error_number != EACCES && error_number != EPERM) return {};
  return ::geteuid() == 0 ? "the store belongs to other user ids than those mapped here: run tug "
                            "outside this user namespace"
                          : "a rootless store needs its owner's user namespace: podman unshare tug "
                            "…; root's store needs root";
}

namespace detail {

std::string read_record_file(const std::string& path) {
  try {
    return read_file_if_exists(path, kMaxRecordBytes).value_or("");
  } catch (Error& error) {
    if (::access(path.c_str(), R_OK) != 0) {
      if (std::string hint = permission_hint(errno); !hint.empty()) error.set_hint(std::move(hint));
    }
    throw;
  }
}

Json::Array parse_records(std::string_view text) {
  if (trim(text).empty()) return {};
  Json json = Json::parse(text, {kMaxRecordBytes, 64});
  if (json.is_null()) return {};
  Json::Array* records = json.as_array();
  if (records == nullptr) throw Error(ErrorKind::integrity, "the file is no array");
  for (const Json& record : *records) (void)id_member(record, "id");
  return std::move(*records);
}

bool is_incomplete(const Json& record) {
  const Json* flags = record.find("flags");
  const Json* incomplete = flags == nullptr ? nullptr : flags->find("incomplete");
  return incomplete != nullptr && incomplete->as_bool().value_or(false);
}

std::vector<StoredImage> parse_images(std::string_view text, const std::string& path,
                                      const std::string& images_directory, std::size_t root) {
  return with_context(path, [&] {
    std::vector<StoredImage> images;
    for (const Json& record : parse_records(text))
      images.push_back(parse_image(record, images_directory, root));
    return images;
  });
}

std::vector<StoredLayer> parse_layers(std::string_view text, const std::string& path) {
  return with_context(path, [&] {
    std::vector<StoredLayer> layers;
    for (const Json& record : parse_records(text)) {
      if (std::optional<StoredLayer> layer = parse_layer(record))
        layers.push_back(std::move(*layer));
    }
    return layers;
  });
}

}  // namespace detail

}  // namespace tug
