#include "oci/schema1.h"

#include "base/strings.h"
#include "oci/json.h"

#include <tug/descriptor.h>
#include <tug/error.h>
#include <tug/manifest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace tug {
namespace {

Error no_signature(std::string_view why) {
  return Error(ErrorKind::integrity,
               fmt::format("the manifest is of schema 1, and its signatures are broken: {}", why));
}

std::string decode_base64url(std::string text, std::string_view what) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  if (auto bytes = base64_decode(text)) return std::move(*bytes);
  throw no_signature(fmt::format("the {} is not base64", what));
}

// How a signature says what it was made of: so many bytes of the manifest, and then these.
struct Format {
  std::uint64_t length = 0;
  std::string tail;
  friend bool operator==(const Format&, const Format&) = default;
};

Format format_of(const Json& signature) {
  const std::string header = decode_base64url(signature.string_or_empty("protected"), "header");
  const Json json = [&] {
    try {
      return Json::parse(header);
    } catch (const Error& error) {
      throw no_signature(error.message());
    }
  }();
  const Json* length = json.find("formatLength");
  const auto number = length == nullptr ? std::nullopt : length->as_uint();
  const auto tail = json.string_member("formatTail");
  if (!number || !tail) throw no_signature("the header has no formatLength or formatTail");
  return {*number, decode_base64url(*tail, "formatTail")};
}

// Types that name their schema themselves.
bool is_named(std::string_view type) noexcept {
  return type == media_type::kDockerManifest || type == media_type::kDockerManifestList ||
         type == media_type::kOciManifest || type == media_type::kOciIndex;
}

}  // namespace

std::optional<std::string> schema1_payload(std::string_view manifest) {
  // Only of what may be signed it matters whether tug can read it.
  const bool may_be_signed =
      trim(manifest).starts_with('{') && manifest.find("\"signatures\"") != std::string_view::npos;
  if (!may_be_signed) return std::nullopt;
  const Json document = Json::parse(manifest, {.max_bytes = kMaxManifestBytes});
  const Json* version = document.find("schemaVersion");
  const Json* signatures = document.find("signatures");
  if (version == nullptr || version->as_uint() != 1 || signatures == nullptr ||
      signatures->is_null() || is_named(document.string_or_empty("mediaType")))
    return std::nullopt;
  const Json::Array* list = signatures->as_array();
  if (list == nullptr || list->empty()) throw no_signature("there is none");
  const Format format = format_of(list->front());
  for (const Json& signature : *list) {
    if (format_of(signature) != format) throw no_signature("they sign different things");
  }
  if (format.length > manifest.size()) throw no_signature("formatLength is too large");
  return std::string(manifest.substr(0, static_cast<std::size_t>(format.length))) + format.tail;
}

}  // namespace tug
