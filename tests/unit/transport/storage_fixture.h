// A tiny containers/storage store, written file by file, for tests: layers made of members, images
// made of layers.
#ifndef TUG_TESTS_UNIT_TRANSPORT_STORAGE_FIXTURE_H_
#define TUG_TESTS_UNIT_TRANSPORT_STORAGE_FIXTURE_H_

#include "base/strings.h"
#include "stream/tar_split.h"
#include "support/layer_tar.h"
#include "support/temp_dir.h"

#include <tug/descriptor.h>
#include <tug/digest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tug::test {

// One member of a layer's tar.
struct Member {
  std::string name;
  std::string content;
  char type = '0';
  std::string stored_at;      // where the file is below the layer's directory; "" = at `name`
  std::uint64_t claimed = 0;  // a size in the header of a member without data
};

// The parts of a layer as a store keeps them.
struct MadeLayer {
  std::string id;
  std::string parent;
  std::string tar;        // the original
  std::string tar_split;  // one JSON object a line
  std::vector<Member> members;
  [[nodiscard]] Digest diff_id() const { return Digest::of(tar); }
};

inline std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// As tar-split records it: eight bytes, the highest first.
inline std::string checksum(const std::string& content) {
  Crc64 crc;
  crc.update(std::as_bytes(std::span(content)));
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes += static_cast<char>(crc.value() >> shift & 0xff);
  return bytes;
}

// Makes tar and tar-split; `trailer` ends the tar.
inline MadeLayer make_layer(std::string id, std::string parent, std::vector<Member> members,
                            const std::string& trailer = std::string(1024, '\0')) {
  MadeLayer layer{std::move(id), std::move(parent), "", "", std::move(members)};
  std::size_t position = 0;
  std::string segment;
  const auto line = [&](const std::string& fields) {
    layer.tar_split += "{" + fields + ",\"position\":" + std::to_string(position++) + "}\n";
  };
  const auto flush = [&] {
    line(R"("type":2,"payload":")" + base64_encode(segment) + "\"");
    layer.tar += segment;
    segment.clear();
  };
  for (const Member& member : layer.members) {
    segment += header_of({.name = member.name,
                          .type = member.type,
                          .content = member.content,
                          .claimed = member.claimed});
    flush();
    const std::uint64_t size = member.content.empty() ? member.claimed : member.content.size();
    const std::string payload =
        size == 0 ? "null" : "\"" + base64_encode(checksum(member.content)) + "\"";
    line(R"("type":1,"name":)" + json_text(member.name) +
         (size == 0 ? "" : ",\"size\":" + std::to_string(size)) + ",\"payload\":" + payload);
    layer.tar += member.content;
    segment = std::string((512 - member.content.size() % 512) % 512, '\0');
  }
  segment += trailer;
  flush();
  return layer;
}

// A store below a temporary directory. Nothing is there until it is written.
class StoreFixture {
 public:
  explicit StoreFixture(std::string driver = "overlay") : driver_(std::move(driver)) {}

  [[nodiscard]] const std::string& root() const { return dir_.path(); }
  [[nodiscard]] const std::string& driver() const { return driver_; }
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  [[nodiscard]] std::string layer_directory(const std::string& id) const {
    return driver_ == "overlay" ? root() + "/overlay/" + id + "/diff"
                                : root() + "/" + driver_ + "/dir/" + id;
  }
  [[nodiscard]] std::string tar_split_path(const std::string& id) const {
    return root() + "/" + driver_ + "-layers/" + id + ".tar-split.gz";
  }
  [[nodiscard]] std::string image_directory(const std::string& id) const {
    return root() + "/" + driver_ + "-images/" + id;
  }

  // Writes the layer's files and tar-split, and its record with `more` fields.
  void add(const MadeLayer& layer, const std::string& more = {}) {
    std::filesystem::create_directories(layer_directory(layer.id));
    for (const Member& member : layer.members) {
      if (member.content.empty()) continue;
      const std::string& path = member.stored_at.empty() ? member.name : member.stored_at;
      dir_.write(layer_directory(layer.id).substr(root().size() + 1) + "/" + path, member.content);
    }
    dir_.write(tar_split_path(layer.id).substr(root().size() + 1), layer.tar_split);
    add_layer_record(R"("id":")" + layer.id + "\"" +
                     (layer.parent.empty() ? "" : R"(,"parent":")" + layer.parent + "\"") +
                     (more.find("\"diff-digest\"") != std::string::npos
                          ? ""
                          : R"(,"diff-digest":")" + layer.diff_id().str() + R"(","diff-size":)" +
                                std::to_string(layer.tar.size())) +
                     more);
  }
  void add_layer_record(const std::string& fields) {
    layers_ += (layers_.empty() ? "{" : ",{") + fields + "}";
    dir_.write(driver_ + "-layers/layers.json", "[" + layers_ + "]");
  }

  // Writes an image record and its big data.
  void add_image(const std::string& id, const std::vector<std::string>& names,
                 const std::string& layer,
                 const std::vector<std::pair<std::string, std::string>>& big_data) {
    std::string name_list;
    for (const std::string& name : names)
      name_list += (name_list.empty() ? "\"" : ",\"") + name + "\"";
    std::string digests;
    for (const auto& [key, bytes] : big_data) {
      digests += (digests.empty() ? "\"" : ",\"") + key + R"(":")" + Digest::of(bytes).str() + "\"";
      const bool plain =
          key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.") == std::string::npos;
      dir_.write(driver_ + "-images/" + id + "/" + (plain ? key : "=" + base64_encode(key)), bytes);
    }
    images_ += std::string(images_.empty() ? "" : ",") + R"({"id":")" + id + R"(","names":[)" +
               name_list + "]" + (layer.empty() ? "" : R"(,"layer":")" + layer + "\"") +
               R"(,"big-data-digests":{)" + digests + "}}";
    dir_.write(driver_ + "-images/images.json", "[" + images_ + "]");
  }

 private:
  TempDir dir_;
  std::string driver_;
  std::string layers_;
  std::string images_;
};

inline std::string descriptor_json(std::string_view type, std::string_view bytes) {
  return R"({"mediaType":")" + std::string(type) + R"(","digest":")" + Digest::of(bytes).str() +
         R"(","size":)" + std::to_string(bytes.size()) + "}";
}

// An OCI manifest as buildah stores it for a local image: its layers are the uncompressed tars.
inline std::string make_manifest(std::string_view config, const std::vector<std::string>& tars) {
  std::string layers;
  for (const std::string& tar : tars) {
    layers += (layers.empty() ? "" : ",") + descriptor_json(media_type::kOciLayer, tar);
  }
  return R"({"schemaVersion":2,"mediaType":")" + std::string(media_type::kOciManifest) +
         R"(","config":)" + descriptor_json(media_type::kOciConfig, config) + R"(,"layers":[)" +
         layers + "]}";
}

}  // namespace tug::test

#endif  // TUG_TESTS_UNIT_TRANSPORT_STORAGE_FIXTURE_H_
