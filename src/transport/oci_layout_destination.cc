// The oci: transport as a destination.
#include "base/strings.h"
#include "base/temporary_file.h"
#include "transport/oci_layout.h"
#include "transport/oci_layout_files.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <sys/stat.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

namespace tug {
namespace {

constexpr std::size_t kMaxSmallBlobBytes = kMaxManifestBytes;

class OciLayoutDestination final : public ImageDestination {
 public:
  OciLayoutDestination(OciReference reference, std::optional<std::string> shared_blob_dir,
                       ImageForm::Layers layers, std::function<void(std::string_view)> note)
      : reference_(std::move(reference)),
        shared_blob_dir_(std::move(shared_blob_dir)),
        layers_(layers),
        note_(std::move(note)) {
    look_at_directory();
    look_at_blobs();
  }

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] std::optional<std::string> tag() const override {
    return reference_.name.empty() ? std::nullopt : std::optional(reference_.name);
  }
  // What has no tag is in the list without a name.
  [[nodiscard]] std::unique_ptr<ImageDestination> beside(
      const Digest&, const std::optional<std::string>& tag) override {
    return std::make_unique<OciLayoutDestination>(
        OciReference{reference_.path, tag.value_or(""), {}}, shared_blob_dir_, layers_, note_);
  }

  // Tools that read layouts (umoci, skopeo) know OCI's types only, though it may hold any.
  [[nodiscard]] ImageForm form() const override {
    return {.format = ManifestFormat::oci, .layers = layers_};
  }

  // --- what is there

  [[nodiscard]] std::optional<Descriptor> existing(std::stop_token stop) override {
    const std::optional<Descriptor> entry = entry_of_image();
    return entry && has_manifest(*entry, stop) ? entry : std::nullopt;
  }
  [[nodiscard]] std::optional<RawManifest> existing_manifest(std::stop_token stop) override {
    const std::optional<Descriptor> entry = existing(stop);
    return entry ? read_manifest(*entry, std::move(stop)) : std::nullopt;
  }
  // What is broken is as good as absent: it will be written anew.
  [[nodiscard]] std::optional<RawManifest> read_manifest(const Descriptor& descriptor,
                                                         std::stop_token) override {
    if (!has_bytes(descriptor)) return std::nullopt;
    const OciBlobs blobs = *this->blobs();
    try {
      return RawManifest{
          blobs.directory.read_manifest(blobs.path_of(descriptor.digest), descriptor),
          descriptor.media_type};
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  [[nodiscard]] std::optional<std::string> read_small_blob(const Descriptor& descriptor,
                                                           std::stop_token) override {
    if (!has_bytes(descriptor)) return std::nullopt;
    const OciBlobs blobs = *this->blobs();
    return blobs.directory.read(blobs.path_of(descriptor.digest), kMaxSmallBlobBytes);
  }
  [[nodiscard]] bool has_blob(const Descriptor& descriptor, std::stop_token) override {
    return has_bytes(descriptor);
  }
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const Digest& digest,
                                                       std::stop_token) override {
    const std::optional<OciBlobs> blobs = this->blobs();
    return blobs ? blobs->directory.size_of(blobs->path_of(digest)) : std::nullopt;
  }
  // With the blobs that it names: unlike a registry, a directory promises nothing.
  [[nodiscard]] bool has_manifest(const Descriptor& descriptor, std::stop_token stop) override {
    const std::optional<RawManifest> raw = read_manifest(descriptor, std::move(stop));
    if (!raw) return false;
    try {
      const ManifestOrIndex document = parse_manifest_or_index(raw->bytes, raw->media_type);
      const auto* manifest = std::get_if<Manifest>(&document);
      if (manifest == nullptr) return true;
      const std::vector<Descriptor> needed = needed_blobs(*manifest);
      return std::all_of(needed.begin(), needed.end(),
                         [this](const Descriptor& blob) { return has_bytes(blob); });
    } catch (const Error&) {
      return false;
    }
  }
  [[nodiscard]] bool mount_blob(const Descriptor&, const RegistryReference&,
                                std::stop_token) override {
    return false;
  }

  // --- writing

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    const Digest& digest = blob.descriptor.digest;
    const OciBlobs blobs = prepare(digest);
    return blobs.directory.write_blob(blobs.directory_of(digest), std::string(digest.hex()), blob,
                                      sent, stop);
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    const Digest any = Digest::of("");  // SHA-256, as every digest that is made here
    const OciBlobs blobs = prepare(any);
    return blobs.directory.write_stream(
        blobs.directory_of(any), [](const Digest& digest) { return std::string(digest.hex()); },
        blob, sent, stop);
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const Digest& digest = descriptor.digest;
    const OciBlobs blobs = prepare(digest);
    if (!has_bytes(descriptor) ||
        blobs.directory.read(blobs.path_of(digest), kMaxManifestBytes) != bytes) {
      blobs.directory.write(blobs.directory_of(digest), std::string(digest.hex()), bytes);
    }
    const std::lock_guard lock(mutex_);
    top_ = descriptor;  // it is put last
  }

  void finish(std::stop_token stop) override {
    const UniqueFd lock = layout_->lock(std::string(kLayoutFile), stop);
    const Index index = current_index();
    const std::string text = index_with_image(index, *top_, reference_.name);
    if (text.size() > kMaxManifestBytes) {
      throw Error(ErrorKind::limit, layout_->path_of(std::string(kLayoutIndex)) +
                                        " would be longer than " + human_bytes(kMaxManifestBytes))
          .set_hint("use another directory for more images");
    }
    if (text != index.bytes() || !layout_->has(std::string(kLayoutIndex)))
      layout_->write("", std::string(kLayoutIndex), text);
    if (media_type::is_docker(top_->media_type) && note_) {
      note_(top_->digest.str() + " is a Docker manifest (" + top_->media_type +
            "); it is in the layout as it is, with its digest");
    }
  }

 private:
  // A new directory, an empty one, or a layout: nothing else is written into.
  void look_at_directory() {
    struct stat status {};
    if (::lstat(reference_.path.c_str(), &status) != 0 && errno == ENOENT) {
      check_parent_directory(reference_.path);
      return;
    }
    layout_.emplace(open_layout_directory(reference_.path));
    // Listed first: another process may be about to make the layout.
    const std::vector<std::string> entries = layout_->entries();
    if (layout_->has(std::string(kLayoutFile))) {
      check_layout_version(*layout_);
      (void)current_index();
      return;
    }
    // "blobs" alone is what a copy by another program leaves that broke off.
    const auto may_stay = [](const std::string& name) {
      return name == kLayoutBlobs || TemporaryFile::is_temporary(name);
    };
    if (std::all_of(entries.begin(), entries.end(), may_stay)) return;
    throw Error(ErrorKind::local,
                reference_.path + " is not empty and no OCI layout (there is no file " +
                    layout_->path_of(std::string(kLayoutFile)) + "); nothing is written into it")
        .set_hint("name a new or an empty directory, or a layout");
  }

  void look_at_blobs() {
    if (!shared_blob_dir_) {
      if (layout_) blobs_ = OciBlobs{*layout_, std::string(kLayoutBlobs)};
      return;
    }
    struct stat status {};
    if (::stat(shared_blob_dir_->c_str(), &status) == 0)
      blobs_ = OciBlobs{ImageDirectory(*shared_blob_dir_), ""};
  }

  // Makes what is missing, before the first thing is written.
  OciBlobs prepare(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    if (!is_prepared_) {
      if (!layout_) layout_.emplace(ImageDirectory::make(reference_.path));
      if (!layout_->has(std::string(kLayoutFile)))
        layout_->write_if_absent("", std::string(kLayoutFile), kNewLayout);
      layout_->make_directories(std::string(kLayoutBlobs));
      if (!blobs_) {
        blobs_ = shared_blob_dir_ ? OciBlobs{ImageDirectory::make(*shared_blob_dir_), ""}
                                  : OciBlobs{*layout_, std::string(kLayoutBlobs)};
      }
      is_prepared_ = true;
    }
    blobs_->directory.make_directories(blobs_->directory_of(digest));
    return *blobs_;
  }

  [[nodiscard]] std::optional<OciBlobs> blobs() const {
    const std::lock_guard lock(mutex_);
    return blobs_;
  }

  [[nodiscard]] Index current_index() const {
    // A copy that broke off leaves none.
    return layout_->has(std::string(kLayoutIndex)) ? read_layout_index(*layout_)
                                                   : Index::parse(std::string(kNewIndex));
  }

  // Of several with one name the first, as everybody reads it; without a name the last, the newest.
  [[nodiscard]] std::optional<Descriptor> entry_of_image() const {
    if (!layout_ || !layout_->has(std::string(kLayoutFile))) return std::nullopt;
    const Index index = current_index();
    std::optional<Descriptor> found;
    for (const Descriptor& entry : index.manifests()) {
      const std::string* name = ref_name(entry);
      if ((name == nullptr ? std::string_view() : std::string_view(*name)) != reference_.name)
        continue;
      found = entry;
      if (!reference_.name.empty()) break;
    }
    return found;
  }

  [[nodiscard]] bool has_bytes(const Descriptor& descriptor) const {
    const std::optional<OciBlobs> blobs = this->blobs();
    return blobs && blobs->directory.size_of(blobs->path_of(descriptor.digest)) == descriptor.size;
  }

  const OciReference reference_;
  const std::optional<std::string> shared_blob_dir_;
  const ImageForm::Layers layers_;
  const std::function<void(std::string_view)> note_;
  mutable std::mutex mutex_;
  bool is_prepared_ = false;
  std::optional<ImageDirectory> layout_;  // once it is there
  std::optional<OciBlobs> blobs_;         // the same
  std::optional<Descriptor> top_;
};

}  // namespace

std::unique_ptr<ImageDestination> open_oci_layout_destination(
    const OciReference& reference, const std::optional<std::string>& shared_blob_dir,
    ImageForm::Layers layers, std::function<void(std::string_view)> note) {
  check_destination(reference);
  return std::make_unique<OciLayoutDestination>(reference, shared_blob_dir, layers,
                                                std::move(note));
}

}  // namespace tug
