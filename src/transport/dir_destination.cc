// The dir: transport as a destination.
#include "transport/dir.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace tug {
namespace {

class DirDestination final : public ImageDestination {
 public:
  DirDestination(std::string path, ImageForm::Layers layers)
      : path_(std::move(path)), layers_(layers) {
    look_at_directory();
  }

  [[nodiscard]] std::string describe() const override { return "dir:" + path_; }
  [[nodiscard]] std::optional<std::string> tag() const override { return std::nullopt; }

  [[nodiscard]] ImageForm form() const override { return {.layers = layers_}; }

  // --- what is there. What is broken is as good as absent: it will be written anew.

  [[nodiscard]] std::optional<Descriptor> existing(std::stop_token stop) override {
    const std::optional<RawManifest> raw = existing_manifest(std::move(stop));
    if (!raw) return std::nullopt;
    return std::visit([](const auto& document) { return document.descriptor(); },
                      parse_manifest_or_index(raw->bytes, raw->media_type));
  }
  [[nodiscard]] std::optional<RawManifest> existing_manifest(std::stop_token) override {
    const std::optional<ImageDirectory> directory = this->directory();
    if (!directory || !directory->size_of(std::string(dir_files::kManifest))) return std::nullopt;
    return if_complete([&] {
      return RawManifest{directory->read(std::string(dir_files::kManifest), kMaxManifestBytes), ""};
    });
  }
  [[nodiscard]] std::optional<RawManifest> read_manifest(const Descriptor& descriptor,
                                                         std::stop_token) override {
    const std::optional<ImageDirectory> directory = this->directory();
    if (!directory) return std::nullopt;
    return if_complete([&] {
      return RawManifest{
          directory->read_manifest(dir_files::manifest(descriptor.digest), descriptor),
          descriptor.media_type};
    });
  }
  [[nodiscard]] std::optional<std::string> read_small_blob(const Descriptor& descriptor,
                                                           std::stop_token) override {
    if (!has_bytes(descriptor)) return std::nullopt;
    return directory()->read(dir_files::blob(descriptor.digest), kMaxManifestBytes);
  }
  [[nodiscard]] bool has_blob(const Descriptor& descriptor, std::stop_token) override {
    return has_bytes(descriptor);
  }
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const Digest& digest,
                                                       std::stop_token) override {
    const std::optional<ImageDirectory> directory = this->directory();
    return directory ? directory->size_of(dir_files::blob(digest)) : std::nullopt;
  }
  [[nodiscard]] bool has_manifest(const Descriptor& descriptor, std::stop_token stop) override {
    return read_manifest(descriptor, std::move(stop)).has_value();
  }
  [[nodiscard]] bool mount_blob(const Descriptor&, const RegistryReference&,
                                std::stop_token) override {
    return false;
  }

  // --- writing

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    return prepare(stop).write_blob("", dir_files::blob(blob.descriptor.digest), blob, sent, stop);
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    return prepare(stop).write_stream("", dir_files::blob, blob, sent, stop);
  }
  // The last one that is put is the top, whose file has another name than those below it.
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token stop) override {
    const ImageDirectory directory = prepare(stop);
    std::optional<Put> earlier;
    {
      const std::lock_guard lock(mutex_);
      earlier = std::exchange(last_, Put{descriptor, bytes});
    }
    note_content(descriptor, bytes);
    if (earlier) put_child(directory, *earlier);
  }

  void finish(std::stop_token) override {
    check_content();
    directory_->write("", std::string(dir_files::kManifest), last_->bytes);
    for (const std::string& name : directory_->entries()) {
      if (dir_files::is_content(name) && content_.count(name) == 0) directory_->remove(name);
    }
  }

 private:
  struct Put {
    Descriptor descriptor;
    std::string bytes;
  };

  // A new directory, an empty one, or one that an image is in: anything else might be precious.
  void look_at_directory() {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0 && errno == ENOENT)
      return check_parent_directory(path_);
    directory_.emplace(path_);
    if (directory_->entries().empty() || is_image()) return;
    throw Error(ErrorKind::local, path_ + " is not empty and no dir: image (the file " +
                                      directory_->path_of(std::string(dir_files::kVersion)) +
                                      " does not say so); nothing is written into it")
        .set_hint("name a new or an empty directory");
  }
  [[nodiscard]] bool is_image() const {
    return directory_->size_of(std::string(dir_files::kVersion)) ==
               dir_files::kVersionText.size() &&
           dir_files::version(*directory_) == dir_files::kVersionText;
  }

  // Makes what is missing, before the first thing is written, and keeps others from writing here.
  ImageDirectory prepare(const std::stop_token& stop) {
    const std::lock_guard lock(mutex_);
    if (!lock_) {
      const std::string version(dir_files::kVersion);
      if (!directory_) directory_.emplace(ImageDirectory::make(path_));
      directory_->write_if_absent("", version, dir_files::kVersionText);
      lock_ = directory_->lock(version, stop);
    }
    return *directory_;
  }

  void put_child(const ImageDirectory& directory, const Put& child) {
    const std::string name = dir_files::manifest(child.descriptor.digest);
    directory.write("", name, child.bytes);
    const std::lock_guard lock(mutex_);
    content_[name] = child.bytes.size();
  }

  // What belongs to the new image.
  void note_content(const Descriptor& descriptor, const std::string& bytes) {
    const ManifestOrIndex document = parse_manifest_or_index(bytes, descriptor.media_type);
    const auto* manifest = std::get_if<Manifest>(&document);
    if (manifest == nullptr) return;
    const std::lock_guard lock(mutex_);
    for (const Descriptor& blob : needed_blobs(*manifest))
      content_[dir_files::blob(blob.digest)] = blob.size;
  }

  void check_content() const {
    for (const auto& [name, size] : content_) {
      if (directory_->size_of(name) == size) continue;
      throw Error(ErrorKind::local, directory_->path_of(name) +
                                        " is gone: another process has changed " + path_ +
                                        " meanwhile")
          .set_hint("run the command again");
    }
  }

  // A manifest, if the blobs that it names are there too: a directory promises nothing.
  template <typename Read>
  [[nodiscard]] std::optional<RawManifest> if_complete(Read read) const {
    try {
      RawManifest raw = read();
      const ManifestOrIndex document = parse_manifest_or_index(raw.bytes, raw.media_type);
      if (const auto* manifest = std::get_if<Manifest>(&document)) {
        for (const Descriptor& blob : needed_blobs(*manifest)) {
          if (!has_bytes(blob)) return std::nullopt;
        }
      }
      return raw;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  [[nodiscard]] std::optional<ImageDirectory> directory() const {
    const std::lock_guard lock(mutex_);
    return directory_;
  }
  [[nodiscard]] bool has_bytes(const Descriptor& descriptor) const {
    const std::optional<ImageDirectory> directory = this->directory();
    return directory && directory->size_of(dir_files::blob(descriptor.digest)) == descriptor.size;
  }

  const std::string path_;
  const ImageForm::Layers layers_;
  mutable std::mutex mutex_;
  std::optional<ImageDirectory> directory_;  // once it is there
  UniqueFd lock_;                            // on `version`, while something is written
  std::optional<Put> last_;
  std::map<std::string, std::uint64_t> content_;  // files of the new image but its top, and sizes
};

}  // namespace

std::unique_ptr<ImageDestination> open_dir_destination(const std::string& path,
                                                       ImageForm::Layers layers) {
  dir_files::require_path(path);
  return std::make_unique<DirDestination>(path, layers);
}

}  // namespace tug
