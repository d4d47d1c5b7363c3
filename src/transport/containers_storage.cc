#include "transport/containers_storage.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"
#include "stream/file_source.h"
#include "transport/open.h"
#include "transport/storage_layer.h"
#include "transport/storage_store.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tug {
namespace {

// Records and big data are separate files, which another process may be replacing: read again so
// many times before that is damage.
constexpr int kSnapshotAttempts = 3;

constexpr std::string_view kPrefix = "containers-storage:";
// Where podman and buildah write down what the instances of a list were added from.
constexpr const char* kInstances = "instances.json";

// A manifest found in the store, checked against its digest.
struct StoredManifest {
  std::string bytes;
  Digest digest;
};

std::optional<std::string> read_big_data(const StoredImage& image, const std::string& key) {
  const std::string path = image.big_data_path(key);
  try {
    return read_file_if_exists(path, kMaxManifestBytes);
  } catch (Error& error) {
    if (::access(path.c_str(), R_OK) != 0) {
      if (std::string hint = permission_hint(errno); !hint.empty()) error.set_hint(std::move(hint));
    }
    throw;
  }
}

// The manifest under `key`; nullopt when the file is not there or not what the record says. (For a
// signed schema 1 manifest the record has the digest without the signature; such an image is
// refused when it is parsed, so its bytes pass here.)
std::optional<StoredManifest> read_manifest(const StoredImage& image, const std::string& key) {
  std::optional<std::string> bytes = read_big_data(image, key);
  if (!bytes) return std::nullopt;
  const Digest digest = Digest::of(*bytes);
  const auto recorded = image.big_data.find(key);
  const bool matches = recorded == image.big_data.end() || recorded->second == digest;
  if (!matches && bytes->find("\"signatures\"") == std::string::npos) return std::nullopt;
  return StoredManifest{std::move(*bytes), digest};
}

Error unresolved(const std::string& text, const StorePaths& paths) {
  return Error(ErrorKind::not_found, "containers-storage:" + text +
                                         " does not resolve to an image ID (store " +
                                         paths.graph_root + ", driver " + paths.driver + ")");
}

// What the user may have meant: podman looks for localhost/NAME as well, the transport does not
// (2.1).
std::string suggestion(const ImageName& name, const StoreSnapshot& snapshot) {
  constexpr std::string_view kHubLibrary = "docker.io/library/";
  if (name.repository.starts_with(kHubLibrary)) {
    const std::string local = "localhost/" + name.name().substr(kHubLibrary.size());
    if (snapshot.find_image(local) != nullptr) return "the store has " + local;
  }
  std::vector<std::string> names;
  for (const StoredImage& image : snapshot.images())
    names.insert(names.end(), image.names.begin(), image.names.end());
  const std::string likely = nearest(name.name(), names);
  return likely.empty() ? "" : "the store has " + printable(likely, 300);
}

// The images that a digest may mean: it is among theirs, and one of their names is in the
// repository (2.3).
const StoredImage* find_by_digest(const StoreSnapshot& snapshot, const ImageName& name) {
  for (const StoredImage& image : snapshot.images()) {
    if (image.has_manifest_digest(*name.digest) && image.has_name_in(name.repository))
      return &image;
  }
  return nullptr;
}

const StoredImage& resolve(const ImageName& name, const StoreSnapshot& snapshot,
                           const StorePaths& paths) {
  const StoredImage* image = snapshot.find_image(name.id.empty() ? name.name() : name.id);
  if (image == nullptr && name.id.empty() && name.digest) image = find_by_digest(snapshot, name);
  if (image == nullptr) throw unresolved(name.str(), paths).set_hint(suggestion(name, snapshot));
  if (!name.repository.empty() && !image->has_name_in(name.repository)) {
    throw unresolved(name.str(), paths)
        .set_hint("image " + image->id + " has no name in " + name.repository);
  }
  return *image;
}

// "manifest-<digest>" or else "manifest" for a reference with a digest, "manifest" for others
// (3.3).
std::optional<StoredManifest> find_manifest(const StoredImage& image,
                                            const std::optional<Digest>& digest) {
  if (!digest) return read_manifest(image, "manifest");
  const std::string own = "manifest-" + digest->str();
  std::optional<StoredManifest> manifest =
      read_manifest(image, image.big_data.contains(own) ? own : "manifest");
  if (manifest && manifest->digest != *digest) return std::nullopt;
  return manifest;
}

// Old versions write an empty item for every image (3.1).
bool has_signatures(const StoredImage& image) {
  return std::any_of(image.big_data.begin(), image.big_data.end(), [&](const auto& item) {
    const std::string& key = item.first;
    struct stat status {};
    return (key == "signatures" || key.starts_with("signature-")) &&
           ::stat(image.big_data_path(key).c_str(), &status) == 0 && status.st_size > 0;
  });
}

class ContainersStorageSource final : public ImageSource {
 public:
  // `image` is the position of the referenced image in the snapshot.
  ContainersStorageSource(std::string description, StorePaths paths, StoreSnapshot snapshot,
                          std::size_t image, StoredManifest manifest,
                          StorageEnvironment environment, std::stop_token stop)
      : description_(std::move(description)),
        paths_(std::move(paths)),
        snapshot_(std::move(snapshot)),
        image_(snapshot_.images().at(image)),
        manifest_(std::move(manifest)),
        environment_(std::move(environment)),
        stop_(std::move(stop)) {}

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] RawManifest manifest(std::stop_token) override { return {manifest_.bytes, ""}; }

  // An instance of a list: in the list's own record, in any other that has a manifest of this
  // digest, or else where the list says that it came from (6.5).
  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token stop) override {
    if (descriptor.digest == manifest_.digest) return checked(descriptor, manifest_.bytes);
    for (const StoredImage* image : own_image_first()) {
      const std::string key = image->manifest_key(descriptor.digest);
      if (key.empty()) continue;
      std::optional<StoredManifest> found = read_manifest(*image, key);
      if (found && found->digest == descriptor.digest)
        return checked(descriptor, std::move(found->bytes));
    }
    if (ImageSource* origin = open_origin(descriptor.digest))
      return checked(descriptor, origin->manifest(stop).bytes);
    const std::string origin = recorded_origin(descriptor.digest);
    throw Error(ErrorKind::local, "the instance " + platform_text(descriptor) +
                                      descriptor.digest.str() + " of " + description_ +
                                      " is not in the store")
        .set_hint(origin.empty() || origin.starts_with(kPrefix)
                      ? "pull it, or copy without --all"
                      : "it was added from " + printable(origin, 300) +
                            ": pull it from there, or use podman manifest push");
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    if (ImageSource* origin = origin_of(manifest.digest())) return origin->layers(manifest);
    const StoredImage& image = holder_of(manifest);
    const std::optional<std::vector<const StoredLayer*>> chain = snapshot_.chain(image.layer);
    if (!chain) throw incomplete(image);
    if (chain->size() != manifest.layers().size()) {
      throw Error(ErrorKind::integrity, "image " + image.id + " in " + paths_.graph_root + " has " +
                                            std::to_string(chain->size()) +
                                            " layers, its manifest names " +
                                            std::to_string(manifest.layers().size()));
    }
    std::vector<Blob> blobs;
    for (std::size_t i = 0; i < chain->size(); ++i) {
      const std::vector<const StoredLayer*> up_to(
          chain->begin(), chain->begin() + static_cast<std::ptrdiff_t>(i) + 1);
      blobs.push_back(layer_blob(manifest.layers()[i],
                                 std::make_shared<const StorageLayer>(paths_, up_to, stop_)));
    }
    return blobs;
  }

  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    const std::optional<std::string> path = find_big_data(descriptor);
    if (!path) return blob_of_an_origin(descriptor);
    auto open = [path = *path, descriptor](std::uint64_t offset) {
      return open_big_data(path, descriptor, offset);
    };
    return {descriptor, Blob::Form::exact, std::nullopt, descriptor.size, false, std::move(open)};
  }

 private:
  static std::string platform_text(const Descriptor& descriptor) {
    return descriptor.platform ? descriptor.platform->str() + " " : "";
  }

  static RawManifest checked(const Descriptor& descriptor, std::string bytes) {
    if (bytes.size() != descriptor.size) {
      throw Error(ErrorKind::integrity,
                  "manifest " + descriptor.digest.str() + " has " + std::to_string(bytes.size()) +
                      " bytes, but its descriptor says " + std::to_string(descriptor.size));
    }
    return {std::move(bytes), descriptor.media_type};
  }

  [[nodiscard]] std::vector<const StoredImage*> own_image_first() const {
    std::vector<const StoredImage*> images{&image_};
    for (const StoredImage& image : snapshot_.images()) {
      if (&image != &image_) images.push_back(&image);
    }
    return images;
  }

  // The record whose layers `manifest` describes. A list's record may hold an instance's manifest
  // without its layers.
  [[nodiscard]] const StoredImage& holder_of(const Manifest& manifest) const {
    for (const StoredImage* image : own_image_first()) {
      const bool is_ours = image == &image_ && manifest.digest() == manifest_.digest;
      if (!is_ours && image->manifest_key(manifest.digest()).empty()) continue;
      if (!image->layer.empty() || manifest.layers().empty()) return *image;
    }
    throw Error(ErrorKind::local, "the store has no layers for manifest " +
                                      manifest.digest().str() + " of " + description_);
  }

  [[nodiscard]] Error incomplete(const StoredImage& image) const {
    return Error(ErrorKind::local, "image " + image.id + " in " + paths_.graph_root +
                                       " is incomplete: a record of its layers is missing")
        .set_hint("was it removed meanwhile? else pull it again");
  }

  static Blob layer_blob(const Descriptor& descriptor, std::shared_ptr<const StorageLayer> layer) {
    const StoredLayer& record = layer->record();
    const bool verified = record.compressed_digest == descriptor.digest &&
                          (!record.compressed_size || *record.compressed_size == descriptor.size);
    const std::uint64_t size = layer->size();
    return {descriptor,
            Blob::Form::layer_tar,
            record.diff_id,
            size,
            verified,
            [layer = std::move(layer)](std::uint64_t offset) { return layer->open(offset); }};
  }

  [[nodiscard]] std::optional<std::string> find_big_data(const Descriptor& descriptor) const {
    const std::string key = descriptor.digest.str();
    for (const StoredImage* image : own_image_first()) {
      if (image->big_data.contains(key)) return image->big_data_path(key);
    }
    return std::nullopt;
  }

  [[nodiscard]] Blob blob_of_an_origin(const Descriptor& descriptor) {
    const std::lock_guard lock(origins_mutex_);
    for (const auto& [digest, origin] : origins_) {
      const Manifest manifest = Manifest::parse(origin->manifest(stop_).bytes);
      if (manifest.config().digest == descriptor.digest) return origin->blob(descriptor);
    }
    throw Error(ErrorKind::local,
                "the store has no blob " + descriptor.digest.str() + " for " + description_);
  }

  [[nodiscard]] ImageSource* origin_of(const Digest& instance) {
    const std::lock_guard lock(origins_mutex_);
    const auto found = origins_.find(instance);
    return found == origins_.end() ? nullptr : found->second.get();
  }

  // The image, perhaps of another store, that an instance was added to the list from; nullptr when
  // the list does not say, or that image is another one by now.
  [[nodiscard]] ImageSource* open_origin(const Digest& instance) {
    if (ImageSource* known = origin_of(instance)) return known;
    const std::string recorded = recorded_origin(instance);
    if (!recorded.starts_with(kPrefix)) return nullptr;
    const auto reference = with_context(image_.big_data_path(kInstances), [&] {
      return StorageReference::parse(std::string_view(recorded).substr(kPrefix.size()));
    });
    std::unique_ptr<ImageSource> origin;
    try {
      origin = open_containers_storage(reference, environment_, nullptr, stop_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;
      return nullptr;
    }
    if (Digest::of(origin->manifest(stop_).bytes) != instance) return nullptr;
    const std::lock_guard lock(origins_mutex_);
    return origins_.emplace(instance, std::move(origin)).first->second.get();
  }

  // Where an instance was added from, as "TRANSPORT:REFERENCE"; empty when nothing says so.
  [[nodiscard]] std::string recorded_origin(const Digest& instance) const {
    if (!image_.big_data.contains(kInstances)) return {};
    const std::string path = image_.big_data_path(kInstances);
    return with_context(path, [&] {
      return Json::parse(read_file(path, kMaxManifestBytes)).string_or_empty(instance.str());
    });
  }

  static std::unique_ptr<ByteSource> open_big_data(const std::string& path,
                                                   const Descriptor& descriptor,
                                                   std::uint64_t offset) {
    std::string bytes = read_file(path, kMaxManifestBytes);
    if (bytes.size() != descriptor.size ||
        Digest::of(descriptor.digest.algorithm(), bytes) != descriptor.digest) {
      throw Error(ErrorKind::integrity,
                  path + " is damaged: its content is not " + descriptor.digest.str());
    }
    return memory_source(std::move(bytes), offset);
  }

  const std::string description_;
  const StorePaths paths_;
  const StoreSnapshot snapshot_;
  const StoredImage& image_;  // in snapshot_
  const StoredManifest manifest_;
  const StorageEnvironment environment_;
  const std::stop_token stop_;
  std::mutex origins_mutex_;
  std::map<Digest, std::unique_ptr<ImageSource>> origins_;  // by the digest of the instance
};

std::string describe(const StorageReference& reference, const ImageName& name) {
  std::string text = "containers-storage:";
  if (reference.store) {
    const std::string& driver = reference.store->driver;
    text += "[" + (driver.empty() ? "" : driver + "@") + reference.store->graph_root + "]";
  }
  return text + name.str();
}

}  // namespace

ImageName name_in(const StoreSnapshot& snapshot, const StorageReference& reference) {
  return ImageName::parse(reference.image,
                          [&](const std::string& text) -> std::optional<std::string> {
                            const StoredImage* found = snapshot.find_image(text);
                            if (found == nullptr || !found->id.starts_with(text))
                              return std::nullopt;
                            return found->id;
                          });
}

StorageConfig storage_config_of(const StorageReference& reference,
                                const StorageEnvironment& environment) {
  if (!reference.store) return load_storage_config(environment);
  StorageConfig config;  // its own fields only (1.3)
  config.driver = reference.store->driver;
  config.graph_root = reference.store->graph_root;
  for (const std::string& option : reference.store->options) {
    apply_storage_option(config, option, "containers-storage:[…:" + option + "]");
  }
  return config;
}

std::unique_ptr<ImageSource> open_containers_storage(
    const StorageReference& reference, const StorageEnvironment& environment,
    const std::function<void(std::string_view)>& note, const std::stop_token& stop,
    bool note_signatures) {
  StorePaths paths = StorePaths::find(storage_config_of(reference, environment), note);
  for (int attempt = 1;; ++attempt) {
    StoreSnapshot snapshot = StoreSnapshot::read(paths);
    const ImageName name = name_in(snapshot, reference);
    const StoredImage& image = resolve(name, snapshot, paths);
    std::optional<StoredManifest> manifest =
        find_manifest(image, name.id.empty() ? name.digest : std::nullopt);
    if (manifest && (image.layer.empty() || snapshot.chain(image.layer))) {
      if (note_signatures && note && has_signatures(image)) {
        note("tug copies no signatures: those that the store has of " + describe(reference, name) +
             " stay behind (--remove-signatures: they may)");
      }
      const auto position = static_cast<std::size_t>(&image - snapshot.images().data());
      return std::make_unique<ContainersStorageSource>(describe(reference, name), std::move(paths),
                                                       std::move(snapshot), position,
                                                       std::move(*manifest), environment, stop);
    }
    if (attempt == kSnapshotAttempts) {
      throw Error(ErrorKind::local, "image " + image.id + " in " + paths.graph_root +
                                        " is incomplete: " +
                                        (manifest ? "a record of its layers is missing"
                                                  : "its manifest is missing or damaged"));
    }
  }
}

StoredName find_stored_name(const StorageReference& reference,
                            const StorageEnvironment& environment) {
  const auto silent = [](std::string_view) {};  // whoever opens the image will be told
  const StorePaths paths = StorePaths::find(storage_config_of(reference, environment), silent);
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  ImageName name = name_in(snapshot, reference);
  std::string id = resolve(name, snapshot, paths).id;
  return {paths.driver, paths.graph_root, std::move(name), std::move(id)};
}

ListedImages list_containers_storage(std::string_view store, const StorageEnvironment& environment,
                                     const std::function<void(std::string_view)>& note) {
  const StorageReference reference = StorageReference::parse_store(store);
  if (!reference.image.empty()) {
    throw Error(ErrorKind::usage, "containers-storage:" + printable(store, 300) +
                                      " names an image, where all are asked for");
  }
  const StoreSnapshot snapshot =
      StoreSnapshot::read(StorePaths::find(storage_config_of(reference, environment), note));
  ListedImages listed;
  std::set<std::string_view> seen;
  for (const StoredImage& image : snapshot.images()) {
    const std::size_t before = listed.images.size();
    for (const std::string& name : image.names) {
      const bool is_digest = name.find('@') != std::string::npos;
      // Of several stores the first has the name.
      if (is_digest || !seen.insert(name).second) continue;
      listed.images.push_back({name, {Transport::containers_storage, std::string(store) + name}});
    }
    if (listed.images.size() == before) ++listed.unnamed;
  }
  return listed;
}

}  // namespace tug
