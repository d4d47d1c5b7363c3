// An image source and a destination in memory, for tests of the copy layer: no files, no network,
// every call counted.
#ifndef TUG_TESTS_SUPPORT_MEMORY_IMAGES_H_
#define TUG_TESTS_SUPPORT_MEMORY_IMAGES_H_

#include "stream/file_source.h"
#include "support/read_all.h"

#include <tug/error.h>
#include <tug/manifest.h>
#include <tug/transport.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tug::test {

// {"schemaVersion":2,…} for a config and layers with these bytes.
inline std::string descriptor_json(const std::string& type, const std::string& bytes,
                                   const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":")" + Digest::of(bytes).str() + R"(","size":)" +
         std::to_string(bytes.size()) + more + "}";
}

class MemorySource : public ImageSource {
 public:
  // Adds a blob and returns its digest.
  Digest add(const std::string& bytes) {
    const Digest digest = Digest::of(bytes);
    blobs_[digest] = bytes;
    return digest;
  }
  // An OCI manifest over `config` and gzip layers; the blobs are added too. Returns its bytes.
  std::string add_image(const std::string& config, const std::vector<std::string>& layers,
                        const std::string& layer_type = std::string(media_type::kOciLayerGzip)) {
    std::string text = R"({"schemaVersion":2,"mediaType":")" +
                       std::string(media_type::kOciManifest) + R"(","config":)" +
                       descriptor_json(std::string(media_type::kOciConfig), config) +
                       R"(,"layers":[)";
    add(config);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      add(layers[i]);
      text += (i == 0 ? "" : ",") + descriptor_json(layer_type, layers[i]);
    }
    text += "]}";
    add(text);
    return text;
  }
  // An OCI index over manifests (bytes, platform).
  std::string add_index(const std::vector<std::pair<std::string, Platform>>& children) {
    std::string text = R"({"schemaVersion":2,"mediaType":")" + std::string(media_type::kOciIndex) +
                       R"(","manifests":[)";
    for (std::size_t i = 0; i < children.size(); ++i) {
      const auto& [bytes, platform] = children[i];
      const bool is_index = bytes.find("\"manifests\"") != std::string::npos;
      text += (i == 0 ? "" : ",") +
              descriptor_json(
                  std::string(is_index ? media_type::kOciIndex : media_type::kOciManifest), bytes,
                  R"(,"platform":{"os":")" + platform.os + R"(","architecture":")" +
                      platform.architecture + "\"}");
    }
    text += "]}";
    add(text);
    return text;
  }
  // What stands under a digest is another thing.
  void replace(const Digest& digest, std::string bytes) { blobs_[digest] = std::move(bytes); }
  void set_top(std::string bytes) { top_ = std::move(bytes); }
  // Layers are given as tars that must be compressed (as containers-storage does).
  void give_tars(bool yes) { tars_ = yes; }
  // The layer with `digest` is the compressed form of `tar`, and known to be.
  void set_tar_of(const Digest& digest, std::string tar) { tar_of_[digest] = std::move(tar); }

  std::string describe() const override { return "memory:source"; }
  RawManifest manifest(std::stop_token) override { return {top_, ""}; }
  RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    return {find(descriptor), descriptor.media_type};
  }
  std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> result;
    for (const Descriptor& layer : manifest.layers()) {
      Blob blob = this->blob(layer);
      if (tars_) {
        blob.form = Blob::Form::layer_tar;
        // A layer in compressed form stands for a tar of its own name; MemorySource gives that.
        const auto tar = tar_of_.find(layer.digest);
        blob.diff_id = tar == tar_of_.end() ? layer.digest : Digest::of(tar->second);
        blob.descriptor_verified = tar != tar_of_.end();
        if (tar != tar_of_.end()) {
          blob.open = [this, digest = layer.digest, bytes = tar->second](std::uint64_t offset) {
            count_opened(digest);
            return memory_source(bytes, offset);
          };
        }
      }
      result.push_back(std::move(blob));
    }
    return result;
  }
  Blob blob(const Descriptor& descriptor) override {
    Blob blob{.descriptor = descriptor, .open_size = descriptor.size, .open = {}};
    blob.open = [this, descriptor](std::uint64_t offset) {
      count_opened(descriptor.digest);
      return memory_source(find(descriptor), offset);
    };
    return blob;
  }

  std::map<Digest, int> opened;  // how often each blob was opened; not to be read during a copy

 private:
  // Blobs are opened by several threads.
  void count_opened(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    ++opened[digest];
  }
  const std::string& find(const Descriptor& descriptor) {
    const auto found = blobs_.find(descriptor.digest);
    if (found == blobs_.end()) throw Error(ErrorKind::local, "no blob " + descriptor.digest.str());
    return found->second;
  }
  std::map<Digest, std::string> blobs_;
  std::string top_;
  bool tars_ = false;
  std::map<Digest, std::string> tar_of_;
  std::mutex mutex_;
};

// A registry that checks what it is given. Thread-safe.
class MemoryRegistry : public ImageDestination {
 public:
  explicit MemoryRegistry(const std::string& reference)
      : reference_(RegistryReference::parse(reference)) {}

  std::string describe() const override { return "docker://" + reference_.str(); }
  std::optional<RegistryReference> repository() const override { return reference_; }
  std::optional<std::string> tag() const override { return reference_.tag(); }
  Intake intake() const override { return wants; }
  ImageForm form() const override { return wanted; }

  std::optional<Descriptor> existing(std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("HEAD manifest");
    const auto found = tags.find(reference_.identifier());
    if (found == tags.end()) return std::nullopt;
    return Descriptor{
        .media_type = "", .digest = found->second, .size = manifests.at(found->second).size()};
  }
  std::optional<RawManifest> existing_manifest(std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("GET manifest");
    const auto found = tags.find(reference_.identifier());
    if (found == tags.end()) return std::nullopt;
    return RawManifest{manifests.at(found->second), ""};
  }
  std::optional<RawManifest> read_manifest(const Descriptor& descriptor, std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("GET manifest");
    const auto found = manifests.find(descriptor.digest);
    return found == manifests.end() ? std::nullopt : std::optional(RawManifest{found->second, ""});
  }
  std::optional<std::string> read_small_blob(const Descriptor& descriptor,
                                             std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("GET blob");
    const auto found = blobs.find(descriptor.digest);
    return found == blobs.end() ? std::nullopt : std::optional(found->second);
  }
  bool has_blob(const Descriptor& descriptor, std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("HEAD blob");
    return blobs.count(descriptor.digest) > 0 || lies_about.count(descriptor.digest) > 0;
  }
  std::optional<std::uint64_t> blob_size(const Digest& digest, std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("HEAD blob");
    const auto found = blobs.find(digest);
    return found == blobs.end() ? std::nullopt : std::optional<std::uint64_t>(found->second.size());
  }
  bool has_manifest(const Descriptor& descriptor, std::stop_token) override {
    const std::lock_guard lock(mutex);
    return manifests.count(descriptor.digest) > 0;
  }
  bool mount_blob(const Descriptor& descriptor, const RegistryReference& from,
                  std::stop_token) override {
    const std::lock_guard lock(mutex);
    log.push_back("mount from " + from.repository());
    const auto found = siblings.find(descriptor.digest);
    if (found == siblings.end()) return false;
    blobs[descriptor.digest] = found->second;
    return true;
  }
  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent, std::stop_token) override {
    std::string bytes = read_all(*blob.open(0), 1000);
    if (Digest::of(bytes) != blob.descriptor.digest)
      throw Error(ErrorKind::integrity, "wrong content");
    sent(bytes.size());
    const std::lock_guard lock(mutex);
    log.push_back("PUT blob");
    lies_about.erase(blob.descriptor.digest);
    received.push_back(blob.descriptor.digest);
    const std::uint64_t size = bytes.size();
    blobs[blob.descriptor.digest] = std::move(bytes);
    return size;
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback&, std::stop_token) override {
    const auto source = blob.open(0);
    std::string bytes = read_all(*source, 1000);
    const Descriptor result = source->result();
    const std::lock_guard lock(mutex);
    log.push_back("PUT stream");
    received.push_back(result.digest);
    blobs[result.digest] = std::move(bytes);
    return result;
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>& tag, std::stop_token) override {
    const std::lock_guard lock(mutex);
    check(descriptor, bytes);
    manifests[descriptor.digest] = bytes;
    log.push_back("PUT manifest " + tag.value_or("by digest"));
    if (tag) tags.insert_or_assign(*tag, descriptor.digest);
  }

  [[nodiscard]] long count(const std::string& prefix) const {
    long n = 0;
    for (const std::string& line : log) n += line.starts_with(prefix) ? 1 : 0;
    return n;
  }

  mutable std::mutex mutex;
  std::map<Digest, std::string> blobs;
  std::map<Digest, std::string> manifests;
  std::map<std::string, Digest> tags;
  std::map<Digest, std::string> siblings;  // what mount finds
  std::set<Digest> lies_about;             // HEAD says that they are there
  bool takes_sparse_indexes = false;
  Intake wants;
  std::vector<Digest> received;  // blobs, in the order of their ends
  ImageForm wanted;
  std::vector<std::string> log;

 private:
  // Refuses what names something that is not there, as distribution does.
  void check(const Descriptor& descriptor, const std::string& bytes) const {
    if (Digest::of(bytes) != descriptor.digest)
      throw Error(ErrorKind::integrity, "manifest digest");
    std::vector<Digest> missing;
    const ManifestOrIndex document = parse_manifest_or_index(bytes);
    if (const auto* manifest = std::get_if<Manifest>(&document)) {
      if (blobs.count(manifest->config().digest) == 0) missing.push_back(manifest->config().digest);
      for (const Descriptor& layer : manifest->layers()) {
        if (blobs.count(layer.digest) == 0 && layer.urls.empty()) missing.push_back(layer.digest);
      }
    } else {
      for (const Descriptor& child : std::get<Index>(document).manifests()) {
        if (manifests.count(child.digest) == 0) missing.push_back(child.digest);
      }
    }
    if (takes_sparse_indexes && std::holds_alternative<Index>(document)) return;
    if (!missing.empty())
      throw MissingBlobsError(Error(ErrorKind::protocol, "MANIFEST_BLOB_UNKNOWN"),
                              std::move(missing));
  }

  RegistryReference reference_;
};

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_MEMORY_IMAGES_H_
