#include "transport/docker_archive.h"

#include "base/stop.h"
#include "base/strings.h"
#include "base/temporary_file.h"
#include "oci/image_config.h"
#include "oci/json.h"
#include "stream/compress.h"
#include "stream/file_source.h"
#include "transport/image_archive.h"
#include "transport/open.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <set>
#include <utility>

namespace tug {
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxLayers = 16'384;
// How many names an error message lists before it only counts them.
constexpr std::size_t kMaxListed = 10;
// A tag as manifest.json has it, in the form that names are compared in; nullopt when it is none.
std::optional<RegistryReference> parse_tag(const std::string& text) {
  try {
    RegistryReference reference = RegistryReference::parse(text);
    if (reference.tag()) return reference;
  } catch (const Error&) {  // nobody can ask for it either
  }
  return std::nullopt;
}

std::string selector(const DockerArchiveItem& item, std::size_t position) {
  return item.tags.empty() ? "@" + std::to_string(position) : printable(item.tags.front(), 200);
}

std::string list_images(const std::vector<DockerArchiveItem>& items) {
  std::vector<std::string> listed;
  for (std::size_t i = 0; i < items.size() && i < kMaxListed; ++i)
    listed.push_back(selector(items[i], i));
  std::string text = join(listed, ", ");
  if (items.size() > kMaxListed)
    text += " and " + std::to_string(items.size() - kMaxListed) + " more";
  return text;
}

Error no_such_image(const std::vector<DockerArchiveItem>& items,
                    const DockerArchiveReference& reference) {
  return Error(ErrorKind::not_found,
               reference.str() + ": no such image; the archive has " + list_images(items));
}

const DockerArchiveItem& select(const std::vector<DockerArchiveItem>& items,
                                const DockerArchiveReference& reference) {
  if (items.empty()) {
    throw Error(ErrorKind::not_found,
                reference.str() + ": the archive holds no image (manifest.json lists none)");
  }
  if (reference.index) {
    if (*reference.index >= items.size()) throw no_such_image(items, reference);
    return items[*reference.index];
  }
  if (reference.image) {
    for (const DockerArchiveItem& item : items) {
      for (const std::string& tag : item.tags) {
        if (parse_tag(tag) == reference.image) return item;
      }
    }
    throw no_such_image(items, reference);
  }
  if (items.size() > 1) {
    throw Error(ErrorKind::usage, reference.str() + " holds " + std::to_string(items.size()) +
                                      " images, name one of them: " + list_images(items))
        .set_hint("docker-archive:PATH:NAME:TAG or docker-archive:PATH:@POSITION");
  }
  return items.front();
}

std::vector<DockerArchiveItem> read_manifest(const ImageArchive& archive) {
  if (!archive.has(kManifest)) {
    Error error(ErrorKind::local,
                archive.path() + " is no docker-archive: image: there is no " + kManifest);
    if (archive.has("oci-layout")) {
      error.set_hint("an OCI layout in a tar is oci-archive:" + archive.path());
    } else if (archive.has("repositories")) {
      error.set_hint("it is of a Docker older than 1.10: load and save it again");
    }
    throw error;
  }
  const std::string text = archive.read(kManifest, kMaxManifestBytes);
  return with_context(archive.path_of(kManifest),
                      [&] { return parse_docker_archive_manifest(text); });
}

std::vector<std::string> names(const Json& item, std::string_view key) {
  std::vector<std::string> result;
  const Json* list = item.find(key);
  if (list == nullptr || list->is_null()) return result;
  if (list->as_array() == nullptr)
    throw Error(ErrorKind::integrity, std::string(key) + " is not a list");
  for (const Json& name : *list->as_array()) {
    if (!name.is_string())
      throw Error(ErrorKind::integrity, "a member of " + std::string(key) + " is not a string");
    result.push_back(*name.as_string());
  }
  return result;
}

// Of a config, which has to have them.
std::vector<Digest> diff_ids(const std::string& config) {
  const Json document = Json::parse(config);
  const Json* rootfs = document.find("rootfs");
  if (rootfs == nullptr || !rootfs->is_object())
    throw Error(ErrorKind::integrity, "there is no rootfs");
  return diff_ids_of(document);
}

// A layer as it stands in the archive.
struct ArchivedLayer {
  std::string member;
  Digest diff_id;
  bool is_compressed = false;
  std::uint64_t size = 0;  // of the tar that it is, or becomes
};

std::unique_ptr<ByteSource> open_tar(const ImageArchive& archive, const ArchivedLayer& layer) {
  std::unique_ptr<ByteSource> bytes = archive.open_member(layer.member);
  if (!layer.is_compressed) return bytes;
  const std::string name = archive.path_of(layer.member);
  const std::uint64_t most =
      kFreeGrowthBytes + kMaxGrowth * archive.size_of(layer.member).value_or(0);
  return bounded_source(decompressing_source(std::move(bytes), name), most, name);
}

std::uint64_t count_bytes(ByteSource& source, const std::stop_token& stop) {
  std::vector<std::byte> buffer(256 * 1024);
  std::uint64_t size = 0;
  while (const std::size_t got = source.read(buffer)) {
    throw_if_stopped(stop);
    size += got;
  }
  return size;
}

ArchivedLayer find_layer(const ImageArchive& archive, const std::string& member,
                         const Digest& diff_id, const std::stop_token& stop) {
  ArchivedLayer layer{member, diff_id, is_compressed(archive.front_of(member))};
  // Its size belongs into the manifest, and nothing but its bytes tells it.
  layer.size = layer.is_compressed ? count_bytes(*open_tar(archive, layer), stop)
                                   : archive.size_of(member).value_or(0);
  return layer;
}

Json descriptor_json(std::string_view media_type, std::uint64_t size, const Digest& digest) {
  return Json::object({{"mediaType", media_type}, {"size", size}, {"digest", digest.str()}});
}

// As containers/image writes it: the media type of the layers too, though they are not compressed.
std::string make_manifest(const std::string& config, const std::vector<ArchivedLayer>& layers) {
  Json::Array descriptors;
  for (const ArchivedLayer& layer : layers) {
    descriptors.push_back(descriptor_json(media_type::kDockerLayerGzip, layer.size, layer.diff_id));
  }
  return Json::object({{"schemaVersion", 2},
                       {"mediaType", media_type::kDockerManifest},
                       {"config", descriptor_json(media_type::kDockerConfig, config.size(),
                                                  Digest::of(config))},
                       {"layers", std::move(descriptors)}})
      .dump();
}

class DockerArchiveSource final : public ImageSource {
 public:
  DockerArchiveSource(std::string description, ImageArchive archive, std::string config,
                      std::vector<ArchivedLayer> layers)
      : description_(std::move(description)),
        archive_(std::move(archive)),
        config_(std::move(config)),
        layers_(std::move(layers)),
        manifest_(make_manifest(config_, layers_)) {}

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] RawManifest manifest(std::stop_token) override {
    return {manifest_, std::string(media_type::kDockerManifest)};
  }
  [[nodiscard]] RawManifest manifest(const Descriptor& descriptor, std::stop_token) override {
    if (descriptor.digest == Digest::of(manifest_))
      return {manifest_, std::string(media_type::kDockerManifest)};
    throw Error(ErrorKind::not_found,
                "there is no manifest " + descriptor.digest.str() + " in " + archive_.path());
  }

  [[nodiscard]] std::vector<Blob> layers(const Manifest& manifest) override {
    std::vector<Blob> blobs;
    for (std::size_t i = 0; i < layers_.size(); ++i)
      blobs.push_back(layer_blob(manifest.layers().at(i), layers_[i]));
    return blobs;
  }

  [[nodiscard]] Blob blob(const Descriptor& descriptor) override {
    if (descriptor.digest != Digest::of(config_)) {
      throw Error(ErrorKind::not_found,
                  "there is no blob " + descriptor.digest.str() + " in " + archive_.path());
    }
    return {descriptor,
            Blob::Form::exact,
            std::nullopt,
            descriptor.size,
            false,
            [config = config_](std::uint64_t offset) { return memory_source(config, offset); }};
  }

 private:
  [[nodiscard]] Blob layer_blob(const Descriptor& descriptor, const ArchivedLayer& layer) const {
    auto open = [archive = archive_, layer](std::uint64_t offset) {
      return skipping_source(verifying_source(open_tar(archive, layer), layer.diff_id, layer.size,
                                              "layer " + archive.path_of(layer.member)),
                             offset);
    };
    return {descriptor, Blob::Form::layer_tar, layer.diff_id, layer.size, false, std::move(open)};
  }

  const std::string description_;
  const ImageArchive archive_;
  const std::string config_;
  const std::vector<ArchivedLayer> layers_;
  const std::string manifest_;
};

std::vector<DockerArchiveItem> items_of(const DockerArchiveReference& archive,
                                        const std::stop_token& stop) {
  return read_manifest(ImageArchive::open(archive.path, temporary_directory(), stop));
}

std::unique_ptr<ImageSource> open_image(ImageArchive archive, const DockerArchiveItem& item,
                                        std::string description, const std::stop_token& stop) {
  std::string config = archive.read(item.config, kMaxConfigBytes);
  const std::vector<Digest> ids =
      with_context("config " + archive.path_of(item.config), [&] { return diff_ids(config); });
  if (ids.size() != item.layers.size()) {
    throw Error(ErrorKind::integrity, description + ": manifest.json lists " +
                                          counted(item.layers.size(), "layer") + ", the config " +
                                          std::to_string(ids.size()));
  }
  std::vector<ArchivedLayer> layers;
  for (std::size_t i = 0; i < ids.size(); ++i)
    layers.push_back(find_layer(archive, item.layers[i], ids[i], stop));
  return std::make_unique<DockerArchiveSource>(std::move(description), std::move(archive),
                                               std::move(config), std::move(layers));
}

}  // namespace

DockerArchiveReference DockerArchiveReference::parse(std::string_view rest) {
  const std::size_t colon = rest.find(':');
  DockerArchiveReference reference;
  reference.path = rest.substr(0, colon);
  if (reference.path.empty()) {
    throw Error(ErrorKind::usage,
                "docker-archive: needs the path of an archive (docker-archive:PATH[:NAME[:TAG]])");
  }
  if (colon == std::string_view::npos) return reference;
  const std::string_view name = rest.substr(colon + 1);
  const std::string whole = "docker-archive:" + printable(rest, 300);
  if (name.starts_with('@')) {
    const std::optional<std::uint64_t> position = parse_uint(name.substr(1));
    if (!position) {
      throw Error(ErrorKind::usage,
                  whole + ": after @ stands the image's position in manifest.json, a number");
    }
    reference.index = *position;
    return reference;
  }
  reference.image = with_context(whole, [&] { return RegistryReference::parse(name); });
  if (!reference.image->tag()) {
    throw Error(ErrorKind::usage, whole + ": images in an archive have tags, not digests");
  }
  return reference;
}

std::string DockerArchiveReference::str() const {
  std::string text = "docker-archive:" + path;
  if (index) return text + ":@" + std::to_string(*index);
  return image ? text + ":" + image->str() : text;
}

std::vector<DockerArchiveItem> parse_docker_archive_manifest(std::string_view text) {
  const Json document = Json::parse(text);
  std::vector<DockerArchiveItem> items;
  if (document.is_null()) return items;
  if (!document.is_array()) throw Error(ErrorKind::integrity, "it is not a list of images");
  for (std::size_t i = 0; i < document.as_array()->size(); ++i) {
    const Json& item = (*document.as_array())[i];
    with_context("image " + std::to_string(i), [&] {
      if (!item.is_object()) throw Error(ErrorKind::integrity, "it is not an object");
      items.push_back(
          {item.string_or_empty("Config"), names(item, "RepoTags"), names(item, "Layers")});
      if (items.back().config.empty()) throw Error(ErrorKind::integrity, "it has no Config");
      if (items.back().layers.size() > kMaxLayers) {
        throw Error(ErrorKind::limit, "it has more than " + std::to_string(kMaxLayers) + " layers");
      }
    });
  }
  return items;
}

std::unique_ptr<ImageSource> open_docker_archive(const DockerArchiveReference& reference,
                                                 const std::string& temporary_directory,
                                                 const std::stop_token& stop) {
  ImageArchive archive = ImageArchive::open(reference.path, temporary_directory, stop);
  const std::vector<DockerArchiveItem> items = read_manifest(archive);
  const DockerArchiveItem& item = select(items, reference);
  return open_image(std::move(archive), item, reference.str(), stop);
}

std::unique_ptr<ImageSource> open_docker_archive(ImageArchive archive, std::string description,
                                                 const std::stop_token& stop) {
  const std::vector<DockerArchiveItem> items = read_manifest(archive);
  if (items.size() != 1) {
    throw Error(ErrorKind::integrity,
                description + ": there are " + counted(items.size(), "image") + ", not one");
  }
  return open_image(std::move(archive), items.front(), std::move(description), stop);
}

ListedImages list_docker_archive(const DockerArchiveReference& archive,
                                 const std::stop_token& stop) {
  if (archive.index || archive.image) {
    throw Error(ErrorKind::usage, archive.str() + " names an image, where all are asked for")
        .set_hint("docker-archive:" + archive.path);
  }
  require_regular_file(archive.path);
  const std::vector<DockerArchiveItem> items = items_of(archive, stop);
  ListedImages listed;
  std::set<std::string> seen;
  for (const DockerArchiveItem& item : items) {
    const std::size_t before = listed.images.size();
    for (const std::string& tag : item.tags) {
      const auto name = parse_tag(tag);
      // Of several images the first has the name.
      if (!name || !seen.insert(name->str()).second) continue;
      listed.images.push_back(
          {name->str(), {Transport::docker_archive, archive.path + ":" + name->str()}});
    }
    if (listed.images.size() == before) ++listed.unnamed;
  }
  return listed;
}

std::vector<std::string> docker_archive_tags(const DockerArchiveReference& archive,
                                             const std::stop_token& stop) {
  const std::vector<DockerArchiveItem> items = items_of(archive, stop);
  std::vector<std::string> tags;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].tags.empty()) tags.push_back("@" + std::to_string(i));
    tags.insert(tags.end(), items[i].tags.begin(), items[i].tags.end());
  }
  return tags;
}

}  // namespace tug
