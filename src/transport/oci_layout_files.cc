#include "transport/oci_layout_files.h"

#include "base/strings.h"
#include "oci/descriptor_json.h"
#include "oci/json.h"

#include <tug/error.h>

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace tug {
namespace {

const std::string kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutVersion = "1.0.0";
constexpr std::size_t kMaxLayoutFileBytes = 64 * 1024;

std::string entry_name(const Json& entry) {
  const Json* annotations = entry.find("annotations");
  return annotations == nullptr ? std::string() : annotations->string_or_empty(kRefName);
}

bool names(const Json& entry, const Descriptor& image) {
  const Json* size = entry.find("size");
  return entry.string_or_empty("digest") == image.digest.str() &&
         entry.string_or_empty("mediaType") == image.media_type && size != nullptr &&
         size->as_uint() == image.size;
}

bool is_alphanumeric(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

std::string blob_directory(const std::string& parent, const Digest& digest) {
  return (parent.empty() ? "" : parent + "/") + std::string(digest.algorithm_name());
}

std::string blob_path(const std::string& parent, const Digest& digest) {
  return blob_directory(parent, digest) + "/" + std::string(digest.hex());
}

ImageDirectory open_layout_directory(const std::string& path) {
  try {
    return ImageDirectory(path);
  } catch (Error& error) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode))
      error.set_hint("a layout in a tar file is oci-archive:" + path);
    throw;
  }
}

void check_layout_version(const ImageFiles& layout) {
  const std::string file(kLayoutFile);
  const std::string name = layout.path_of(file);
  if (!layout.has(file)) {
    throw Error(ErrorKind::local, layout.path() + " is no OCI layout: there is no file " + name);
  }
  const std::string text = layout.read(file, kMaxLayoutFileBytes);
  const Json document = with_context(name, [&] { return Json::parse(text); });
  const std::optional<std::string> version = document.string_member("imageLayoutVersion");
  if (!version) throw Error(ErrorKind::integrity, name + " has no imageLayoutVersion");
  if (*version != kLayoutVersion) {
    throw Error(ErrorKind::integrity, name + " says version \"" + printable(*version, 100) +
                                          "\" of the layout; only " + std::string(kLayoutVersion) +
                                          " is known");
  }
}

Index read_layout_index(const ImageFiles& layout) {
  const std::string file(kLayoutIndex);
  std::string text = layout.read(file, kMaxManifestBytes);
  return with_context(layout.path_of(file), [&] {
    if (trim(text).empty()) throw Error(ErrorKind::integrity, "the file is empty");
    return Index::parse(std::move(text));
  });
}

const std::string* ref_name(const Descriptor& entry) noexcept {
  const auto found = entry.annotations.find(kRefName);
  return found == entry.annotations.end() ? nullptr : &found->second;
}

// component ("/" component)*, where a component is alphanumeric, with separators between: one of
// -._:@+ or two hyphens.
bool is_ref_name(std::string_view name) noexcept {
  bool after_alphanumeric = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (is_alphanumeric(name[i])) {
      after_alphanumeric = true;
      continue;
    }
    if (!after_alphanumeric || std::string_view("-._:@+/").find(name[i]) == std::string_view::npos)
      return false;
    if (name.substr(i).starts_with("--")) ++i;
    after_alphanumeric = false;
  }
  return after_alphanumeric;
}

Json layout_entry(const Descriptor& image, const std::string& name) {
  Json entry = Json::object();
  update_descriptor(entry, image);
  if (!name.empty()) entry.set("annotations", Json::object({{kRefName, name}}));
  return entry;
}

std::string index_with_image(const Index& index, const Descriptor& image, const std::string& name) {
  Json document = Json::parse(index.bytes());
  return put_layout_entry(document, image, name) ? document.dump() : index.bytes();
}

bool put_layout_entry(Json& document, const Descriptor& image, const std::string& name) {
  Json* list = document.find("manifests");
  if (list == nullptr || list->as_array() == nullptr) {  // null, as Go writes an empty list
    document.set("manifests", Json::array());
    list = document.find("manifests");
  }
  Json::Array& entries = *list->as_array();
  const auto is_named = [&](const Json& entry) {
    return !name.empty() && entry_name(entry) == name;
  };
  auto place = std::find_if(entries.begin(), entries.end(), is_named);
  if (place != entries.end()) {
    const auto others = std::remove_if(place + 1, entries.end(), is_named);
    if (names(*place, image) && others == entries.end()) return false;
    entries.erase(others, entries.end());
  } else {
    place = std::find_if(entries.begin(), entries.end(), [&](const Json& entry) {
      return entry_name(entry).empty() && names(entry, image);
    });
    if (place != entries.end() && name.empty()) return false;
  }
  if (place == entries.end()) {
    entries.push_back(layout_entry(image, name));
  } else if (!names(*place, image) || !is_named(*place)) {
    *place = layout_entry(image, name);
  }
  return true;
}

}  // namespace tug
