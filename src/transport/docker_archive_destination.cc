// The docker-archive: transport as a destination.
#include "base/strings.h"
#include "oci/image_config.h"
#include "oci/json.h"
#include "stream/file_source.h"
#include "transport/closed_destination.h"
#include "transport/docker_archive.h"
#include "transport/docker_archive_files.h"
#include "transport/new_archive.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <mutex>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

// Or nobody could load it.
void require_diff_ids(const Json& config, const std::vector<Digest>& layers) {
  const Json* rootfs = config.find("rootfs");
  const Json* ids = rootfs == nullptr ? nullptr : rootfs->find("diff_ids");
  const Json::Array* const listed = ids == nullptr ? nullptr : ids->as_array();
  const std::size_t count = listed == nullptr ? 0 : listed->size();
  require_same_layers(count, layers.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string* id = (*listed)[i].as_string();
    if (id != nullptr && *id == layers[i].str()) continue;
    throw Error(ErrorKind::integrity, "layer " + std::to_string(i) + " is " + layers[i].str() +
                                          " when it is not compressed, but the config says " +
                                          (id == nullptr ? "nothing" : printable(*id, 100)));
  }
}

std::optional<std::string> tag_of(const DockerArchiveReference& reference) {
  return reference.image ? reference.image->tag() : std::nullopt;
}

std::vector<RegistryReference> names_of(const DockerArchiveReference& reference) {
  if (!reference.image) return {};
  return {*reference.image};
}

Error has_content(const std::string& path) {
  return Error(ErrorKind::local, "docker-archive:" + path +
                                     ": docker-archive doesn't support modifying existing images")
      .set_hint("remove " + path + " first, or name another file");
}

// The archive. An image whose config is that of one which is in is that image, by further names.
class DockerArchive final : public WrittenArchive,
                            public std::enable_shared_from_this<DockerArchive> {
 public:
  DockerArchive(std::string path, std::string temporary_directory)
      : WrittenArchive(std::move(path), std::move(temporary_directory)) {
    if (members().file().replaces_content()) throw has_content(members().path());
  }
  DockerArchive(UniqueFd stream, std::string name, std::string temporary_directory)
      : WrittenArchive(std::move(stream), std::move(name), std::move(temporary_directory)) {}

  std::unique_ptr<ImageDestination> next(const ImageReference& reference) override;
  void finish(std::stop_token) override {
    members().require_whole();
    members().file().add({.name = std::string(kManifest)}, docker_archive_manifest(images_));
    members().file().add({.name = "repositories"}, docker_archive_repositories(images_));
    if (!members().file().finish_as_new()) throw has_content(members().path());
  }

  [[nodiscard]] DockerArchiveImage* find(const Digest& config) {
    const auto found = std::find_if(images_.begin(), images_.end(),
                                    [&](const auto& image) { return image.config == config; });
    return found == images_.end() ? nullptr : &*found;
  }
  // Throws Error(limit) when manifest.json would be longer than can be read.
  void keep(DockerArchiveImage image) {
    DockerArchiveImage* const known = find(image.config);
    std::size_t bytes = manifest_bytes_;
    if (known == nullptr) {
      bytes += docker_archive_manifest({image}).size();
    } else {
      for (const RegistryReference& name : image.names) bytes += name.str().size() + 3;  // ,""
    }
    check_list(kManifest, bytes);
    manifest_bytes_ = bytes;
    if (known == nullptr) return images_.push_back(std::move(image));
    known->names.insert(known->names.end(), image.names.begin(), image.names.end());
  }

 private:
  static constexpr std::string_view kManifest = "manifest.json";

  std::vector<DockerArchiveImage> images_;
  std::size_t manifest_bytes_ = 0;
};

std::vector<std::string> texts_of(const std::vector<RegistryReference>& names) {
  std::vector<std::string> texts;
  for (const RegistryReference& name : names) texts.push_back(name.str());
  return texts;
}

// One image of it.
class DockerArchiveDestination final : public ArchivedImage {
 public:
  DockerArchiveDestination(const std::shared_ptr<DockerArchive>& archive, Images images,
                           std::string description, std::optional<std::string> tag,
                           std::vector<RegistryReference> names)
      : ArchivedImage(archive, images, texts_of(names)),
        archive_(*archive),
        description_(std::move(description)),
        tag_(std::move(tag)),
        names_(std::move(names)) {}

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] std::optional<std::string> tag() const override { return tag_; }
  [[nodiscard]] Intake intake() const override { return {.in_order = true, .indexes = false}; }
  [[nodiscard]] ImageForm form() const override {
    return {.format = ManifestFormat::docker,
            .holds_any_format = false,
            .layers = ImageForm::Layers::plain,
            .keeps_manifest = false};
  }

  // The config, and layers that the source has plain already: the others come as streams.
  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    const Descriptor& descriptor = blob.descriptor;
    const std::string member = member_of(descriptor);
    const std::lock_guard lock(mutex());
    if (!is_config(descriptor)) {
      if (!members().claim(member, descriptor.size)) return 0;
      file().add({.name = member, .size = descriptor.size},
                 *verifying_source(blob.open(0), descriptor.digest, descriptor.size,
                                   "layer " + descriptor.digest.str()),
                 sent, stop);
      return descriptor.size;
    }
    if (descriptor.size > kMaxConfigBytes) {
      throw Error(ErrorKind::limit, "the config " + descriptor.digest.str() + " has " +
                                        std::to_string(descriptor.size) + " bytes");
    }
    const auto source = verifying_source(blob.open(0), descriptor.digest, descriptor.size,
                                         "the config " + descriptor.digest.str());
    config_ = read_small(*source, descriptor.size).value_or("");
    if (!members().claim(member, descriptor.size)) return 0;
    file().add({.name = member}, config_);
    sent(descriptor.size);
    return descriptor.size;
  }

  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    const std::lock_guard lock(mutex());
    const std::unique_ptr<DigestingSource> source = blob.open(0);
    std::optional<Descriptor> made;
    if (blob.expected) {
      made = *blob.expected;
      const std::string member = docker_archive_layer(made->digest);
      if (members().claim(member, made->size))
        file().add({.name = member, .size = made->size}, *source, sent, stop);
    } else {
      // Two compressed layers may be one when they are plain.
      const auto header_of = [&](std::uint64_t size) -> std::optional<TarHeader> {
        made = source->result();
        std::string member = docker_archive_layer(made->digest);
        if (!members().claim(member, size)) return std::nullopt;
        return TarHeader{.name = std::move(member)};
      };
      file().add_unknown(*source, header_of, sent, stop);
    }
    made->media_type = blob.media_type;
    return *made;
  }

  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const Manifest manifest = image_manifest(descriptor, bytes, "a docker-archive");
    const std::lock_guard lock(mutex());
    DockerArchiveImage image{manifest.config().digest, {}, names_, {}};
    for (const Descriptor& layer : manifest.layers()) {
      if (!members().size_of(docker_archive_layer(layer.digest)))
        throw layer_stays_away(layer, "a docker-archive");
      image.diff_ids.push_back(layer.digest);
    }
    with_context("config " + image.config.str(), [&] { add_legacy_layers(image); });
    image_ = std::move(image);
  }

 private:
  static bool is_config(const Descriptor& blob) {
    return blob.media_type == media_type::kDockerConfig;
  }
  [[nodiscard]] std::string layer_member(const Digest& digest) const override {
    return docker_archive_layer(digest);
  }
  [[nodiscard]] std::string member_of(const Descriptor& blob) const override {
    return is_config(blob) ? docker_archive_config(blob.digest) : layer_member(blob.digest);
  }
  void keep() override { archive_.keep(*image_); }

  void add(TarHeader header, std::string_view content = {}) const {
    if (members().claim(header.name)) file().add(std::move(header), content);
  }

  // Once an image is in, all that belongs to its config is.
  void add_legacy_layers(DockerArchiveImage& image) const {
    if (const DockerArchiveImage* const known = archive_.find(image.config)) {
      if (known->diff_ids != image.diff_ids)
        throw Error(ErrorKind::integrity, "it does not list the layers of the manifest");
      image.legacy_id = known->legacy_id;
      return;
    }
    require_diff_ids(Json::parse(config_), image.diff_ids);
    const std::vector<LegacyLayer> legacy = legacy_layers(image.diff_ids, config_);
    for (std::size_t i = 0; i < legacy.size(); ++i) {
      const std::string directory = legacy[i].id + "/";
      add({.name = directory + "layer.tar",
           .kind = TarHeader::Kind::symlink,
           .mode = 0,
           .link = "../" + docker_archive_layer(image.diff_ids[i])});
      add({.name = directory + "VERSION"}, "1.0");
      add({.name = directory + "json"}, legacy[i].json);
    }
    if (!legacy.empty()) image.legacy_id = legacy.back().id;
  }

  DockerArchive& archive_;
  const std::string description_;
  const std::optional<std::string> tag_;
  const std::vector<RegistryReference> names_;
  std::string config_;
  std::optional<DockerArchiveImage> image_;  // once it is in the file
};

std::unique_ptr<ImageDestination> DockerArchive::next(const ImageReference& reference) {
  const DockerArchiveReference image = DockerArchiveReference::parse(reference.rest);
  check_destination(image);
  return std::make_unique<DockerArchiveDestination>(shared_from_this(),
                                                    DockerArchiveDestination::Images::one_of_many,
                                                    image.str(), tag_of(image), names_of(image));
}

}  // namespace

void check_destination(const DockerArchiveReference& reference) {
  if (!reference.index) return;
  throw Error(ErrorKind::usage,
              reference.str() + ": a destination is named, a position is for reading")
      .set_hint("docker-archive:PATH:NAME:TAG, or docker-archive:PATH");
}

std::unique_ptr<ImageDestination> open_docker_archive_destination(
    const DockerArchiveReference& reference, const std::vector<RegistryReference>& additional,
    const std::string& temporary_directory) {
  check_destination(reference);
  std::vector<RegistryReference> names = names_of(reference);
  names.insert(names.end(), additional.begin(), additional.end());
  return std::make_unique<DockerArchiveDestination>(
      std::make_shared<DockerArchive>(reference.path, temporary_directory),
      DockerArchiveDestination::Images::only, reference.str(), tag_of(reference), std::move(names));
}

std::unique_ptr<ImageDestination> open_docker_archive_stream(
    UniqueFd stream, std::string description, const RegistryReference& image,
    const std::string& temporary_directory) {
  auto archive =
      std::make_shared<DockerArchive>(std::move(stream), description, temporary_directory);
  return std::make_unique<DockerArchiveDestination>(archive, DockerArchiveDestination::Images::only,
                                                    std::move(description), image.tag(),
                                                    std::vector{image});
}

std::shared_ptr<SharedArchive> open_shared_docker_archive(const std::string& path,
                                                          const std::string& temporary_directory) {
  return std::make_shared<DockerArchive>(path, temporary_directory);
}

RegistryReference parse_additional_tag(std::string_view text) {
  RegistryReference reference =
      with_context("--additional-tag", [&] { return RegistryReference::parse(text); });
  const std::size_t colon = text.rfind(':');
  const bool has_tag =
      colon != std::string_view::npos && reference.tag() == std::string(text.substr(colon + 1));
  if (!has_tag) {
    throw Error(ErrorKind::usage,
                "additional-tag '" + printable(text, 200) + "' must be a tagged reference")
        .set_hint("NAME:TAG");
  }
  return reference;
}

}  // namespace tug
