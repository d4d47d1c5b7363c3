#include "registry/tag_page.h"

#include "oci/json.h"

#include <tug/error.h>
#include <tug/reference.h>

namespace tug::registry {
namespace {

Json parse_page(std::string_view body, const std::string& authority) {
  Json::Limits limits;
  limits.max_bytes = kMaxTagPage;
  return with_context("the tag list of " + authority, [&] {
    try {
      return Json::parse(body, limits);
    } catch (const Error& error) {
      throw Error(ErrorKind::protocol, error.message());
    }
  });
}

}  // namespace

std::vector<std::string> tags_of_page(std::string_view body, const std::string& authority) {
  const Json page = parse_page(body, authority);
  const Json* list = page.find("tags");
  const Json::Array* items = list != nullptr ? list->as_array() : nullptr;
  std::vector<std::string> tags;
  if (items == nullptr) return tags;  // null: an empty repository
  for (const Json& item : *items) {
    const std::string* tag = item.as_string();
    if (tag == nullptr || !is_tag(*tag))
      throw Error(ErrorKind::protocol, authority + " lists something that is no tag");
    tags.push_back(*tag);
  }
  return tags;
}

}  // namespace tug::registry
