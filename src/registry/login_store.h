// Where a login is kept: an auth file, or the credential helper that a file or registries.conf
// chooses (registry-protocol.md section 4). login.h asks the registry; this asks nobody.
#ifndef TUG_REGISTRY_LOGIN_STORE_H_
#define TUG_REGISTRY_LOGIN_STORE_H_

#include "oci/json.h"
#include "registry/credential_helper.h"
#include "registry/credentials.h"
#include "registry/host.h"
#include "registry/login.h"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug::registry {

// Reads the files anew with each call. One thread at a time; the environment and the stop token
// must outlive it.
class LoginStore {
 public:
  // Throws Error(usage) when `files` names two.
  LoginStore(const Environment& environment, const LoginFiles& files, const std::stop_token& stop);

  // The auth file that is written to.
  [[nodiscard]] const AuthFile& file() const noexcept { return files_.front(); }
  // What is stored for `key`, Kind::anonymous if nothing.
  [[nodiscard]] Credential find(const LoginKey& key) const;
  // Throws what save() would refuse for, as far as it can be told beforehand.
  void check(const LoginKey& key) const;
  // In the first place of the helper list that takes it. Returns the place: a file's path, or
  // "credential helper: NAME".
  [[nodiscard]] std::string save(const LoginKey& key, const std::string& username,
                                 const Secret& password) const;
  // From every place. False when none had it. Each place is tried, then the first error thrown.
  [[nodiscard]] bool erase(const LoginKey& key) const;
  void erase_all() const;

 private:
  // The helper that an auth file names for a key.
  struct Owner {
    std::string name;
    std::vector<std::string> keys;
    bool is_global;  // credsStore: if it is not installed, the file is used
  };

  [[nodiscard]] std::string key_in_file(const LoginKey& key) const;
  [[nodiscard]] std::optional<Owner> owner_of(const LoginKey& key) const;
  [[nodiscard]] std::string save_in(const std::string& helper, const LoginKey& key,
                                    const std::string& username, const Secret& password) const;
  [[nodiscard]] std::string save_in_file(const LoginKey& key, const std::string& username,
                                         const Secret& password) const;
  [[nodiscard]] bool save_at_owner(const LoginKey& key, const std::string& username,
                                   const Secret& password, const Owner& owner) const;
  void set_entry(const std::string& key, const Json& entry) const;
  [[nodiscard]] bool erase_in_file(const LoginKey& key) const;
  [[nodiscard]] bool erase_in_helper(const std::string& name, const std::vector<std::string>& keys,
                                     bool optional) const;
  void erase_all_in_file() const;
  void erase_at_owners(const Json& document) const;
  void erase_all_in_helper(const std::string& name) const;
  void debug(const std::string& line) const;

  const Environment& environment_;
  const std::stop_token& stop_;
  bool docker_compatible_ = false;  // --compat-auth-file: as docker itself would write it
  std::vector<AuthFile> files_;     // in the order of reading; the first is the one written to
  std::vector<std::string> helpers_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_LOGIN_STORE_H_
