#include "oci/descriptor_json.h"

#include "base/strings.h"
#include "tug/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace tug {

namespace {

constexpr std::size_t kMaxMediaTypeBytes = 255;  // RFC 6838: 127 + "/" + 127

[[noreturn]] void fail(const std::string& where, std::string_view problem) {
  throw Error(ErrorKind::integrity, fmt::format("{} {}", where, problem));
}

// The member, unless it is absent or null.
const Json* present(const Json& object, std::string_view key) noexcept {
  const Json* member = object.find(key);
  return member == nullptr || member->is_null() ? nullptr : member;
}

const Json& required(const Json& object, std::string_view key, const std::string& where) {
  const Json* member = present(object, key);
  if (member == nullptr) fail(fmt::format("{}.{}", where, key), "is missing");
  return *member;
}

const std::string& string_of(const Json& json, const std::string& where) {
  const auto* text = json.as_string();
  if (text == nullptr) fail(where, "is not a string");
  return *text;
}

// It becomes a Content-Type header, so nothing but printable ASCII.
void check_media_type(std::string_view type, const std::string& where) {
  const bool good =
      type.size() <= kMaxMediaTypeBytes &&
      std::all_of(type.begin(), type.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!good) fail(where, fmt::format("is no media type: \"{}\"", printable(type, 100)));
}

std::string parse_media_type(const Json& object, const std::string& where) {
  const std::string place = where + ".mediaType";
  const auto& type = string_of(required(object, "mediaType", where), place);
  if (type.empty()) fail(place, "is empty");
  check_media_type(type, place);
  return type;
}

Digest parse_digest(const Json& object, const std::string& where) {
  const std::string place = where + ".digest";
  const auto& text = string_of(required(object, "digest", where), place);
  try {
    return Digest::parse(text);
  } catch (const Error& error) {
    throw Error(ErrorKind::integrity, fmt::format("{}: {}", place, error.message()));
  }
}

std::uint64_t parse_size(const Json& object, const std::string& where) {
  const auto size = required(object, "size", where).as_uint();
  if (!size) fail(where + ".size", "is not a whole number of bytes");
  if (*size > kMaxBlobBytes)
    fail(where + ".size", fmt::format("is {}, more than any blob can have (256 TiB)", *size));
  return *size;
}

std::vector<std::string> parse_strings(const Json& object, std::string_view key,
                                       const std::string& where) {
  std::vector<std::string> result;
  const Json* member = present(object, key);
  if (member == nullptr) return result;
  const auto* items = member->as_array();
  if (items == nullptr) fail(fmt::format("{}.{}", where, key), "is not an array");
  for (const auto& item : *items)
    result.push_back(string_of(item, fmt::format("{}.{}[{}]", where, key, result.size())));
  return result;
}

std::map<std::string, std::string> parse_annotations(const Json& object, const std::string& where) {
  std::map<std::string, std::string> result;
  const Json* member = present(object, "annotations");
  if (member == nullptr) return result;
  const std::string place = where + ".annotations";
  const auto* members = member->as_object();
  if (members == nullptr) fail(place, "is not an object");
  for (const auto& [key, value] : *members) {
    result.emplace(key, string_of(value, fmt::format("{}[\"{}\"]", place, printable(key, 100))));
  }
  return result;
}

std::optional<Platform> parse_platform(const Json& object, const std::string& where) {
  const Json* member = present(object, "platform");
  if (member == nullptr) return std::nullopt;
  const std::string place = where + ".platform";
  if (!member->is_object()) fail(place, "is not an object");
  Platform platform;
  platform.os = optional_string(*member, "os", place);
  platform.architecture = optional_string(*member, "architecture", place);
  platform.variant = optional_string(*member, "variant", place);
  platform.os_version = optional_string(*member, "os.version", place);
  platform.os_features = parse_strings(*member, "os.features", place);
  return platform;
}

// As Go's encoding/json folds names: ASCII case, and the long s, whose upper case is S. (It would
// fold the Kelvin sign to k too, but no member that we know has a k.)
std::string folded(std::string_view name) {
  constexpr std::string_view kLongS = "\u017F";
  std::string text = to_lower(name);
  for (auto at = text.find(kLongS); at != std::string::npos; at = text.find(kLongS, at)) {
    text.replace(at, kLongS.size(), 1, 's');
  }
  return text;
}

}  // namespace

std::string optional_string(const Json& object, std::string_view key, const std::string& where) {
  const Json* member = present(object, key);
  if (member == nullptr) return {};
  return string_of(*member, where.empty() ? std::string(key) : fmt::format("{}.{}", where, key));
}

void refuse_case_variants(const Json& object, const std::vector<std::string_view>& known,
                          const std::string& where) {
  const auto* members = object.as_object();
  if (members == nullptr) return;
  for (const auto& [key, value] : *members) {
    for (const auto name : known) {
      if (key == name || key.size() > 2 * name.size() || folded(key) != to_lower(name)) continue;
      throw Error(ErrorKind::integrity,
                  fmt::format("{}member \"{}\" is ambiguous: it differs from \"{}\" only in case",
                              where, printable(key, 100), name));
    }
  }
}

Descriptor parse_descriptor(const Json& json, const std::string& where) {
  if (!json.is_object()) fail(where, "is not an object");
  refuse_case_variants(json, {"mediaType", "digest", "size", "urls", "annotations", "platform"},
                       where + ": ");
  return {
      .media_type = parse_media_type(json, where),
      .digest = parse_digest(json, where),
      .size = parse_size(json, where),
      .urls = parse_strings(json, "urls", where),
      .annotations = parse_annotations(json, where),
      .artifact_type = optional_string(json, "artifactType", where),
      .platform = parse_platform(json, where),
  };
}

std::vector<Descriptor> parse_descriptors(const Json& json, const std::string& where) {
  std::vector<Descriptor> result;
  if (json.is_null()) return result;
  const auto* items = json.as_array();
  if (items == nullptr) fail(where, "is not an array");
  if (items->size() > kMaxDescriptors) {
    fail(where, fmt::format("has {} entries; {} are allowed", items->size(), kMaxDescriptors));
  }
  result.reserve(items->size());
  for (const auto& item : *items)
    result.push_back(parse_descriptor(item, fmt::format("{}[{}]", where, result.size())));
  return result;
}

void update_descriptor(Json& object, const Descriptor& descriptor) {
  object.set("mediaType", descriptor.media_type);
  object.set("digest", descriptor.digest.str());
  object.set("size", descriptor.size);
}

void update_annotations(Json& object, const Descriptor& descriptor) {
  if (descriptor.annotations.empty()) {
    object.erase("annotations");
    return;
  }
  Json* member = object.find("annotations");
  if (member == nullptr || !member->is_object()) object.set("annotations", Json::object());
  Json& annotations = *object.find("annotations");
  std::erase_if(*annotations.as_object(), [&](const Json::Member& old) {
    return descriptor.annotations.count(old.first) == 0;
  });
  for (const auto& [key, value] : descriptor.annotations) annotations.set(key, value);
}

}  // namespace tug
