#include "cli/sync_names.h"

#include "base/strings.h"
#include "cli/go_value.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <vector>

namespace tug::cli {
namespace {

std::string scoped_name(const SyncDestination& destination, const std::string& name) {
  if (!destination.scoped) return base_of_path(name);
  const std::string prefix = destination.strip_prefix + "/";
  const bool has_prefix = !destination.strip_prefix.empty() && name.starts_with(prefix);
  return has_prefix ? name.substr(prefix.size()) : name;
}

ImageReference registry_image(const SyncDestination& destination, const std::string& name) {
  const std::string text =
      join_paths(destination.place, scoped_name(destination, name)) + destination.append_suffix;
  try {
    return {Transport::docker, RegistryReference::parse(text).str()};
  } catch (Error& error) {
    error.add_context(fmt::format(
        R"(Cannot obtain a valid image reference for transport "docker" and reference {})",
        go_quoted("//" + printable(text, 500))));
    if (destination.scoped && error.hint().empty())
      error.set_hint("--strip-prefix leaves the registry's name and more out");
    throw;
  }
}

ImageReference directory(const SyncDestination& destination, const std::string& name) {
  const std::string path =
      join_paths(destination.place, scoped_name(destination, name)) + destination.append_suffix;
  const std::string place = clean_path(destination.place);
  const bool is_below = place == "." ? !path.starts_with('/') && path != "." && path != ".." &&
                                           !path.starts_with("../")
                        : place == "/" ? path.size() > 1
                                       : path.starts_with(place + "/");
  if (!is_below || clean_path(path) != path) {
    throw Error(ErrorKind::usage,
                fmt::format("the image \"{}\" would go to {}, which is not below {}",
                            printable(name, 200), printable(path, 200), printable(place, 200)));
  }
  return {Transport::dir, path};
}

}  // namespace

std::string clean_path(std::string_view path) {
  const bool is_absolute = path.starts_with('/');
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!is_absolute) {
      parts.emplace_back(part);
    }
  }
  const std::string joined = (is_absolute ? "/" : "") + join(parts, "/");
  return joined.empty() ? "." : joined;
}

std::string join_paths(std::string_view a, std::string_view b) {
  if (a.empty() && b.empty()) return "";
  if (a.empty()) return clean_path(b);
  return clean_path(std::string(a) + "/" + std::string(b));
}

std::string base_of_path(std::string_view path) {
  if (path.empty()) return ".";
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path == "/") return "/";
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string sync_name_of_directory(const std::string& image, const std::string& source) {
  const std::string name = image.starts_with(source) ? image.substr(source.size()) : image;
  return name.empty() ? base_of_path(source) : name;
}

std::string sync_name_of_entry(const std::string& entry, const std::string& layout) {
  return is_tag(entry) ? base_of_path(layout) + ":" + entry : entry;
}

ImageReference sync_destination(const SyncDestination& destination, const std::string& name) {
  switch (destination.transport) {
    case Transport::dir:
      return directory(destination, name);
    case Transport::oci:
      return {Transport::oci,
              fmt::format("{}:{}{}", destination.place, scoped_name(destination, name),
                          destination.append_suffix)};
    default:
      return registry_image(destination, name);
  }
}

}  // namespace tug::cli
