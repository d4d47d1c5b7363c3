#include "transport/docker_archive_files.h"

#include "oci/json.h"

#include <array>
#include <functional>
#include <map>
#include <utility>

namespace tug {
namespace {

constexpr Json::DumpStyle kAsGo{.escape_html = true};

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

}  // namespace

std::string docker_archive_layer(const Digest& diff_id) {
  return std::string(diff_id.hex()) + ".tar";
}

std::string docker_archive_config(const Digest& digest) {
  return std::string(digest.hex()) + ".json";
}

// An id is the digest of the layer's description with its chain ID in it.
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

std::string docker_archive_manifest(const std::vector<DockerArchiveImage>& images) {
  Json::Array items;
  for (const DockerArchiveImage& image : images) {
    Json::Array tags;
    for (const RegistryReference& name : image.names) tags.emplace_back(name.str());
    Json::Array layers;
    for (const Digest& diff_id : image.diff_ids) layers.emplace_back(docker_archive_layer(diff_id));
    items.push_back(Json::object({{"Config", docker_archive_config(image.config)},
                                  {"RepoTags", std::move(tags)},
                                  {"Layers", std::move(layers)}}));
  }
  return Json(std::move(items)).dump(kAsGo);
}

std::string docker_archive_repositories(const std::vector<DockerArchiveImage>& images) {
  std::map<std::string, std::map<std::string, std::string>> repositories;
  for (const DockerArchiveImage& image : images) {
    if (image.legacy_id.empty()) continue;
    for (const RegistryReference& name : image.names)
      repositories[name.name()][*name.tag()] = image.legacy_id;
  }
  Json document = Json::object();
  for (const auto& [name, tags] : repositories) {
    Json ids = Json::object();
    for (const auto& [tag, id] : tags) ids.set(tag, id);
    document.set(name, std::move(ids));
  }
  return document.dump(kAsGo);
}

}  // namespace tug
