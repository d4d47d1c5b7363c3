// The oci-archive: transport as a destination.
#include "stream/file_source.h"
#include "transport/archive_file.h"
#include "transport/closed_destination.h"
#include "transport/oci_layout.h"
#include "transport/oci_layout_files.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace tug {
namespace {

constexpr unsigned kFileMode = 0644;
constexpr unsigned kDirectoryMode = 0755;

class OciArchiveDestination final : public ClosedDestination {
 public:
  OciArchiveDestination(OciReference reference, const std::string& temporary_directory,
                        ImageForm::Layers layers, std::function<void(std::string_view)> note)
      : reference_(std::move(reference)),
        layers_(layers),
        note_(std::move(note)),
        file_(reference_.path, temporary_directory) {}

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] std::optional<std::string> tag() const override {
    return reference_.name.empty() ? std::nullopt : std::optional(reference_.name);
  }
  [[nodiscard]] Intake intake() const override { return {.in_order = true}; }
  [[nodiscard]] ImageForm form() const override {
    return {.format = ManifestFormat::oci, .layers = layers_};
  }

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    const Descriptor& descriptor = blob.descriptor;
    if (!begin(descriptor.digest)) return 0;
    const std::string name = path_of(descriptor.digest);
    const auto source =
        verifying_source(blob.open(0), descriptor.digest, descriptor.size,
                         file_.path() + " is not written: the source's content for " + name);
    file_.add({.name = name, .size = descriptor.size, .mode = kFileMode}, *source, sent, stop);
    return descriptor.size;
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    add_directory(Digest::of(""));  // SHA-256, as every digest that is made here
    const std::unique_ptr<DigestingSource> source = blob.open(0);
    std::optional<Descriptor> made;
    const auto header_of = [&](std::uint64_t) -> std::optional<TarHeader> {
      made = source->result();
      made->media_type = blob.media_type;
      if (!written_.insert(path_of(made->digest)).second) return std::nullopt;
      return TarHeader{.name = path_of(made->digest), .mode = kFileMode};
    };
    file_.add_unknown(*source, header_of, sent, stop);
    return *made;
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    if (begin(descriptor.digest))
      file_.add({.name = path_of(descriptor.digest), .mode = kFileMode}, bytes);
    top_ = descriptor;  // it is put last
  }

  void finish(std::stop_token) override {
    file_.add({.name = std::string(kLayoutIndex), .mode = kFileMode},
              index_with_image(Index::parse(std::string(kNewIndex)), *top_, reference_.name));
    file_.add({.name = std::string(kLayoutFile), .mode = kFileMode}, kNewLayout);
    file_.finish();
    if (media_type::is_docker(top_->media_type) && note_) {
      note_(top_->digest.str() + " is a Docker manifest (" + top_->media_type +
            "); it is in the layout as it is, with its digest");
    }
  }

 private:
  static std::string path_of(const Digest& digest) {
    return blob_path(std::string(kLayoutBlobs), digest);
  }

  // False when the blob is there already.
  bool begin(const Digest& digest) {
    if (!written_.insert(path_of(digest)).second) return false;
    add_directory(digest);
    return true;
  }

  void add_directory(const Digest& digest) {
    for (const std::string& name :
         {std::string(kLayoutBlobs), blob_directory(std::string(kLayoutBlobs), digest)}) {
      if (written_.insert(name).second) {
        file_.add({.name = name + "/", .kind = TarHeader::Kind::directory, .mode = kDirectoryMode});
      }
    }
  }

  const OciReference reference_;
  const ImageForm::Layers layers_;
  const std::function<void(std::string_view)> note_;
  std::mutex mutex_;
  ArchiveFile file_;
  std::set<std::string> written_;
  std::optional<Descriptor> top_;
};

}  // namespace

std::unique_ptr<ImageDestination> open_oci_archive_destination(
    const OciReference& reference, const std::string& temporary_directory, ImageForm::Layers layers,
    std::function<void(std::string_view)> note) {
  check_destination(reference);
  return std::make_unique<OciArchiveDestination>(reference, temporary_directory, layers,
                                                 std::move(note));
}

}  // namespace tug
