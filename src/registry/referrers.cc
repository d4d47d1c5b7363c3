#include "registry/referrers.h"

#include "oci/descriptor_json.h"
#include "oci/json.h"

#include <tug/error.h>

namespace tug::registry {
namespace {

std::string artifact_type_of(const Json& manifest) {
  std::string type = manifest.string_or_empty("artifactType");
  const Json* config = manifest.find("config");
  if (type.empty() && config != nullptr) type = config->string_or_empty("mediaType");
  return type;
}

Json to_json(const Descriptor& descriptor) {
  Json json = Json::object();
  update_descriptor(json, descriptor);
  if (!descriptor.artifact_type.empty()) json.set("artifactType", descriptor.artifact_type);
  update_annotations(json, descriptor);
  return json;
}

Json parse_index(std::string_view existing) {
  Json index;
  try {
    index = Json::parse(existing);
  } catch (const Error& error) {
    throw Error(ErrorKind::protocol, "the referrers tag names no JSON: " + error.message());
  }
  const Json* manifests = index.find("manifests");
  const std::string type = index.string_or_empty("mediaType");
  if (manifests == nullptr || manifests->as_array() == nullptr ||
      (!type.empty() && type != media_type::kOciIndex))
    throw Error(ErrorKind::protocol, "the referrers tag names something that is no OCI index");
  return index;
}

}  // namespace

std::optional<Referrer> referrer_of(const std::string& bytes, const Descriptor& descriptor) {
  // Most manifests have none, and need not be parsed once more for it.
  if (bytes.find("\"subject\"") == std::string::npos) return std::nullopt;
  const Json manifest = Json::parse(bytes);
  const Json* subject = manifest.find("subject");
  if (subject == nullptr || !subject->is_object()) return std::nullopt;
  const auto digest = Digest::try_parse(subject->string_or_empty("digest"));
  if (!digest) throw Error(ErrorKind::integrity, "the manifest's subject has no valid digest");
  Referrer referrer{*digest, descriptor};
  referrer.descriptor.artifact_type = artifact_type_of(manifest);
  referrer.descriptor.annotations.clear();
  const Json* annotations = manifest.find("annotations");
  const Json::Object* members = annotations != nullptr ? annotations->as_object() : nullptr;
  if (members != nullptr) {
    for (const auto& [key, value] : *members) {
      if (const std::string* text = value.as_string())
        referrer.descriptor.annotations.emplace(key, *text);
    }
  }
  return referrer;
}

std::string referrers_tag(const Digest& subject) {
  // Digest admits only names and digits that are legal in a tag.
  return std::string(subject.algorithm_name().substr(0, 32)) + "-" +
         std::string(subject.hex().substr(0, 64));
}

std::optional<std::string> with_referrer(std::string_view existing, const Descriptor& referrer) {
  Json index = existing.empty() ? Json::object({{"schemaVersion", 2},
                                                {"mediaType", media_type::kOciIndex},
                                                {"manifests", Json::array()}})
                                : parse_index(existing);
  Json::Array& manifests = *index.find("manifests")->as_array();
  for (const Json& manifest : manifests) {
    if (manifest.string_or_empty("digest") == referrer.digest.str()) return std::nullopt;
  }
  manifests.push_back(to_json(referrer));
  return index.dump();
}

}  // namespace tug::registry
