// Finding the credentials for a repository (registry-protocol.md section 4): flags, auth files,
// credential helpers.
#ifndef TUG_REGISTRY_CREDENTIALS_H_
#define TUG_REGISTRY_CREDENTIALS_H_

#include "base/log.h"

#include <tug/registry.h>
#include <tug/secret.h>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

struct Credential {
  enum class Kind { anonymous, password, identity_token, bearer };
  Kind kind = Kind::anonymous;
  std::string username;
  Secret secret;  // password, refresh token, or raw bearer token
  // Beside an identity token: the password that the same entry holds, for token services that know
  // no POST (rule R3.4). A refresh token is never sent as a password.
  Secret password;
  // Where it comes from, for messages: "the command line", "/run/containers/0/auth.json (key
  // reg:5000/team)", "docker-credential-pass".
  std::string origin;

  friend bool operator==(const Credential&, const Credential&) = default;
};

// "user NAME from ORIGIN", "an identity token from ORIGIN": for messages, never with a secret.
std::string describe(const Credential& credential);

// What a look-up found and where it looked, so that a 401 can tell (user-asks 34, 39).
struct CredentialLookup {
  Credential credential;               // Kind::anonymous when nothing was found
  std::vector<std::string> looked_in;  // files and helpers, in order; "FILE (not there)"
};

// The auth files that are read, in order, for `access` and this environment (4.1). The first is the
// one written to by login, unless DOCKER_CONFIG is set (LoginStore).
struct AuthFile {
  std::string path;
  enum class Format { containers, docker, dockercfg } format = Format::containers;
  // Named by --authfile or REGISTRY_AUTH_FILE. It may be missing all the same: skopeo does not mind
  // (step-contract 5.1), and a 401 says that it was not there.
  bool named = false;
};
std::vector<AuthFile> auth_files(const RegistryAccess& access);

// Credentials for `registry` ("host[:port]", docker.io for the Hub) and `repository`. Reads files
// and runs helpers each time: callers keep the result. Throws Error(auth or local): unparsable or
// oversized file (names it), a helper of credHelpers that is missing or fails. `helper_list` is
// registries.conf's credential-helpers ({"containers-auth.json"} by default).
CredentialLookup find_credential(const RegistryAccess& access, std::string_view registry,
                                 std::string_view repository,
                                 const std::vector<std::string>& helper_list, const Log& log,
                                 const std::stop_token& stop);

// Whether that could find any. Runs no helper: one that would have to be asked counts, and so does
// a file that cannot be read.
bool may_have_credential(const RegistryAccess& access, std::string_view registry,
                         std::string_view repository, const std::vector<std::string>& helper_list);

// find_credential() without flags: what `files` and helpers hold. An empty `repository` asks for
// the registry as a whole.
CredentialLookup find_stored_credential(const std::vector<AuthFile>& files,
                                        std::string_view registry, std::string_view repository,
                                        const std::vector<std::string>& helper_list, const Log& log,
                                        const std::stop_token& stop);

// Pure: what one auth file's text says of a repository; `path` is for messages. Throws Error(auth).
// Exposed for tests and fuzzing.
struct AuthFileEntry {
  std::optional<Credential> credential;  // from auths
  // credHelpers[registry] or, in docker's config.json, credsStore: ask this program first.
  std::optional<std::string> helper;
  std::vector<std::string> helper_keys;  // what to ask it for, in order, until it knows one
  bool helper_is_global = false;         // credsStore: a missing program is skipped
};
AuthFileEntry match_auth_file(std::string_view text, AuthFile::Format format,
                              std::string_view registry, std::string_view repository,
                              const std::string& path);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_CREDENTIALS_H_
