#include "transport/storage_reference.h"

#include "base/strings.h"

#include <tug/error.h>
#include <tug/reference.h>

#include <algorithm>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kIdLength = 64;
// Shorter texts are never taken for the beginning of an id.
constexpr std::size_t kMinPrefix = 3;

Error bad_reference(std::string_view text, const std::string& why) {
  return Error(ErrorKind::usage, "containers-storage:" + printable(text, 300) + ": " + why);
}

bool is_id(std::string_view text) noexcept {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// [driver@]graphroot[+runroot][:opt,opt…]: split at the first '@', then at the first ':', then at
// the first '+'.
StoreSpec parse_spec(std::string_view spec, std::string_view whole) {
  StoreSpec store;
  if (const std::size_t at = spec.find('@'); at != std::string_view::npos) {
    store.driver = spec.substr(0, at);
    spec.remove_prefix(at + 1);
    if (store.driver.empty()) throw bad_reference(whole, "the driver before @ is empty");
  }
  if (spec.empty()) throw bad_reference(whole, "the store in brackets is empty");
  if (const std::size_t colon = spec.find(':'); colon != std::string_view::npos) {
    for (std::string_view option : split(spec.substr(colon + 1), ',')) {
      if (!option.empty()) store.options.emplace_back(option);
    }
    spec = spec.substr(0, colon);
  }
  if (const std::size_t plus = spec.find('+'); plus != std::string_view::npos) {
    store.run_root = spec.substr(plus + 1);
    spec = spec.substr(0, plus);
    if (!store.run_root.starts_with('/'))
      throw bad_reference(whole, "the run root must be an absolute path");
  }
  if (!spec.starts_with('/')) throw bad_reference(whole, "the graph root must be an absolute path");
  store.graph_root = spec;
  if (store.driver == "overlay2") store.driver = "overlay";
  return store;
}

// The id that ends `text` after its last '@', if that is one; the id and its '@' are then cut off.
std::string take_id(std::string_view& text, const ImageName::FindId& find_id) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view last = text.substr(at + 1);
  if (last.empty()) throw bad_reference(text, "nothing stands after @");
  if (Digest::try_parse(last)) return {};
  std::string id;
  if (is_id(last)) {
    id = last;
  } else if (last.size() >= kMinPrefix) {
    id = find_id(std::string(last)).value_or("");
  }
  if (id.empty())
    throw bad_reference(
        text, "what stands after @ is neither a digest nor the id of an image in the store");
  text = text.substr(0, at);
  return id;
}

// Repository, tag and digest of a Docker reference, normalised.
ImageName parse_name(std::string_view text) {
  ImageName name;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    name.digest = Digest::try_parse(rest.substr(at + 1));
    if (!name.digest) throw bad_reference(text, "what stands after @ is no digest");
    rest = rest.substr(0, at);
  }
  const std::string_view path = repository_of(rest);
  if (path.size() < rest.size()) {
    name.tag = rest.substr(path.size() + 1);
    if (!is_tag(name.tag))
      throw bad_reference(text, "\"" + printable(name.tag, 140) + "\" is no tag");
  } else if (!name.digest) {
    name.tag = "latest";
  }
  name.repository = with_context("containers-storage:" + printable(text, 300),
                                 [&] { return RegistryReference::parse_repository(path).name(); });
  return name;
}

}  // namespace

StorageReference StorageReference::parse(std::string_view rest) {
  StorageReference reference = parse_store(rest);
  if (reference.image.empty()) throw bad_reference(rest, "an image name or id is missing");
  return reference;
}

StorageReference StorageReference::parse_store(std::string_view rest) {
  StorageReference reference;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) throw bad_reference(rest, "the bracket is not closed");
    reference.store = parse_spec(rest.substr(1, close - 1), rest);
    reference.image = rest.substr(close + 1);
  } else {
    reference.image = rest;
  }
  return reference;
}

ImageName ImageName::parse(std::string_view text, const FindId& find_id) {
  if (text.empty()) throw bad_reference(text, "an image name or id is missing");
  std::string_view rest = text;
  std::string id = take_id(rest, find_id);
  if (id.empty() && rest.size() >= kMinPrefix &&
      rest.find_first_of("@:") == std::string_view::npos) {
    if (std::optional<std::string> found = find_id(std::string(rest))) {
      id = std::move(*found);
      rest = {};
    }
  }
  ImageName name = rest.empty() ? ImageName() : parse_name(rest);
  name.id = std::move(id);
  return name;
}

std::string ImageName::name() const {
  std::string text = repository;
  if (!tag.empty()) text += ":" + tag;
  if (digest) text += "@" + digest->str();
  return text;
}

std::string ImageName::str() const { return id.empty() ? name() : name() + "@" + id; }

std::string_view repository_of(std::string_view name) noexcept {
  name = name.substr(0, name.find('@'));
  const std::size_t colon = name.rfind(':');
  // A colon before the last slash is a port's.
  if (colon != std::string_view::npos && name.find('/', colon) == std::string_view::npos)
    name = name.substr(0, colon);
  return name;
}

}  // namespace tug
