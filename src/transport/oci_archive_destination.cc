// The oci-archive: transport as a destination.
#include "oci/json.h"
#include "stream/file_source.h"
#include "transport/closed_destination.h"
#include "transport/new_archive.h"
#include "transport/oci_layout.h"
#include "transport/oci_layout_files.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace tug {
namespace {

constexpr unsigned kFileMode = 0644;
constexpr unsigned kDirectoryMode = 0755;

class OciArchive final : public WrittenArchive, public std::enable_shared_from_this<OciArchive> {
 public:
  OciArchive(std::string path, std::string temporary_directory, ImageForm::Layers layers,
             std::function<void(std::string_view)> note)
      : WrittenArchive(std::move(path), std::move(temporary_directory)),
        layers_(layers),
        note_(std::move(note)) {}

  std::unique_ptr<ImageDestination> next(const ImageReference& reference) override;
  void finish(std::stop_token) override {
    members().require_whole();
    members().file().add({.name = std::string(kLayoutIndex), .mode = kFileMode}, index_.dump());
    members().file().add({.name = std::string(kLayoutFile), .mode = kFileMode}, kNewLayout);
    members().file().finish();
  }

  [[nodiscard]] ImageForm::Layers layers() const noexcept { return layers_; }
  void keep(const Descriptor& image, const std::string& name) {
    const std::size_t bytes = index_bytes_ + layout_entry(image, name).dump().size() + 1;
    check_list(kLayoutIndex, bytes);
    index_bytes_ = bytes;
    put_layout_entry(index_, image, name);
    if (media_type::is_docker(image.media_type) && note_) {
      note_(image.digest.str() + " is a Docker manifest (" + image.media_type +
            "); it is in the layout as it is, with its digest");
    }
  }

 private:
  const ImageForm::Layers layers_;
  const std::function<void(std::string_view)> note_;
  Json index_ = Json::parse(kNewIndex);
  std::size_t index_bytes_ = kNewIndex.size();  // at most
};

// One image of it.
class OciArchiveDestination final : public ArchivedImage {
 public:
  OciArchiveDestination(const std::shared_ptr<OciArchive>& archive, Images images,
                        OciReference reference)
      : ArchivedImage(
            archive, images,
            reference.name.empty() ? std::vector<std::string>{} : std::vector{reference.name}),
        archive_(*archive),
        reference_(std::move(reference)) {}

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] std::optional<std::string> tag() const override {
    return reference_.name.empty() ? std::nullopt : std::optional(reference_.name);
  }
  [[nodiscard]] Intake intake() const override { return {.in_order = true}; }
  [[nodiscard]] ImageForm form() const override {
    return {.format = ManifestFormat::oci, .layers = archive_.layers()};
  }

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    const std::lock_guard lock(mutex());
    const Descriptor& descriptor = blob.descriptor;
    if (!begin(descriptor)) return 0;
    const std::string name = path_of(descriptor.digest);
    const auto source =
        verifying_source(blob.open(0), descriptor.digest, descriptor.size,
                         file().path() + " is not written: the source's content for " + name);
    file().add({.name = name, .size = descriptor.size, .mode = kFileMode}, *source, sent, stop);
    return descriptor.size;
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    const std::lock_guard lock(mutex());
    add_directory(Digest::of(""));  // SHA-256, as every digest that is made here
    const std::unique_ptr<DigestingSource> source = blob.open(0);
    std::optional<Descriptor> made;
    const auto header_of = [&](std::uint64_t size) -> std::optional<TarHeader> {
      made = source->result();
      made->media_type = blob.media_type;
      if (!members().claim(path_of(made->digest), size)) return std::nullopt;
      return TarHeader{.name = path_of(made->digest), .mode = kFileMode};
    };
    file().add_unknown(*source, header_of, sent, stop);
    return *made;
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const std::lock_guard lock(mutex());
    if (begin(descriptor))
      file().add({.name = path_of(descriptor.digest), .mode = kFileMode}, bytes);
    top_ = descriptor;  // it is put last
  }

 private:
  [[nodiscard]] std::string layer_member(const Digest& digest) const override {
    return path_of(digest);
  }
  void keep() override { archive_.keep(*top_, reference_.name); }

  static std::string path_of(const Digest& digest) {
    return blob_path(std::string(kLayoutBlobs), digest);
  }

  // False when the blob is there already.
  bool begin(const Descriptor& blob) {
    if (members().has(path_of(blob.digest), blob.size)) return false;
    add_directory(blob.digest);
    return members().claim(path_of(blob.digest), blob.size);
  }

  void add_directory(const Digest& digest) {
    for (const std::string& name :
         {std::string(kLayoutBlobs), blob_directory(std::string(kLayoutBlobs), digest)}) {
      if (members().claim(name)) {
        file().add(
            {.name = name + "/", .kind = TarHeader::Kind::directory, .mode = kDirectoryMode});
      }
    }
  }

  OciArchive& archive_;
  const OciReference reference_;
  std::optional<Descriptor> top_;
};

std::unique_ptr<ImageDestination> OciArchive::next(const ImageReference& reference) {
  OciReference image = OciReference::parse(reference.rest, Transport::oci_archive);
  check_destination(image);
  return std::make_unique<OciArchiveDestination>(
      shared_from_this(), OciArchiveDestination::Images::one_of_many, std::move(image));
}

}  // namespace

std::unique_ptr<ImageDestination> open_oci_archive_destination(
    const OciReference& reference, const std::string& temporary_directory, ImageForm::Layers layers,
    std::function<void(std::string_view)> note) {
  check_destination(reference);
  auto archive =
      std::make_shared<OciArchive>(reference.path, temporary_directory, layers, std::move(note));
  return std::make_unique<OciArchiveDestination>(archive, OciArchiveDestination::Images::only,
                                                 reference);
}

std::shared_ptr<SharedArchive> open_shared_oci_archive(const std::string& path,
                                                       const std::string& temporary_directory,
                                                       ImageForm::Layers layers,
                                                       std::function<void(std::string_view)> note) {
  return std::make_shared<OciArchive>(path, temporary_directory, layers, std::move(note));
}

}  // namespace tug
