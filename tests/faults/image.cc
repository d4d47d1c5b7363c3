#include "image.h"

#include "oci/json.h"
#include "support/some_bytes.h"

#include <tug/descriptor.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tug::test {
namespace {

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

Json descriptor_of(std::string_view type, const std::string& bytes) {
  return Json::object({{"mediaType", type},
                       {"digest", Digest::of(bytes).str()},
                       {"size", static_cast<std::uint64_t>(bytes.size())}});
}

}  // namespace

Image::Image(std::string directory, const ImageShape& shape) : directory_(std::move(directory)) {
  std::uint32_t seed = 1;
  for (const std::size_t size : shape.layers) layers_.push_back(some_bytes(size, seed++));
  for (int i = 0; i < shape.images; ++i) manifests_.push_back(add_image(i, shape));
  for (const std::string& layer : layers_) {
    add(layer);
    blobs_.push_back(layer);
  }
  top_ = manifests_.front();
  top_type_ = media_type::kOciManifest;
  if (shape.images > 1) {
    Json list = Json::array();
    for (const std::string& manifest : manifests_) {
      Json item = descriptor_of(media_type::kOciManifest, manifest);
      const bool first = manifest == manifests_.front();
      item.set("platform",
               Json::object({{"os", "linux"}, {"architecture", first ? "amd64" : "arm64"}}));
      list.as_array()->push_back(std::move(item));
    }
    top_type_ = media_type::kOciIndex;
    top_ =
        Json::object({{"schemaVersion", 2}, {"mediaType", top_type_}, {"manifests", list}}).dump();
    add(top_);
  }
  write_file(directory_ + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  const Json index = Json::object(
      {{"schemaVersion", 2}, {"manifests", Json::array({descriptor_of(top_type_, top_)})}});
  write_file(directory_ + "/index.json", index.dump());
}

std::string Image::path_of(const Digest& digest) const {
  return directory_ + "/blobs/sha256/" + std::string(digest.hex());
}

std::string Image::add(const std::string& bytes) {
  const Digest digest = Digest::of(bytes);
  write_file(path_of(digest), bytes);
  return digest.str();
}

std::string Image::add_image(int number, const ImageShape& shape) {
  const std::string config = Json::object({{"os", "linux"},
                                           {"architecture", number == 0 ? "amd64" : "arm64"},
                                           {"author", "image " + std::to_string(number)}})
                                 .dump();
  add(config);
  blobs_.push_back(config);
  Json layers = Json::array();
  for (const std::string& layer : layers_) {
    Json item = descriptor_of(media_type::kOciLayerGzip, layer);
    if (!shape.pulled_from_host.empty()) {
      item.set("annotations",
               Json::object({{"containerd.io/distribution.source." + shape.pulled_from_host,
                              shape.pulled_from_repository}}));
    }
    layers.as_array()->push_back(std::move(item));
  }
  Json manifest = Json::object({{"schemaVersion", 2},
                                {"mediaType", std::string(media_type::kOciManifest)},
                                {"config", descriptor_of(media_type::kOciConfig, config)},
                                {"layers", layers}});
  if (!shape.subject.empty()) {
    manifest.set("artifactType", "application/vnd.example.signature");
    manifest.set("subject", Json::object({{"mediaType", std::string(media_type::kOciManifest)},
                                          {"digest", shape.subject},
                                          {"size", 2}}));
  }
  const std::string bytes = manifest.dump();
  add(bytes);
  return bytes;
}

}  // namespace tug::test
