// An auth file as a document: what reading it (credentials.h) and changing it (auth_file_write.h)
// share.
#ifndef TUG_REGISTRY_AUTH_FILE_H_
#define TUG_REGISTRY_AUTH_FILE_H_

#include "oci/json.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

constexpr std::size_t kMaxAuthFileBytes = std::size_t{1024} * 1024;
// The entry of registries.conf's credential-helpers that stands for the auth files.
constexpr std::string_view kAuthFilesHelper = "containers-auth.json";
// What docker calls docker.io.
constexpr std::string_view kHubKey = "https://index.docker.io/v1/";

// The file's JSON object; an empty text is an empty one. Throws Error(auth) naming `path`, without
// a word of the content.
Json parse_auth_file(std::string_view text, const std::string& path);

// What to ask a helper for, whose key is `configured`: docker stores the Hub's login under its old
// URL, containers under docker.io.
std::vector<std::string> helper_keys(std::string_view registry, std::string_view configured);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_AUTH_FILE_H_
