// One credential helper: the program docker-credential-NAME (registry-protocol.md 4.4). What it is
// asked, and the password that it is to store, go through its standard input alone.
#ifndef TUG_REGISTRY_CREDENTIAL_HELPER_H_
#define TUG_REGISTRY_CREDENTIAL_HELPER_H_

#include "registry/credentials.h"

#include <tug/error.h>
#include <tug/secret.h>

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::registry {

// A value. Every call runs the program once. nullopt, or false of store(): it is not installed.
// Throw Error(auth) when the program refuses, with its words, Error(local) when it cannot be run.
class CredentialHelper {
 public:
  // Throws Error(auth) for a name that is none: a path would run what nobody configured.
  explicit CredentialHelper(const std::string& name);
  [[nodiscard]] const std::string& program() const noexcept { return program_; }
  [[nodiscard]] Error not_installed() const;  // for callers that need it

  // Kind::anonymous: it knows nothing of `key`.
  [[nodiscard]] std::optional<Credential> get(const std::string& key,
                                              const std::stop_token& stop) const;
  [[nodiscard]] bool store(const std::string& key, const std::string& username,
                           const Secret& password, const std::stop_token& stop) const;
  // False: it had nothing for `key`.
  [[nodiscard]] std::optional<bool> erase(const std::string& key,
                                          const std::stop_token& stop) const;
  // The keys that it has credentials for.
  [[nodiscard]] std::optional<std::vector<std::string>> list(const std::stop_token& stop) const;

 private:
  [[nodiscard]] Error failed(std::string_view verb, const std::string& key, int status,
                             const std::string& said) const;
  std::string program_;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_CREDENTIAL_HELPER_H_
