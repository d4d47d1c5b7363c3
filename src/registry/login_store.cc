#include "registry/login_store.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/auth_file.h"
#include "registry/auth_file_write.h"

#include <tug/error.h>

#include <utility>

namespace tug::registry {
namespace {

Json entry_of(const std::string& username, const Secret& password) {
  const Secret pair(username + ":" + std::string(password.reveal()));
  return Json::object({{"auth", base64_encode(pair.reveal())}});
}

std::string place_of(const std::string& helper) { return "credential helper: " + helper; }

Error path_not_supported(const LoginKey& key, const std::string& by) {
  return Error(ErrorKind::usage, by + " cannot keep a login for a path, " + key.str())
      .set_hint("log in to " + key.registry() + " as a whole");
}

// Runs each attempt, whatever became of those before it, and remembers the first failure.
class FirstFailure {
 public:
  template <typename Work>
  void run(Work&& work) {
    try {
      std::forward<Work>(work)();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      if (!first_) first_ = error;
    }
  }
  [[nodiscard]] const std::optional<Error>& seen() const noexcept { return first_; }
  void rethrow() const {
    if (first_) throw Error(*first_);
  }

 private:
  std::optional<Error> first_;
};

}  // namespace

LoginStore::LoginStore(const Environment& environment, const LoginFiles& files,
                       const std::stop_token& stop)
    : environment_(environment),
      stop_(stop),
      docker_compatible_(files.compat_authfile.has_value()) {
  if (files.authfile && files.compat_authfile) {
    throw Error(ErrorKind::usage, "--authfile and --compat-auth-file exclude each other");
  }
  if (docker_compatible_) {
    // Docker knows nothing of registries.conf's helpers.
    files_ = {{*files.compat_authfile, AuthFile::Format::docker, true}};
    helpers_ = {std::string(kAuthFilesHelper)};
    return;
  }
  RegistryAccess access;
  access.authfile = files.authfile;
  files_ = auth_files(access);
  // What is read third is written first, by skopeo, podman and buildah too: whoever sets it wants
  // the login there.
  if (const auto docker = env_nonempty("DOCKER_CONFIG"); docker && !files_.front().named)
    files_ = {{*docker + "/config.json", AuthFile::Format::docker, false}};
  helpers_ = environment.registries_conf.credential_helpers();
}

void LoginStore::debug(const std::string& line) const {
  if (environment_.log.enabled()) environment_.log.debug("login: " + line);
}

Credential LoginStore::find(const LoginKey& key) const {
  return find_stored_credential(files_, key.registry(), key.path(), helpers_, environment_.log,
                                stop_)
      .credential;
}

// ---- saving ------------------------------------------------------------------------------------

void LoginStore::check(const LoginKey& key) const {
  if (docker_compatible_ && !key.path().empty()) throw path_not_supported(key, file().path);
  for (const std::string& helper : helpers_) {
    if (helper == kAuthFilesHelper) check_auth_file(file());
  }
}

std::string LoginStore::save(const LoginKey& key, const std::string& username,
                             const Secret& password) const {
  FirstFailure failure;
  std::string place;
  for (const std::string& helper : helpers_) {
    failure.run([&] { place = save_in(helper, key, username, password); });
    if (place.empty()) continue;
    // Perhaps a keyring was meant, and it became a file.
    if (failure.seen() && environment_.note) {
      environment_.note("the login was stored in " + place + ", because " + failure.seen()->what());
    }
    debug("stored the login to " + key.str() + " in " + place);
    return place;
  }
  failure.rethrow();
  throw Error(ErrorKind::usage,
              "registries.conf leaves no place for logins: its list "
              "credential-helpers is empty");
}

std::string LoginStore::save_in(const std::string& helper, const LoginKey& key,
                                const std::string& username, const Secret& password) const {
  if (helper == kAuthFilesHelper) return save_in_file(key, username, password);
  const CredentialHelper program(helper);
  if (!key.path().empty()) throw path_not_supported(key, program.program());
  if (!program.store(key.str(), username, password, stop_)) throw program.not_installed();
  return place_of(helper);
}

std::string LoginStore::save_in_file(const LoginKey& key, const std::string& username,
                                     const Secret& password) const {
  const std::optional<Owner> owner = owner_of(key);
  if (owner && save_at_owner(key, username, password, *owner)) return place_of(owner->name);
  set_entry(key_in_file(key), entry_of(username, password));
  return file().path;
}

bool LoginStore::save_at_owner(const LoginKey& key, const std::string& username,
                               const Secret& password, const Owner& owner) const {
  const CredentialHelper program(owner.name);
  const bool docker_hub = docker_compatible_ && key.registry() == "docker.io";
  const std::string& stored_as = docker_hub ? owner.keys.back() : owner.keys.front();
  if (!program.store(stored_as, username, password, stop_)) {
    if (!owner.is_global) throw program.not_installed();
    debug(program.program() + " is not installed");
    return false;
  }
  // Docker marks with {} what its helper has; an old password in the entry's place goes.
  if (docker_compatible_) set_entry(key_in_file(key), Json::object());
  return true;
}

void LoginStore::set_entry(const std::string& key, const Json& entry) const {
  const auto edit = [&](Json& document) {
    auths_of(document, file()).set(key, entry);
    return true;
  };
  edit_auth_file(file(), edit, environment_.note, stop_);
}

// ---- erasing -----------------------------------------------------------------------------------

bool LoginStore::erase(const LoginKey& key) const {
  FirstFailure failure;
  bool erased = false;
  for (const std::string& helper : helpers_) {
    failure.run([&] {
      if (helper == kAuthFilesHelper) {
        erased |= erase_in_file(key);
      } else if (key.path().empty()) {  // a helper keeps none for a path
        erased |= erase_in_helper(helper, helper_keys(key.registry(), key.str()), true);
      }
    });
  }
  failure.rethrow();
  return erased;
}

bool LoginStore::erase_in_file(const LoginKey& key) const {
  if (!read_file_if_exists(file().path, kMaxAuthFileBytes)) return false;
  FirstFailure failure;
  bool erased = false;
  failure.run([&] {
    if (const std::optional<Owner> owner = owner_of(key))
      erased = erase_in_helper(owner->name, owner->keys, owner->is_global);
  });
  const std::string entry = key_in_file(key);
  const auto edit = [&](Json& document) {
    Json& auths = auths_of(document, file());
    if (auths.find(entry) == nullptr) return false;
    auths.erase(entry);
    erased = true;
    return true;
  };
  failure.run([&] { edit_auth_file(file(), edit, environment_.note, stop_); });
  failure.rethrow();
  return erased;
}

bool LoginStore::erase_in_helper(const std::string& name, const std::vector<std::string>& keys,
                                 bool optional) const {
  const CredentialHelper program(name);
  bool erased = false;
  for (const std::string& key : keys) {
    const std::optional<bool> done = program.erase(key, stop_);
    if (!done && !optional) throw program.not_installed();
    erased |= done.value_or(false);
    debug(program.program() + (done.value_or(false) ? " erased " : " has nothing for ") + key);
  }
  return erased;
}

void LoginStore::erase_all() const {
  FirstFailure failure;
  for (const std::string& helper : helpers_) {
    failure.run([&] {
      if (helper == kAuthFilesHelper) {
        erase_all_in_file();
      } else {
        erase_all_in_helper(helper);
      }
    });
  }
  failure.rethrow();
}

void LoginStore::erase_all_in_file() const {
  const auto text = read_file_if_exists(file().path, kMaxAuthFileBytes);
  if (!text) return;
  const auto edit = [&](Json& document) {
    Json& auths = auths_of(document, file());
    const bool had_any = !auths.as_object()->empty();
    auths = Json::object();
    return had_any;
  };
  const Json before = parse_auth_file(*text, file().path);
  FirstFailure failure;
  failure.run([&] { erase_at_owners(before); });
  failure.run([&] { edit_auth_file(file(), edit, environment_.note, stop_); });
  failure.rethrow();
}

// At the helpers that the auth file names.
void LoginStore::erase_at_owners(const Json& document) const {
  FirstFailure failure;
  const Json* helpers = document.find("credHelpers");
  if (helpers != nullptr && helpers->is_object()) {
    for (const auto& [key, name] : *helpers->as_object()) {
      if (!name.is_string() || name.as_string()->empty()) continue;
      failure.run([&, &key = key, &name = name] {
        (void)erase_in_helper(*name.as_string(), helper_keys(key, key), false);
      });
    }
  }
  const std::string store = document.string_or_empty("credsStore");
  if (file().format == AuthFile::Format::docker && !store.empty())
    failure.run([&] { erase_all_in_helper(store); });
  failure.rethrow();
}

void LoginStore::erase_all_in_helper(const std::string& name) const {
  const CredentialHelper program(name);
  const auto keys = program.list(stop_);
  if (!keys) return debug(program.program() + " is not installed");
  for (const std::string& key : *keys) (void)program.erase(key, stop_);
}

// ---- which key, which helper -------------------------------------------------------------------

std::string LoginStore::key_in_file(const LoginKey& key) const {
  const bool docker_hub = docker_compatible_ && key.registry() == "docker.io";
  return docker_hub ? std::string(kHubKey) : key.str();
}

// A path's login stays in the file: helpers know registries alone.
std::optional<LoginStore::Owner> LoginStore::owner_of(const LoginKey& key) const {
  const auto text = read_file_if_exists(file().path, kMaxAuthFileBytes);
  if (!text || !key.path().empty()) return std::nullopt;
  AuthFileEntry entry =
      match_auth_file(*text, file().format, key.registry(), key.path(), file().path);
  if (!entry.helper) return std::nullopt;
  return Owner{std::move(*entry.helper), std::move(entry.helper_keys), entry.helper_is_global};
}

}  // namespace tug::registry
