// Logging in to a registry and out again (cli-surface.md A.5, step-contract.md 4): what `tug
// login`, `tug logout` and the step's container-registries do.
#ifndef TUG_REGISTRY_LOGIN_H_
#define TUG_REGISTRY_LOGIN_H_

#include "registry/credentials.h"
#include "registry/host.h"

#include <tug/reference.h>
#include <tug/secret.h>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace tug::registry {

// What one logs in to: "HOST[:PORT]" or "HOST[:PORT]/PATH". A value.
class LoginKey {
 public:
  // Of a URL only its host and port count, as with skopeo and buildah. Throws Error(usage).
  static LoginKey parse(std::string_view text);

  // The key in an auth file.
  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  [[nodiscard]] const std::string& registry() const noexcept { return reference_.registry(); }
  // "" for a whole registry.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // A repository that the login is good for.
  [[nodiscard]] const RegistryReference& reference() const noexcept { return reference_; }

 private:
  LoginKey(std::string text, std::string path, RegistryReference reference)
      : text_(std::move(text)), path_(std::move(path)), reference_(std::move(reference)) {}
  std::string text_;
  std::string path_;
  RegistryReference reference_;
};

// Where logins are kept, as the flags say; at most one of the two.
struct LoginFiles {
  // Unset: $REGISTRY_AUTH_FILE, else $DOCKER_CONFIG/config.json, else the default one.
  std::optional<std::string> authfile;
  std::optional<std::string> compat_authfile;  // docker's config.json, in its own way
};

struct LoginRequest {
  std::string target;  // REGISTRY[/PATH]
  std::string username;
  Secret password;
  LoginFiles files;
  std::optional<bool> tls_verify;  // unset: registries.conf decides, else true
  std::optional<std::string> cert_dir;
};

struct LoginResult {
  std::string key;
  std::string stored_in;  // a file's path, or "credential helper: NAME"
};

// Asks the registry (GET /v2/, with a token exchange if it wants one) whether the credentials are
// good, and only then stores them. Throws Error(auth) with status 401, `logging into "KEY": invalid
// username/password`, when they are not; Error(usage) for a request that cannot be meant;
// Error(network), … as Host; Error(auth/local) when they cannot be stored. No file is changed then.
LoginResult log_in(const Environment& environment, const LoginRequest& request,
                   const std::stop_token& stop);

// Whether the registry takes the request's credentials; stores nothing. Throws as log_in(), but for
// the 401.
bool accepts_login(const Environment& environment, const LoginRequest& request,
                   const std::stop_token& stop);

// The stored credentials that `target` would be accessed with; Kind::anonymous if there are none.
Credential find_login(const Environment& environment, std::string_view target,
                      const LoginFiles& files, const std::stop_token& stop);

// Forgets the login to `target` and returns its key. Throws Error(auth) "not logged into KEY";
// Error(local) when a named file is not there; Error(auth/local) when a file or helper fails.
std::string log_out(const Environment& environment, std::string_view target,
                    const LoginFiles& files, const std::stop_token& stop);
// The same for all registries: every entry of the file that login writes to, and of the helpers.
// Which registry has which helper (credHelpers) is a setting, and stays.
void log_out_everywhere(const Environment& environment, const LoginFiles& files,
                        const std::stop_token& stop);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_LOGIN_H_
