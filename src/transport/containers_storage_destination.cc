// The containers-storage: transport as a destination.
//
// Blobs wait in files without names beneath the store. Once the config is there, which says what is
// a layer and of which chain, a thread makes the layers that the store has not, base first, as they
// come: each under the lock of the layers and marked as incomplete until it is whole, so that the
// tools of podman remove what a killed process leaves. Layers that are whole stay when a copy
// breaks off: the next one does not ask for them again. The image's record comes last.
#include "base/hash.h"
#include "base/stop.h"
#include "base/strings.h"
#include "base/temporary_file.h"
#include "oci/image_config.h"
#include "oci/json.h"
#include "stream/archive.h"
#include "stream/compress.h"
#include "stream/file_source.h"
#include "stream/read_ahead.h"
#include "stream/tar_reader.h"
#include "stream/tar_split_writer.h"
#include "transport/closed_destination.h"
#include "transport/containers_storage.h"
#include "transport/layer_unpack.h"
#include "transport/storage_driver.h"
#include "transport/storage_layer.h"
#include "transport/storage_store.h"
#include "transport/storage_write.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;
constexpr std::size_t kPieceBytes = std::size_t{128} * 1024;
constexpr int kAttempts = 3;

// A layer that was there a moment ago was removed by somebody else.
class Vanished : public Error {
 public:
  using Error::Error;
};

bool is_in_user_namespace(const StorageEnvironment& environment) {
  if (environment.nonempty("_CONTAINERS_USERNS_CONFIGURED")) return true;
  const auto map = read_file_if_exists("/proc/self/uid_map", 65536);
  return map && map->find("4294967295") == std::string::npos;
}

// Root of a container often has not.
bool has_sys_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  return ::syscall(SYS_capget, &header, sets.data()) == 0 &&
         (sets[0].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

bool has_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The nearest directory above `path` that is there.
std::string existing_above(std::string path) {
  while (path.size() > 1 && !has_directory(path))
    path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  return path;
}

// Overlay on top of overlay (in a container) is not what a kernel does, nor for whom may not mount.
bool can_overlay(const std::string& root) {
  constexpr long kOverlayMagic = 0x794c7630;
  struct statfs status {};
  const auto known = read_file_if_exists("/proc/filesystems", 65536).value_or("");
  return has_sys_admin() && ::statfs(existing_above(root).c_str(), &status) == 0 &&
         status.f_type != kOverlayMagic && known.find("\toverlay\n") != std::string::npos;
}

// The driver of a store for writing: as configured, what it has, or what podman would begin with.
std::string driver_for_writing(const StorageConfig& config) {
  std::string driver = config.driver;
  if (driver.empty()) {
    for (const char* known : {"overlay", "btrfs", "zfs", "vfs"}) {
      if (!has_directory(config.graph_root + "/" + known + "-images")) continue;
      driver = known;
      break;
    }
  }
  if (driver.empty()) driver = can_overlay(config.graph_root) ? "overlay" : "vfs";
  require_known_driver(config.graph_root, driver, "the drivers overlay and vfs can be written");
  return driver;
}

void check_config(const StorageConfig& config) {
  const std::string hint = "copy to oci:PATH, and from there with podman pull oci:PATH";
  require_one_root(config, hint);
  if (!config.force_mask.empty()) refuse_option(config, "force_mask", hint);
  if (config.use_composefs) refuse_option(config, "use_composefs", hint);
}

// A blob that came, or the tar of a layer in its place.
struct Staged {
  UniqueFd file = {};
  Descriptor descriptor;
  std::uint64_t size = 0;  // of the file
  bool is_tar = false;
};

// What a layer's tar turns out to be.
class CountingSource final : public ByteSource {
 public:
  CountingSource(std::unique_ptr<ByteSource> inner, std::stop_token stop)
      : inner_(std::move(inner)), stop_(std::move(stop)) {}
  std::size_t read(std::span<std::byte> buffer) override {
    throw_if_stopped(stop_);
    const std::size_t got = inner_->read(buffer);
    hasher_.update(buffer.first(got));
    size_ += got;
    return got;
  }
  [[nodiscard]] Digest digest() const {
    return Digest::from_bytes(DigestAlgorithm::sha256, hasher_.finish());
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::unique_ptr<ByteSource> inner_;
  const std::stop_token stop_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
};

// As containers/storage numbers them; 0: none.
constexpr unsigned kGzip = 2;
constexpr unsigned kZstd = 4;

unsigned compression_of_file(int fd) {
  std::array<unsigned char, 4> magic{};
  if (::pread(fd, magic.data(), magic.size(), 0) != static_cast<ssize_t>(magic.size())) return 0;
  if (magic[0] == 0x1f && magic[1] == 0x8b) return kGzip;
  if (magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd) return kZstd;
  return 0;
}

unsigned compression_of_type(std::string_view media_type) {
  if (media_type.ends_with("gzip")) return kGzip;
  return media_type.ends_with("zstd") ? kZstd : 0;
}

// One layer of the image that is written.
struct Link {
  std::string id;
  std::string parent;
  Digest diff_id;
  Descriptor blob;
};

std::vector<Link> chain_of(const std::vector<Digest>& diff_ids,
                           const std::vector<Descriptor>& blobs) {
  std::vector<Link> chain;
  for (std::size_t i = 0; i < diff_ids.size(); ++i) {
    const std::string hex(diff_ids[i].hex());
    const std::string parent = i == 0 ? "" : chain.back().id;
    const std::string id = i == 0 ? hex : std::string(Digest::of(parent + "+" + hex).hex());
    chain.push_back({id, parent, diff_ids[i], blobs[i]});
  }
  return chain;
}

std::vector<std::string> strings_of(const Json& record, std::string_view key) {
  std::vector<std::string> strings;
  const Json* list = record.find(key);
  if (list == nullptr || list->as_array() == nullptr) return strings;
  for (const Json& item : *list->as_array()) {
    if (item.as_string() != nullptr) strings.push_back(*item.as_string());
  }
  return strings;
}

void set_strings(Json& record, std::string_view key, const std::vector<std::string>& strings) {
  if (strings.empty()) return record.erase(key);
  Json::Array list;
  for (const std::string& text : strings) list.emplace_back(text);
  record.set(key, std::move(list));
}

void put_first(std::vector<std::string>& strings, const std::string& text) {
  std::erase(strings, text);
  strings.insert(strings.begin(), text);
}

// `key` of the object `member` of `record`, in the order of keys, as Go writes a map.
void set_in_map(Json& record, std::string_view member, const std::string& key, Json value) {
  std::map<std::string, Json> sorted;
  if (const Json* map = record.find(member); map != nullptr && map->as_object() != nullptr) {
    for (const auto& [name, old] : *map->as_object()) sorted.emplace(name, old);
  }
  sorted.insert_or_assign(key, std::move(value));
  Json::Object object;
  for (auto& [name, item] : sorted) object.emplace_back(name, std::move(item));
  record.set(member, std::move(object));
}

class ContainersStorageDestination final : public ClosedDestination {
 public:
  ContainersStorageDestination(std::string description, ImageName name, StorePaths paths,
                               UnpackOptions unpack)
      : description_(std::move(description)),
        name_(std::move(name)),
        paths_(std::move(paths)),
        unpack_(unpack),
        driver_(paths_.graph_root, paths_.driver) {}

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] std::optional<std::string> tag() const override {
    return name_.tag.empty() ? std::nullopt : std::optional(name_.tag);
  }
  // One that names the index means the image chosen from it.
  [[nodiscard]] std::optional<Digest> digest() const override {
    const bool is_of_index = index_ && name_.digest == index_->digest();
    return is_of_index ? std::nullopt : name_.digest;
  }
  [[nodiscard]] Intake intake() const override { return {.in_order = false, .indexes = false}; }
  // The store keeps no blobs: whatever the layers are, the manifest stays what it is.
  [[nodiscard]] ImageForm form() const override {
    return {.layers = ImageForm::Layers::kept, .takes_tars = true};
  }

  // --- what is there

  [[nodiscard]] std::optional<Descriptor> existing(std::stop_token stop) override {
    const auto raw = existing_manifest(std::move(stop));
    if (!raw) return std::nullopt;
    return Descriptor{raw->media_type, Digest::of(raw->bytes), raw->bytes.size()};
  }
  void chosen_from(const Index& index) override { index_ = index; }
  void expect(const Manifest& manifest) override {
    check(manifest);
    const std::lock_guard lock(mutex_);
    expected_.emplace(manifest);
  }
  [[nodiscard]] std::optional<RawManifest> existing_manifest(std::stop_token) override {
    if (name_.repository.empty()) return std::nullopt;
    const StoreSnapshot snapshot = StoreSnapshot::read(paths_);
    const StoredImage* image = snapshot.find_image(name_.name());
    if (image == nullptr || !has_all_layers(snapshot, *image)) return std::nullopt;
    if (index_ && image->manifest_key(index_->digest()).empty()) return std::nullopt;
    // What is broken is as good as absent.
    try {
      auto bytes = read_file_if_exists(image->big_data_path("manifest"), kMaxManifestBytes);
      if (!bytes) return std::nullopt;
      const Manifest manifest = Manifest::parse(*bytes);
      const auto config = read_file_if_exists(image->big_data_path(manifest.config().digest.str()),
                                              kMaxConfigBytes);
      if (!config || Digest::of(*config) != manifest.config().digest) return std::nullopt;
      return RawManifest{std::move(*bytes), manifest.media_type()};
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  // Layers that the store made from this very blob, or whose tar it is; wherever they are in their
  // chain.
  [[nodiscard]] bool has_blob(const Descriptor& descriptor, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    return staged_.contains(descriptor.digest) || stored_layer(descriptor.digest) != nullptr;
  }

  // --- taking in

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    throw_if_failed();
    const Descriptor& descriptor = blob.descriptor;
    const bool is_tar = blob.form == Blob::Form::stands_for;
    UniqueFd file = stage();
    copy(*verifying_source(blob.open(0), is_tar ? *blob.diff_id : descriptor.digest, blob.open_size,
                           "blob " + descriptor.digest.str()),
         file.get(), sent, stop);
    keep(std::move(file), {.descriptor = descriptor, .size = blob.open_size, .is_tar = is_tar});
    return blob.open_size;
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    throw_if_failed();
    UniqueFd file = stage();
    const std::unique_ptr<DigestingSource> source = blob.open(0);
    copy(*source, file.get(), sent, stop);
    Descriptor made = source->result();
    made.media_type = blob.media_type;
    keep(std::move(file), {.descriptor = made, .size = made.size});
    return made;
  }

  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const Manifest manifest = image_manifest(descriptor, bytes, "containers-storage");
    check(manifest);
    const std::lock_guard lock(mutex_);
    config_ = read_config(manifest.config());
    chain_ = chain_in(manifest, config_);
    for (const Descriptor& layer : manifest.layers()) {
      if (is_here(layer.digest)) continue;
      if (media_type::is_nondistributable(layer.media_type))
        throw layer_stays_away(layer, "containers-storage");
      throw MissingBlobsError(vanished(), lost());
    }
    manifest_.emplace(manifest);
  }

  void finish(std::stop_token stop) override {
    bool are_made = end_making(stop) == chain_.size();
    {
      const std::lock_guard lock(mutex_);
      prepare();
    }
    for (int attempt = 1;; ++attempt) {
      try {
        if (!are_made) {
          for (const Link& link : chain_) make_layer(link, stop);
        }
        are_made = false;  // or they would be
        return write_image(stop);
      } catch (const MissingBlobsError& error) {
        const std::lock_guard lock(mutex_);
        throw MissingBlobsError(error, lost());
      } catch (const Vanished&) {
        if (attempt == kAttempts) throw;
      }
    }
  }

 private:
  void check(const Manifest& manifest) const {
    const std::string id(manifest.config().digest.hex());
    if (name_.id.empty() || name_.id == id) return;
    throw Error(ErrorKind::usage,
                "the destination names the image " + name_.id + ", but this one is " + id)
        .set_hint("name it NAME:TAG");
  }

  static std::vector<Link> chain_in(const Manifest& manifest, std::string_view config) {
    const std::vector<Digest> diff_ids =
        with_context("config " + manifest.config().digest.str(),
                     [&] { return diff_ids_of(Json::parse(config)); });
    require_same_layers(diff_ids.size(), manifest.layers().size());
    for (const Digest& diff_id : diff_ids) {
      if (diff_id.algorithm() != DigestAlgorithm::sha256)
        throw Error(ErrorKind::usage, "the layer " + diff_id.str() + " is not named by SHA-256");
    }
    return chain_of(diff_ids, manifest.layers());
  }

  // --- making layers while others come

  // With mutex_.
  [[nodiscard]] bool is_here(const Digest& blob) {
    return staged_.contains(blob) || stored_layer(blob) != nullptr;
  }

  void make_what_comes(const std::stop_token& stop) {
    try {
      std::unique_lock lock(mutex_);
      const std::vector<Link> chain = chain_in(*expected_, read_config(expected_->config()));
      for (const Link& link : chain) {
        const auto is_there = [&] { return is_here(link.blob.digest); };
        if (!changed_.wait(lock, stop, [&] { return have_all_come_ || is_there(); })) return;
        if (!is_there()) return;
        lock.unlock();
        make_layer(link, stop);
        lock.lock();
        ++made_;
      }
    } catch (const Vanished&) {           // finish() makes it again
    } catch (const MissingBlobsError&) {  // or asks for it
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
  }

  // What failed in that thread: more blobs would be of no use.
  void throw_if_failed() {
    const std::lock_guard lock(mutex_);
    if (!failure_) return;
    try {
      std::rethrow_exception(failure_);
    } catch (const Error& error) {
      throw Error(error);  // a copy: each thread says in it what it was at
    }
  }

  // Blobs that the store had when it was asked, and somebody has removed since.
  // With mutex_.
  std::vector<Digest> lost() {
    std::vector<Digest> digests;
    for (const Link& link : chain_) {
      if (!is_here(link.blob.digest)) digests.push_back(link.blob.digest);
    }
    return digests;
  }

  // How many layers, from the base, are made. Throws what failed there.
  std::size_t end_making(const std::stop_token& stop) {
    {
      const std::lock_guard lock(mutex_);
      have_all_come_ = true;
      changed_.notify_all();
    }
    const std::stop_callback stopping(stop, [this] { maker_.request_stop(); });
    if (maker_.joinable()) maker_.join();
    throw_if_failed();
    return made_;
  }

  [[nodiscard]] std::string layers_directory() const {
    return paths_.layers_directory(paths_.graph_root);
  }
  [[nodiscard]] std::string images_directory() const {
    return paths_.images_directory(paths_.graph_root);
  }
  [[nodiscard]] std::string tar_split_of(const std::string& id) const {
    return layers_directory() + "/" + id + ".tar-split.gz";
  }

  [[nodiscard]] bool has_all_layers(const StoreSnapshot& snapshot, const StoredImage& image) const {
    const auto chain = snapshot.chain(image.layer);
    return chain && std::all_of(chain->begin(), chain->end(),
                                [&](const StoredLayer* layer) { return driver_.has(layer->id); });
  }

  // --- what the store had at the start

  // With mutex_.
  const StoredLayer* stored_layer(const Digest& blob) {
    if (!stored_) {
      const std::string path = layers_directory() + "/layers.json";
      stored_.emplace();
      for (StoredLayer& layer : detail::parse_layers(detail::read_record_file(path), path)) {
        std::string id = layer.id;
        stored_->emplace(std::move(id), std::move(layer));
      }
    }
    for (const auto& [id, layer] : *stored_) {
      const bool is_it = layer.compressed_digest == blob || layer.diff_id == blob;
      if (is_it && layer.diff_id && driver_.has(id) &&
          ::access(tar_split_of(id).c_str(), R_OK) == 0)
        return &layer;
    }
    return nullptr;
  }

  const StoredLayer* find_stored(const Digest& blob) {
    const std::lock_guard lock(mutex_);
    return stored_layer(blob);
  }

  // What the store had does not change any more.
  [[nodiscard]] std::vector<const StoredLayer*> stored_chain(const StoredLayer& top) const {
    std::vector<const StoredLayer*> chain{&top};
    while (!chain.back()->parent.empty() && chain.size() <= stored_->size()) {
      const auto below = stored_->find(chain.back()->parent);
      if (below == stored_->end()) break;
      chain.push_back(&below->second);
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
  }

  // --- blobs

  // With mutex_.
  void prepare() {
    if (is_prepared_) return;
    make_store(paths_.graph_root, paths_.driver);
    is_prepared_ = true;
  }

  UniqueFd stage() {
    const std::lock_guard lock(mutex_);
    prepare();
    return open_unnamed_file(paths_.graph_root + "/tmp");
  }

  void copy(ByteSource& source, int file, const SentCallback& sent, const std::stop_token& stop) {
    std::vector<std::byte> buffer(kPieceBytes);
    std::uint64_t done = 0;
    while (const std::size_t got = source.read(buffer)) {
      throw_if_stopped(stop);
      write_fully(file, std::span(buffer).first(got), "a file below " + paths_.graph_root);
      done += got;
      sent(done);
    }
  }

  void keep(UniqueFd file, Staged staged) {
    const std::lock_guard lock(mutex_);
    staged.file = std::move(file);
    const Digest digest = staged.descriptor.digest;
    staged_.emplace(digest, std::move(staged));
    changed_.notify_all();
    if (expected_ && digest == expected_->config().digest && !maker_.joinable() && !have_all_come_)
      maker_ = std::jthread([this](const std::stop_token& stop) { make_what_comes(stop); });
  }

  // What came stays as it is and where it is.
  const Staged* find_staged(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    const auto found = staged_.find(digest);
    return found == staged_.end() ? nullptr : &found->second;
  }

  std::unique_ptr<ByteSource> staged_bytes(const Staged& staged) const {
    return file_source(UniqueFd(::fcntl(staged.file.get(), F_DUPFD_CLOEXEC, 0)),
                       "blob " + staged.descriptor.digest.str(), staged.size, 0);
  }

  std::string read_config(const Descriptor& config) const {
    const auto found = staged_.find(config.digest);
    if (found == staged_.end())
      throw Error(ErrorKind::local, "the config " + config.digest.str() + " was not handed over");
    auto bytes = read_small(*staged_bytes(found->second), kMaxConfigBytes);
    if (bytes) return std::move(*bytes);
    throw Error(ErrorKind::limit, "the config " + config.digest.str() + " has more than " +
                                      human_bytes(kMaxConfigBytes));
  }

  // --- layers

  // Without mutex_, by one thread at a time.
  void make_layer(const Link& link, const std::stop_token& stop) {
    with_context("layer " + link.blob.digest.str(), [&] { make_layer_of(link, stop); });
  }
  void make_layer_of(const Link& link, const std::stop_token& stop) {
    const StorageLock lock(layers_directory() + "/layers.lock", stop);
    StorageRecords records = StorageRecords::read(layers_directory() + "/layers.json");
    if (const Json* record = records.find(link.id)) {
      if (!detail::is_incomplete(*record)) {
        if (driver_.has(link.id)) return;
        throw Error(ErrorKind::local, "the store " + paths_.graph_root + " has a record of layer " +
                                          link.id + ", but not its files")
            .set_hint("podman system check --repair, or remove the images that use it");
      }
      drop_layer(records, lock, link.id);  // its writer was killed
    }
    if (!link.parent.empty()) {
      const Json* parent = records.find(link.parent);
      if (parent == nullptr || detail::is_incomplete(*parent)) throw vanished();
    }
    const std::string created = storage_time();
    Json record = Json::object({{"id", link.id}});
    if (!link.parent.empty()) record.set("parent", link.parent);
    record.set("created", created);
    record.set("flags", Json::object({{"incomplete", true}}));
    records.all().push_back(record);
    records.write();
    lock.touch();
    try {
      fill_layer(link, record, stop);
    } catch (...) {
      drop_layer(records, lock, link.id);
      throw;
    }
    record.erase("flags");
    *records.find(link.id) = record;
    records.write();
    lock.touch();
  }

  [[nodiscard]] Vanished vanished() const {
    return Vanished(ErrorKind::local, "a layer was removed from the store " + paths_.graph_root +
                                          " by another process meanwhile");
  }

  void drop_layer(StorageRecords& records, const StorageLock& lock, const std::string& id) {
    remove_layer_files(driver_, layers_directory(), id);
    records.erase(id);
    records.write();
    lock.touch();
  }

  void fill_layer(const Link& link, Json& record, const std::stop_token& stop) {
    Descriptor blob = link.blob;
    std::unique_ptr<ByteSource> bytes;
    unsigned compression = 0;
    std::uint64_t limit = blob.size;
    const std::string name = "it";  // the context says which layer
    if (const Staged* staged = find_staged(link.blob.digest)) {
      compression = staged->is_tar ? compression_of_type(staged->descriptor.media_type)
                                   : compression_of_file(staged->file.get());
      limit = staged->size;
      bytes = decompressing_source(staged_bytes(*staged), name);
    } else {
      const StoredLayer* stored = find_stored(link.blob.digest);
      if (stored == nullptr) throw MissingBlobsError(vanished(), {link.blob.digest});
      const auto layer = std::make_shared<const StorageLayer>(paths_, stored_chain(*stored), stop);
      bytes = layer->open(0);
      limit = layer->size();
      compression = compression_of_record(stored->id);
    }
    CountingSource tar(
        bounded_source(std::move(bytes), kFreeGrowthBytes + kMaxGrowth * limit, name), stop);
    ReadAheadSource tar_ahead(tar);
    const UniqueFd layers = open_directory(layers_directory());
    TemporaryFile split_file(layers.get(), tar_split_of(link.id), 0600);
    TarSplitWriter split([&](std::span<const std::byte> piece) { split_file.write(piece); });
    const UniqueFd directory = driver_.create(link.id, link.parent, stop);
    LayerUnpacker unpacker(directory.get(), driver_.files_of(link.id), unpack_, stop);
    TarReader reader(tar_ahead, name, &split);
    TarMember member;
    while (reader.next(member)) unpacker.add(member, reader);
    unpacker.finish();
    split.finish();
    if (tar.digest() != link.diff_id) {
      throw Error(ErrorKind::integrity, name + " is " + tar.digest().str() +
                                            " when it is not compressed, but the config says " +
                                            link.diff_id.str());
    }
    split_file.commit_as(link.id + ".tar-split.gz");
    record.set("compressed-diff-digest", blob.digest.str());
    record.set("compressed-size", blob.size);
    record.set("diff-digest", link.diff_id.str());
    record.set("diff-size", tar.size());
    if (compression != 0) record.set("compression", compression);
    set_ids(record, "uidset", unpacker.uids());
    set_ids(record, "gidset", unpacker.gids());
  }

  static void set_ids(Json& record, std::string_view key, const std::set<std::uint32_t>& ids) {
    if (ids.empty()) return;
    Json::Array list;
    for (const std::uint32_t id : ids) list.emplace_back(id);
    record.set(key, std::move(list));
  }

  [[nodiscard]] unsigned compression_of_record(const std::string& id) const {
    StorageRecords records = StorageRecords::read(layers_directory() + "/layers.json");
    const Json* record = records.find(id);
    const Json* value = record == nullptr ? nullptr : record->find("compression");
    return value == nullptr ? 0 : static_cast<unsigned>(value->as_uint().value_or(0));
  }

  // --- the image

  // Under both locks, in the order in which podman takes them: so no layer goes away meanwhile.
  void write_image(const std::stop_token& stop) {
    const StorageLock layers_lock(layers_directory() + "/layers.lock", stop);
    StorageRecords layers = StorageRecords::read(layers_directory() + "/layers.json");
    for (const Link& link : chain_) {
      const Json* record = layers.find(link.id);
      if (record == nullptr || detail::is_incomplete(*record)) throw vanished();
    }
    const StorageLock images_lock(images_directory() + "/images.lock", stop);
    StorageRecords images = StorageRecords::read(images_directory() + "/images.json");
    const std::string id(manifest_->config().digest.hex());
    const std::string top = chain_.empty() ? "" : chain_.back().id;
    Json* record = images.find(id);
    if (record == nullptr) {
      images.all().push_back(new_record(id, top));
      record = &images.all().back();
    } else if (record->string_or_empty("layer") != top) {
      throw Error(ErrorKind::local, "the store has an image " + id + " of other layers")
          .set_hint("remove it first");
    }
    write_big_data(*record, id);
    if (!name_.repository.empty()) give_name(images, *record, name_.name());
    images.write();
    images_lock.touch();
  }

  [[nodiscard]] Json new_record(const std::string& id, const std::string& top) const {
    const Digest digest = index_ ? index_->digest() : manifest_->digest();
    Json record = Json::object({{"id", id}, {"digest", digest.str()}});
    // In the order of Go's structure; what stays empty goes again.
    record.set("names", Json::array());
    record.set("names-history", Json::array());
    if (!top.empty()) record.set("layer", top);
    record.set("metadata", "");
    record.set("big-data-names", Json::array());
    record.set("big-data-sizes", Json::object());
    record.set("big-data-digests", Json::object());
    const auto created = go_time(
        with_context("config", [&] { return Json::parse(config_); }).string_or_empty("created"));
    record.set("created", created.value_or(storage_time()));
    if (name_.repository.empty()) {
      record.erase("names");
      record.erase("names-history");
    }
    return record;
  }

  // As the tools of Debian 12 write it, signatures of no length among it.
  void write_big_data(Json& record, const std::string& id) const {
    const std::string directory = images_directory() + "/" + id;
    make_directories(directory, 0700);
    StoredImage place;
    place.directory = directory;
    const std::string& digest = manifest_->digest().str();
    const std::string signature = "signature-" + std::string(manifest_->digest().hex());
    std::vector<std::pair<std::string, std::string>> items{
        {manifest_->config().digest.str(), config_}};
    if (index_) items.emplace_back("manifest-" + index_->digest().str(), index_->bytes());
    items.emplace_back("manifest-" + digest, manifest_->bytes());
    items.emplace_back("manifest", manifest_->bytes());
    items.emplace_back(signature, "");
    std::vector<std::string> names = strings_of(record, "big-data-names");
    for (const auto& [key, bytes] : items) {
      const std::string path = place.big_data_path(key);
      if (read_file_if_exists(path, kMaxManifestBytes) != bytes)
        write_file_atomically(path, bytes, 0600);
      if (std::find(names.begin(), names.end(), key) == names.end()) names.push_back(key);
      set_in_map(record, "big-data-sizes", key, bytes.size());
      set_in_map(record, "big-data-digests", key, Digest::of(bytes).str());
    }
    set_strings(record, "big-data-names", names);
    record.set("metadata", metadata(record.string_or_empty("metadata"), digest));
  }

  // The lengths of the signatures of each manifest: none of ours.
  static std::string metadata(const std::string& text, const std::string& digest) {
    Json metadata = Json::object();
    try {
      if (!text.empty()) metadata = Json::parse(text);
    } catch (const Error&) {
      metadata = Json::object();
    }
    if (!metadata.is_object()) metadata = Json::object();
    set_in_map(metadata, "signatures-sizes", digest, Json::array());
    return metadata.dump({.escape_html = true});
  }

  static void give_name(StorageRecords& images, Json& record, const std::string& name) {
    for (Json& other : images.all()) {
      if (&other == &record) continue;
      std::vector<std::string> names = strings_of(other, "names");
      if (std::erase(names, name) != 0) set_strings(other, "names", names);
    }
    std::vector<std::string> names = strings_of(record, "names");
    std::vector<std::string> history = strings_of(record, "names-history");
    put_first(names, name);
    // The newest name is the last that Go puts in front.
    for (const std::string& each : names) put_first(history, each);
    set_strings(record, "names", names);
    set_strings(record, "names-history", history);
  }

  const std::string description_;
  const ImageName name_;
  const StorePaths paths_;
  const UnpackOptions unpack_;
  const StorageDriver driver_;
  std::mutex mutex_;
  bool is_prepared_ = false;
  std::map<Digest, Staged> staged_;
  std::optional<std::map<std::string, StoredLayer>> stored_;  // by id
  std::optional<Index> index_;                                // that the image was chosen from
  std::optional<Manifest> manifest_;
  std::vector<Link> chain_;
  std::string config_;
  // Of what is made while other blobs come.
  std::condition_variable_any changed_;
  std::optional<Manifest> expected_;
  bool have_all_come_ = false;
  std::size_t made_ = 0;
  std::exception_ptr failure_;
  std::jthread maker_;  // the last: it uses all the others
};

}  // namespace

std::unique_ptr<ImageDestination> open_containers_storage_destination(
    const StorageReference& reference, const StorageEnvironment& environment) {
  const StorageConfig config = storage_config_of(reference, environment);
  check_config(config);
  require_root_user("podman unshare tug …, or buildah unshare tug …");
  StorePaths paths;
  paths.driver = driver_for_writing(config);
  paths.graph_root = config.graph_root;
  paths.image_roots = paths.layer_roots = {config.graph_root};
  const StoreSnapshot snapshot = StoreSnapshot::read(paths);
  ImageName name = name_in(snapshot, reference);
  std::string description = "containers-storage:";
  if (reference.store) description += "[" + paths.driver + "@" + paths.graph_root + "]";
  description += name.str();
  const UnpackOptions unpack{.overlay = paths.driver == "overlay",
                             .in_user_namespace = is_in_user_namespace(environment),
                             .without_sys_admin = !has_sys_admin(),
                             .ignore_chown_errors = config.ignore_chown_errors};
  return std::make_unique<ContainersStorageDestination>(std::move(description), std::move(name),
                                                        std::move(paths), unpack);
}

}  // namespace tug
