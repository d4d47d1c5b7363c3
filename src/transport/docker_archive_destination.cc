// The docker-archive: transport as a destination.
#include "base/strings.h"
#include "oci/json.h"
#include "stream/file_source.h"
#include "transport/archive_file.h"
#include "transport/closed_destination.h"
#include "transport/docker_archive.h"

#include <tug/error.h>
#include <tug/manifest.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;
constexpr Json::DumpStyle kAsGo{.escape_html = true};

std::string layer_member(const Digest& diff_id) { return std::string(diff_id.hex()) + ".tar"; }

// What Go's encoding/json makes of a JSON text that it hands on: no white space, and the characters
// that HTML gives a meaning escaped. How everything else is spelled stays.
std::string compacted(std::string_view json) {
  std::string text;
  bool is_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') is_string = !is_string;
    if (!is_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
    if (c == '<' || c == '>' || c == '&') {
      text += c == '<' ? "\\u003c" : c == '>' ? "\\u003e" : "\\u0026";
    } else if (json.substr(i).starts_with("\u2028") || json.substr(i).starts_with("\u2029")) {
      text += json[i + 2] == '\xa8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      text += c;
      if (c == '\\' && i + 1 < json.size()) text += json[++i];
    }
  }
  return text;
}

// The members of a valid JSON object, compacted, as they are spelled.
std::map<std::string, std::string, std::less<>> raw_members(std::string_view json) {
  const std::string text = compacted(json);
  std::map<std::string, std::string, std::less<>> members;
  int depth = 0;
  bool is_string = false;
  std::size_t begin = 1;  // of the member
  std::size_t colon = 0;  // after its name
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_string && c == '\\') {
      ++i;
      continue;
    }
    if (c == '"') is_string = !is_string;
    if (is_string) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == ':' && depth == 1 && colon <= begin) colon = i;
    if ((c == ',' && depth == 1) || (c == '}' && depth == 1)) {
      if (colon > begin + 1)
        members[text.substr(begin + 1, colon - begin - 2)] = text.substr(colon + 1, i - colon - 1);
      begin = i + 1;
    }
    if (c == '}' || c == ']') --depth;
  }
  return members;
}

std::string object_of(const std::map<std::string, std::string, std::less<>>& members) {
  std::string text;
  for (const auto& [name, value] : members)
    text += (text.empty() ? "{\"" : ",\"") + name + "\":" + value;
  return text + "}";
}

// What Docker before 1.10 reads: a directory for each layer.
struct LegacyLayer {
  std::string id;
  std::string json;
};

// As containers/image makes them (docker/internal/tarfile/writer.go), so that the same image is the
// same bytes: an id is the digest of the layer's description with its chain ID in it. `config` is
// valid JSON.
std::vector<LegacyLayer> legacy_layers(const std::vector<Digest>& diff_ids,
                                       std::string_view config) {
  constexpr std::array kOfTheImage{
      "architecture", "config", "container", "container_config", "created", "docker_version", "os"};
  const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
  std::vector<LegacyLayer> layers;
  std::string chain_id;
  for (std::size_t i = 0; i < diff_ids.size(); ++i) {
    std::map<std::string, std::string, std::less<>> description;
    if (i > 0) description["parent"] = quoted(layers.back().id);
    if (i + 1 == diff_ids.size()) {
      const auto members = raw_members(config);
      for (const char* name : kOfTheImage) {
        const auto found = members.find(name);
        description[name] = found == members.end() ? "null" : found->second;
      }
    }
    chain_id = i == 0 ? diff_ids[i].str() : Digest::of(chain_id + " " + diff_ids[i].str()).str();
    description["layer_id"] = quoted(chain_id);
    const std::string id(Digest::of(object_of(description)).hex());
    description.erase("layer_id");
    description["id"] = quoted(id);
    layers.push_back({id, object_of(description)});
  }
  return layers;
}

class DockerArchiveDestination final : public ClosedDestination {
 public:
  DockerArchiveDestination(const DockerArchiveReference& reference,
                           const std::vector<RegistryReference>& additional,
                           const std::string& temporary_directory)
      : description_(reference.str()),
        tag_(reference.image ? reference.image->tag() : std::nullopt),
        file_(reference.path, temporary_directory) {
    if (file_.replaces_content()) {
      throw Error(ErrorKind::local,
                  description_ + ": docker-archive doesn't support modifying existing images")
          .set_hint("remove " + reference.path + " first, or name another file");
    }
    if (reference.image) names_.push_back(*reference.image);
    names_.insert(names_.end(), additional.begin(), additional.end());
  }
  DockerArchiveDestination(UniqueFd stream, std::string description, const RegistryReference& image,
                           const std::string& temporary_directory)
      : description_(std::move(description)),
        tag_(image.tag()),
        names_{image},
        file_(std::move(stream), description_, temporary_directory) {}

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
    if (descriptor.media_type != media_type::kDockerConfig) {
      const std::lock_guard lock(mutex_);
      if (!layers_.insert(descriptor.digest).second) return 0;
      file_.add({.name = layer_member(descriptor.digest), .size = descriptor.size},
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
    const std::lock_guard lock(mutex_);
    config_ = read_small(*source, descriptor.size).value_or("");
    file_.add({.name = config_member(descriptor.digest)}, config_);
    sent(descriptor.size);
    return descriptor.size;
  }

  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    const std::unique_ptr<DigestingSource> source = blob.open(0);
    std::optional<Descriptor> made;
    if (blob.expected) {
      made = *blob.expected;
      if (layers_.insert(made->digest).second) {
        file_.add({.name = layer_member(made->digest), .size = made->size}, *source, sent, stop);
      }
    } else {
      // Two compressed layers may be one when they are plain.
      const auto header_of = [&](std::uint64_t) -> std::optional<TarHeader> {
        made = source->result();
        if (!layers_.insert(made->digest).second) return std::nullopt;
        return TarHeader{.name = layer_member(made->digest)};
      };
      file_.add_unknown(*source, header_of, sent, stop);
    }
    made->media_type = blob.media_type;
    return *made;
  }

  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>&, std::stop_token) override {
    const Manifest manifest = image_manifest(descriptor, bytes, "a docker-archive");
    const std::lock_guard lock(mutex_);
    std::vector<Digest> diff_ids;
    for (const Descriptor& layer : manifest.layers()) {
      if (!layers_.contains(layer.digest)) throw layer_stays_away(layer, "a docker-archive");
      diff_ids.push_back(layer.digest);
    }
    const Json config = with_context("config " + manifest.config().digest.str(),
                                     [&] { return Json::parse(config_); });
    require_diff_ids(config, diff_ids);
    write_image(manifest.config().digest, diff_ids);
  }

  void finish(std::stop_token) override { file_.finish(); }

 private:
  static std::string config_member(const Digest& digest) {
    return std::string(digest.hex()) + ".json";
  }

  // Or nobody could load it.
  static void require_diff_ids(const Json& config, const std::vector<Digest>& layers) {
    const Json* rootfs = config.find("rootfs");
    const Json* ids = rootfs == nullptr ? nullptr : rootfs->find("diff_ids");
    const Json::Array* const listed = ids == nullptr ? nullptr : ids->as_array();
    const std::size_t count = listed == nullptr ? 0 : listed->size();
    if (count != layers.size()) {
      throw Error(ErrorKind::integrity, "the config lists " + counted(count, "layer") +
                                            ", the manifest " + std::to_string(layers.size()));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::string* id = (*listed)[i].as_string();
      if (id != nullptr && *id == layers[i].str()) continue;
      throw Error(ErrorKind::integrity, "layer " + std::to_string(i) + " is " + layers[i].str() +
                                            " when it is not compressed, but the config says " +
                                            (id == nullptr ? "nothing" : printable(*id, 100)));
    }
  }

  // Everything after the layers and the config.
  void write_image(const Digest& config_digest, const std::vector<Digest>& diff_ids) {
    const std::vector<LegacyLayer> legacy = legacy_layers(diff_ids, config_);
    for (std::size_t i = 0; i < legacy.size(); ++i) {
      const std::string directory = legacy[i].id + "/";
      file_.add({.name = directory + "layer.tar",
                 .kind = TarHeader::Kind::symlink,
                 .mode = 0,
                 .link = "../" + layer_member(diff_ids[i])});
      file_.add({.name = directory + "VERSION"}, "1.0");
      file_.add({.name = directory + "json"}, legacy[i].json);
    }
    file_.add({.name = "manifest.json"}, manifest_json(config_digest, diff_ids));
    file_.add({.name = "repositories"}, repositories_json(legacy));
  }

  [[nodiscard]] std::string manifest_json(const Digest& config,
                                          const std::vector<Digest>& diff_ids) const {
    Json::Array tags;
    for (const RegistryReference& name : names_) tags.emplace_back(name.str());
    Json::Array layers;
    for (const Digest& diff_id : diff_ids) layers.emplace_back(layer_member(diff_id));
    return Json::array({Json::object({{"Config", config_member(config)},
                                      {"RepoTags", std::move(tags)},
                                      {"Layers", std::move(layers)}})})
        .dump(kAsGo);
  }

  [[nodiscard]] std::string repositories_json(const std::vector<LegacyLayer>& legacy) const {
    std::map<std::string, std::map<std::string, std::string>> repositories;
    if (!legacy.empty()) {
      for (const RegistryReference& name : names_)
        repositories[name.name()][*name.tag()] = legacy.back().id;
    }
    Json document = Json::object();
    for (const auto& [name, tags] : repositories) {
      Json ids = Json::object();
      for (const auto& [tag, id] : tags) ids.set(tag, id);
      document.set(name, std::move(ids));
    }
    return document.dump(kAsGo);
  }

  const std::string description_;
  const std::optional<std::string> tag_;
  std::vector<RegistryReference> names_;
  std::mutex mutex_;
  ArchiveFile file_;
  std::set<Digest> layers_;  // diff IDs of those that are written
  std::string config_;
};

}  // namespace

std::unique_ptr<ImageDestination> open_docker_archive_destination(
    const DockerArchiveReference& reference, const std::vector<RegistryReference>& additional,
    const std::string& temporary_directory) {
  if (reference.index) {
    throw Error(ErrorKind::usage,
                reference.str() + ": a destination is named, a position is for reading")
        .set_hint("docker-archive:PATH:NAME:TAG, or docker-archive:PATH");
  }
  return std::make_unique<DockerArchiveDestination>(reference, additional, temporary_directory);
}

std::unique_ptr<ImageDestination> open_docker_archive_stream(
    UniqueFd stream, std::string description, const RegistryReference& image,
    const std::string& temporary_directory) {
  return std::make_unique<DockerArchiveDestination>(std::move(stream), std::move(description),
                                                    image, temporary_directory);
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
