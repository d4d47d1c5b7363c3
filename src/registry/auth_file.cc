// One auth file: which entry is meant (4.2), and what it says (4.3).
#include "registry/auth_file.h"

#include "base/strings.h"
#include "registry/credentials.h"

#include <tug/error.h>

#include <algorithm>

namespace tug::registry {
namespace {

constexpr Json::Limits kFileLimits{.max_bytes = kMaxAuthFileBytes, .max_depth = 32};

// A key without what docker put around the registry's name: "https://index.docker.io/v1/" is
// index.docker.io. Only legacy files have paths behind a bare host.
std::string normalised(std::string_view key, bool legacy) {
  bool cut = legacy;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!starts_with_ignore_case(key, scheme)) continue;
    key.remove_prefix(scheme.size());
    cut = true;
    break;
  }
  if (cut) key = key.substr(0, key.find('/'));
  if (key == "docker.io" || key == "registry-1.docker.io") return "index.docker.io";
  return std::string(key);
}

// "h/a/b", "h/a", "h": the keys that may serve a repository, the most specific first.
std::vector<std::string> exact_keys(std::string_view registry, std::string_view repository) {
  std::vector<std::string> keys;
  std::string key = std::string(registry) + "/" + std::string(repository);
  while (key.size() > registry.size()) {
    if (!key.ends_with('/')) keys.push_back(key);
    key.resize(key.rfind('/'));
  }
  keys.push_back(key);
  return keys;
}

Error broken(const std::string& path, const std::string& what) {
  return Error(ErrorKind::auth, "reading credentials from " + path + ": " + what);
}

// The password in `auth` = base64("user:password"). An entry without a colon means nothing, as in
// docker. (Some tools padded the password with NULs.)
struct UserPassword {
  std::string user;
  std::string password;
};
std::optional<UserPassword> decode_auth(const std::string& auth, const std::string& path,
                                        const std::string& key) {
  const auto plain = base64_decode(trim(auth));
  if (!plain) throw broken(path, "the auth member of key " + key + " is not base64");
  const std::size_t colon = plain->find(':');
  if (colon == std::string::npos) return std::nullopt;
  UserPassword pair{plain->substr(0, colon), plain->substr(colon + 1)};
  while (pair.password.ends_with('\0')) pair.password.pop_back();
  return pair;
}

// nullopt for {} and its like: a mark that some helper owns the key.
std::optional<Credential> decode_entry(const Json& entry, const std::string& path,
                                       const std::string& key) {
  std::optional<UserPassword> pair;
  if (std::string auth = entry.string_or_empty("auth"); !auth.empty()) {
    pair = decode_auth(auth, path, key);
  } else if (std::string user = entry.string_or_empty("username"); !user.empty()) {
    pair = UserPassword{std::move(user), entry.string_or_empty("password")};
  }
  Credential credential;
  credential.origin = path + " (key " + printable(key, 200) + ")";
  if (pair) credential.username = pair->user;
  if (std::string bearer = entry.string_or_empty("registrytoken"); !bearer.empty()) {
    credential.kind = Credential::Kind::bearer;
    credential.secret = Secret(std::move(bearer));
  } else if (std::string identity = entry.string_or_empty("identitytoken"); !identity.empty()) {
    credential.kind = Credential::Kind::identity_token;
    credential.secret = Secret(std::move(identity));
    if (pair) credential.password = Secret(std::move(pair->password));
  } else if (pair) {
    credential.kind = Credential::Kind::password;
    credential.secret = Secret(std::move(pair->password));
  } else {
    return std::nullopt;
  }
  return credential;
}

std::optional<Credential> find_in_auths(const Json& auths, bool legacy, std::string_view registry,
                                        std::string_view repository, const std::string& path) {
  for (const std::string& key : exact_keys(registry, repository)) {
    const Json* entry = auths.find(key);
    if (entry == nullptr) continue;
    if (auto credential = decode_entry(*entry, path, key)) return credential;
  }
  const std::string wanted = normalised(registry, legacy);
  for (const auto& [key, entry] : *auths.as_object()) {
    if (normalised(key, legacy) != wanted) continue;
    if (auto credential = decode_entry(entry, path, key)) return credential;
  }
  return std::nullopt;
}

void find_helper(const Json& document, bool docker, std::string_view registry,
                 AuthFileEntry& found) {
  const Json* helpers = document.find("credHelpers");
  if (helpers != nullptr && helpers->is_object()) {
    const std::string wanted = normalised(registry, false);
    for (const auto& [key, name] : *helpers->as_object()) {
      if (normalised(key, false) != wanted || !name.is_string() || name.as_string()->empty())
        continue;
      found.helper = *name.as_string();
      found.helper_keys = helper_keys(registry, key);
      if (key == registry) return;
    }
    if (found.helper) return;
  }
  if (std::string store = document.string_or_empty("credsStore"); docker && !store.empty()) {
    found.helper = std::move(store);
    found.helper_keys = helper_keys(registry, registry);
    found.helper_is_global = true;
  }
}

}  // namespace

std::vector<std::string> helper_keys(std::string_view registry, std::string_view configured) {
  std::vector<std::string> keys{std::string(configured)};
  if (registry == "docker.io" && configured != kHubKey) keys.emplace_back(kHubKey);
  return keys;
}

Json parse_auth_file(std::string_view text, const std::string& path) {
  if (trim(text).empty()) return Json::object();
  Json document;
  try {
    document = Json::parse(text, kFileLimits);
  } catch (const Error& error) {
    throw broken(path, error.message());
  }
  if (!document.is_object()) throw broken(path, "it is not a JSON object");
  return document;
}

AuthFileEntry match_auth_file(std::string_view text, AuthFile::Format format,
                              std::string_view registry, std::string_view repository,
                              const std::string& path) {
  AuthFileEntry found;
  const Json document = parse_auth_file(text, path);
  if (format == AuthFile::Format::dockercfg) {
    found.credential = find_in_auths(document, true, registry, repository, path);
    return found;
  }
  find_helper(document, format == AuthFile::Format::docker, registry, found);
  const Json* auths = document.find("auths");
  if (auths == nullptr || auths->is_null()) return found;
  if (!auths->is_object()) throw broken(path, "its member auths is not an object");
  found.credential = find_in_auths(*auths, false, registry, repository, path);
  return found;
}

}  // namespace tug::registry
