#include "copy/policy_scopes.h"

#include "base/strings.h"
#include "transport/docker_daemon.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tug {
namespace {

// "host/a/b:tag" → that, "host/a/b", "host/a", "host", "*.domain" …
void add_docker_scopes(const RegistryReference& reference, std::vector<std::string>& scopes) {
  scopes.push_back(reference.str());
  std::string name = reference.name();
  for (;;) {
    scopes.push_back(name);
    const auto slash = name.rfind('/');
    if (slash == std::string::npos) break;
    name.resize(slash);
  }
  const std::string host = name.substr(0, name.find(':'));
  for (auto dot = host.find('.'); dot != std::string::npos; dot = host.find('.', dot + 1))
    scopes.push_back("*" + host.substr(dot));
}

// Without links. What is not there has no image in it either, whatever is said of it.
std::string real_path(const std::string& path) {
  std::error_code failed;
  const auto real = std::filesystem::weakly_canonical(std::filesystem::absolute(path), failed);
  return failed ? std::filesystem::absolute(path).lexically_normal().string() : real.string();
}

// "/a/b/c" → that, "/a/b", "/a"
void add_path_scopes(const std::string& path, std::vector<std::string>& scopes) {
  for (std::string scope = real_path(path); scope.size() > 1; scope.resize(scope.rfind('/')))
    scopes.push_back(scope);
}

// Absolute, not "/", and with nothing in it that a path without links has not.
bool is_path_scope(std::string_view scope) {
  if (!scope.starts_with('/')) return false;
  const auto parts = split(scope.substr(1), '/');
  return std::none_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
}

bool is_image_id(std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// [[DRIVER@]/ROOT] and then nothing, NAME, NAME@DIGEST, NAME@ID, NAME@DIGEST@ID or @ID
bool is_storage_scope(std::string_view scope) {
  const auto close = scope.find(']');
  if (!scope.starts_with('[') || close == std::string_view::npos) return false;
  std::string_view root = scope.substr(1, close - 1);
  if (const auto at = root.find('@'); at != std::string_view::npos) {
    if (at == 0) return false;
    root.remove_prefix(at + 1);
  }
  if (!root.starts_with('/')) return false;
  const std::string_view name = scope.substr(close + 1);
  const auto first = name.find('@');
  if (first == std::string_view::npos) return true;
  const std::string_view after = name.substr(first + 1);
  const auto second = after.find('@');
  if (second == std::string_view::npos)
    return is_image_id(after) || Digest::try_parse(after).has_value();
  return Digest::try_parse(after.substr(0, second)).has_value() &&
         is_image_id(after.substr(second + 1));
}

}  // namespace

std::vector<std::string> policy_scopes(const ImageReference& source) {
  std::vector<std::string> scopes;
  switch (source.transport) {
    case Transport::docker:
      add_docker_scopes(RegistryReference::parse(source.rest), scopes);
      break;
    case Transport::docker_daemon:
      if (const auto image = DaemonReference::parse(source.rest).image)
        add_docker_scopes(*image, scopes);
      break;
    case Transport::containers_storage:
      scopes = storage_scopes(
          find_stored_name(StorageReference::parse(source.rest), StorageEnvironment::current()));
      break;
    case Transport::oci:
    case Transport::oci_archive:  // the name after the path is none of the scope's
      add_path_scopes(source.rest.substr(0, source.rest.find(':')), scopes);
      break;
    case Transport::dir:
      add_path_scopes(source.rest, scopes);
      break;
    default:  // the whole transport, or nothing
      break;
  }
  scopes.emplace_back();
  return scopes;
}

std::vector<std::string> storage_scopes(const StoredName& image) {
  // As written, links and all: that is how containers/storage has it.
  std::string root = std::filesystem::path(image.graph_root).lexically_normal().string();
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  const std::string store = "[" + image.driver + "@" + root + "]";
  const ImageName& name = image.name;
  std::vector<std::string> scopes = {store + name.name() + "@" + image.id};
  if (!name.repository.empty()) {
    scopes.push_back(store + name.name());
    if (!name.tag.empty() && name.digest)
      scopes.push_back(store + name.repository + ":" + name.tag);
    for (std::string path = name.repository;;) {
      scopes.push_back(store + path);
      const auto slash = path.rfind('/');
      if (slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  scopes.push_back(store);
  scopes.push_back("[" + root + "]");
  return scopes;
}

bool is_policy_scope(std::string_view transport, std::string_view scope) {
  if (transport == "oci" || transport == "oci-archive" || transport == "dir" || transport == "sif")
    return is_path_scope(scope);
  if (transport == "docker-archive" || transport == "tarball") return false;  // "" alone
  if (transport == "containers-storage") return is_storage_scope(scope);
  if (transport == "docker-daemon") return !Digest::try_parse(scope);
  return true;
}

}  // namespace tug
