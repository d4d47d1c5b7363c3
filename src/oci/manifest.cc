#include "tug/manifest.h"

#include "base/strings.h"
#include "oci/descriptor_json.h"
#include "oci/json.h"
#include "tug/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tug {

namespace {

constexpr std::string_view kOciArtifact = "application/vnd.oci.artifact.manifest.v1+json";

[[noreturn]] void fail(std::string message) {
  throw Error(ErrorKind::integrity, std::move(message));
}

[[noreturn]] void fail_schema1() {
  throw Error(ErrorKind::integrity,
              "Docker schema 1 images are not supported; today's registries refuse them too")
      .set_hint(
          "push the image again with a current docker, podman or buildah: they write schema 2 or "
          "OCI");
}

bool has(const Json& document, std::string_view key) noexcept {
  const Json* member = document.find(key);
  return member != nullptr && !member->is_null();
}

// Types under which servers and layouts keep manifests when they do not know better: they say
// nothing.
bool says_nothing(std::string_view type) noexcept {
  return type.empty() || type == "application/json" || type == "text/plain" ||
         type == "application/octet-stream";
}

// `type` if it is a manifest's or an index's; throws for those that cannot be handled.
void check_type(const std::string& type) {
  if (media_type::is_schema1(type)) fail_schema1();
  if (type == kOciArtifact) {
    fail(
        fmt::format("OCI artifact manifests ({}) are not supported: the type was withdrawn from "
                    "the specification",
                    type));
  }
  if (!media_type::is_manifest(type) && !media_type::is_index(type)) {
    fail(fmt::format("media type \"{}\" is not that of an image manifest or index",
                     printable(type, 100)));
  }
}

// By structure, as containers/image's GuessMIMEType does.
std::string guess_type(const Json& document) {
  if (has(document, "manifests")) return std::string(media_type::kOciIndex);
  const Json* config = document.find("config");
  if (config == nullptr || !config->is_object()) {
    fail("neither an image manifest (no \"config\") nor an index (no \"manifests\")");
  }
  const bool docker = config->string_or_empty("mediaType") == media_type::kDockerConfig;
  return std::string(docker ? media_type::kDockerManifest : media_type::kOciManifest);
}

// A declared type makes up for an absent schemaVersion, as it does for every registry.
void check_schema_version(const Json& document, bool type_declared) {
  if (!has(document, "schemaVersion")) {
    if (!type_declared) fail("\"schemaVersion\" is missing");
    return;
  }
  const auto version = document.find("schemaVersion")->as_uint();
  if (version == std::uint64_t{1}) fail_schema1();
  if (version != std::uint64_t{2}) fail("\"schemaVersion\" is not 2");
}

// The media type: `given` by the place, else the mediaType member, else the structure.
std::string type_of(const Json& document, std::string_view given) {
  const std::string outer = media_type::without_parameters(given);
  const std::string inner =
      media_type::without_parameters(optional_string(document, "mediaType", ""));
  if (!says_nothing(outer)) check_type(outer);
  if (!inner.empty()) check_type(inner);
  if (!says_nothing(outer) && !inner.empty() && outer != inner) {
    fail(fmt::format("its mediaType member says \"{}\", but it was found as \"{}\"", inner, outer));
  }
  const std::string& declared = inner.empty() && !says_nothing(outer) ? outer : inner;
  check_schema_version(document, !declared.empty());
  if (has(document, "fsLayers")) fail_schema1();
  return declared.empty() ? guess_type(document) : declared;
}

// A document that one reader takes for an image and another for an index (CVE-2021-41190).
template <std::size_t N>
void refuse_members(const Json& document, const std::array<std::string_view, N>& members,
                    std::string_view what) {
  for (const auto key : members) {
    if (has(document, key)) fail(fmt::format("ambiguous: {} with the member \"{}\"", what, key));
  }
}

const Json& required(const Json& document, std::string_view key) {
  const Json* member = document.find(key);
  if (member == nullptr) fail(fmt::format("\"{}\" is missing", key));
  return *member;
}

Json parse_document(std::string_view bytes) {
  Json document = Json::parse(bytes, {.max_bytes = kMaxManifestBytes});
  if (!document.is_object()) fail("not a JSON object");
  refuse_case_variants(document,
                       {"schemaVersion", "mediaType", "config", "layers", "manifests", "subject",
                        "artifactType", "annotations", "fsLayers", "history"},
                       "");
  return document;
}

bool same_blob(const Descriptor& a, const Descriptor& b) noexcept {
  return a.digest == b.digest && a.size == b.size && a.media_type == b.media_type;
}

bool same_layer(const Descriptor& a, const Descriptor& b) noexcept {
  return same_blob(a, b) && a.annotations == b.annotations;
}

void check_count(std::size_t given, std::size_t there, std::string_view what) {
  if (given != there) fail(fmt::format("{} descriptors given for {} {}", given, there, what));
}

// Go programs read mediaType wherever it stands; people look for it at the top.
void add_media_type(Json& document, std::string_view type) {
  if (has(document, "mediaType")) return;
  document.erase("mediaType");
  auto& members = *document.as_object();
  const bool version_first = !members.empty() && members.front().first == "schemaVersion";
  members.emplace(members.begin() + (version_first ? 1 : 0), "mediaType", Json(type));
}

// Docker's list of layer types ends with gzip.
void check_layer_type(const Manifest& manifest, const Descriptor& layer) {
  if (!media_type::is_docker(manifest.media_type()) || !layer.media_type.ends_with("zstd")) return;
  throw Error(ErrorKind::usage,
              fmt::format("a Docker schema 2 manifest cannot hold a layer of type {}",
                          printable(layer.media_type, 100)))
      .set_hint("convert the image to OCI with --format oci, or compress with gzip");
}

}  // namespace

// Builds both values from a parsed document.
class ManifestReader {
 public:
  static ManifestOrIndex read(std::string bytes, std::string_view given) {
    const Json document = parse_document(bytes);
    std::string type = type_of(document, given);
    if (media_type::is_index(type)) return index(std::move(bytes), std::move(type), document);
    return manifest(std::move(bytes), std::move(type), document);
  }

 private:
  static Manifest manifest(std::string bytes, std::string type, const Json& document) {
    refuse_members(document, std::array<std::string_view, 3>{"manifests", "fsLayers", "history"},
                   "an image manifest");
    Digest digest = Digest::of(bytes);
    Manifest result(std::move(bytes), std::move(digest),
                    parse_descriptor(required(document, "config"), "config"));
    result.media_type_ = std::move(type);
    result.layers_ = parse_descriptors(required(document, "layers"), "layers");
    read_common(document, result);
    return result;
  }
  static Index index(std::string bytes, std::string type, const Json& document) {
    refuse_members(document,
                   std::array<std::string_view, 4>{"config", "layers", "fsLayers", "history"},
                   "an index");
    Digest digest = Digest::of(bytes);
    Index result(std::move(bytes), std::move(digest));
    result.media_type_ = std::move(type);
    result.manifests_ = parse_descriptors(required(document, "manifests"), "manifests");
    read_common(document, result);
    return result;
  }
  template <typename Value>
  static void read_common(const Json& document, Value& result) {
    if (has(document, "subject"))
      result.subject_ = parse_descriptor(*document.find("subject"), "subject");
    result.artifact_type_ = optional_string(document, "artifactType", "");
  }
};

ManifestOrIndex parse_manifest_or_index(std::string bytes, std::string_view media_type) {
  return with_context("invalid manifest",
                      [&] { return ManifestReader::read(std::move(bytes), media_type); });
}

Manifest Manifest::parse(std::string bytes, std::string_view media_type) {
  auto parsed = parse_manifest_or_index(std::move(bytes), media_type);
  if (auto* manifest = std::get_if<Manifest>(&parsed)) return std::move(*manifest);
  fail("this is an index, where the manifest of one image was expected");
}

Index Index::parse(std::string bytes, std::string_view media_type) {
  auto parsed = parse_manifest_or_index(std::move(bytes), media_type);
  if (auto* index = std::get_if<Index>(&parsed)) return std::move(*index);
  fail("this is the manifest of one image, where an index was expected");
}

Descriptor Manifest::descriptor() const {
  return {.media_type = media_type_, .digest = digest_, .size = bytes_.size()};
}

Descriptor Index::descriptor() const {
  return {.media_type = media_type_, .digest = digest_, .size = bytes_.size()};
}

bool Manifest::is_image() const noexcept {
  return config_.media_type == media_type::kOciConfig ||
         config_.media_type == media_type::kDockerConfig;
}

Manifest Manifest::with_layers(const std::vector<Descriptor>& layers) const {
  check_count(layers.size(), layers_.size(), "layers");
  if (std::equal(layers.begin(), layers.end(), layers_.begin(), same_layer)) return *this;
  Json document = parse_document(bytes_);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    check_layer_type(*this, layers[i]);
    Json& layer = (*document.find("layers")->as_array())[i];
    update_descriptor(layer, layers[i]);
    if (layers[i].annotations != layers_[i].annotations) update_annotations(layer, layers[i]);
  }
  add_media_type(document, media_type_);
  return parse(document.dump(), media_type_);
}

Index Index::with_manifests(const std::vector<Descriptor>& manifests) const {
  check_count(manifests.size(), manifests_.size(), "manifests");
  if (std::equal(manifests.begin(), manifests.end(), manifests_.begin(), same_blob)) return *this;
  Json document = parse_document(bytes_);
  for (std::size_t i = 0; i < manifests.size(); ++i) {
    update_descriptor((*document.find("manifests")->as_array())[i], manifests[i]);
  }
  add_media_type(document, media_type_);
  return parse(document.dump(), media_type_);
}

Index Index::with_only(const std::function<bool(const Digest&)>& keep) const {
  const auto kept = [&](const Descriptor& child) { return keep(child.digest); };
  if (std::all_of(manifests_.begin(), manifests_.end(), kept)) return *this;
  Json document = parse_document(bytes_);
  Json& children = *document.find("manifests");
  Json::Array left;
  for (std::size_t i = 0; i < manifests_.size(); ++i) {
    if (kept(manifests_[i])) left.push_back(std::move((*children.as_array())[i]));
  }
  children = std::move(left);
  add_media_type(document, media_type_);
  return parse(document.dump(), media_type_);
}

const Descriptor* Index::choose(const Platform& wanted) const {
  for (const auto& variant : wanted.compatible_variants()) {
    for (const auto& child : manifests_) {
      if (child.platform && child.platform->os == wanted.os &&
          child.platform->architecture == wanted.architecture &&
          child.platform->variant == variant) {
        return &child;
      }
    }
  }
  // containers/image: in an OCI index a child that names no platform runs anywhere, if nothing fits
  // better.
  if (media_type_ != media_type::kOciIndex) return nullptr;
  const auto any = std::find_if(manifests_.begin(), manifests_.end(),
                                [](const Descriptor& d) { return !d.platform; });
  return any == manifests_.end() ? nullptr : &*any;
}

}  // namespace tug
