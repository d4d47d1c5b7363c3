#include "registry/credentials.h"

#include "base/fd.h"
#include "base/strings.h"
#include "registry/auth_file.h"
#include "registry/credential_helper.h"

#include <tug/error.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace tug::registry {
namespace {

void debug(const Log& log, const std::string& line) {
  if (log.enabled()) log.debug("credentials: " + line);
}

// ---- the search --------------------------------------------------------------------------------

class Search {
 public:
  Search(std::string_view registry, std::string_view repository, const Log& log,
         const std::stop_token& stop)
      : registry_(registry), repository_(repository), log_(log), stop_(stop) {}

  // True when the file (or a helper that it names) has a credential: then it is in lookup().
  bool in_file(const AuthFile& file) {
    const auto text = read_file_if_exists(file.path, kMaxAuthFileBytes);
    lookup_.looked_in.push_back(text ? file.path : file.path + " (not there)");
    if (!text) {
      debug(log_, file.path + " is not there");
      return false;
    }
    AuthFileEntry entry = match_auth_file(*text, file.format, registry_, repository_, file.path);
    if (entry.helper && with_context("helper of " + file.path, [&] {
          return in_helper(*entry.helper, entry.helper_keys, entry.helper_is_global);
        })) {
      return true;
    }
    if (!entry.credential) {
      debug(log_, file.path + " has nothing for " + registry_ + "/" + repository_);
      return false;
    }
    return found(std::move(*entry.credential));
  }

  // A helper that registries.conf lists, or an auth file names. `optional`: a missing program is
  // skipped.
  bool in_helper(const std::string& helper, const std::vector<std::string>& keys, bool optional) {
    const CredentialHelper program(helper);
    lookup_.looked_in.push_back(program.program());
    for (const std::string& key : keys) {
      auto credential = program.get(key, stop_);
      if (!credential) return missing(program, optional);
      if (credential->kind != Credential::Kind::anonymous) return found(std::move(*credential));
      debug(log_, program.program() + " has nothing for " + key);
    }
    return false;
  }

  bool found(Credential credential) {
    debug(log_, "using " + describe(credential));
    lookup_.credential = std::move(credential);
    return true;
  }
  CredentialLookup& lookup() noexcept { return lookup_; }

 private:
  bool missing(const CredentialHelper& program, bool optional) {
    if (!optional) throw program.not_installed();
    lookup_.looked_in.back() += " (not installed)";
    debug(log_, program.program() + " is not installed");
    return false;
  }

  std::string registry_;
  std::string repository_;
  const Log& log_;
  const std::stop_token& stop_;
  CredentialLookup lookup_;
};

std::optional<Credential> from_flags(const RegistryAccess& access) {
  Credential credential;
  credential.origin = "the command line";
  if (access.bearer_token) {
    credential.kind = Credential::Kind::bearer;
    credential.secret = *access.bearer_token;
    return credential;
  }
  if (!access.credentials) return std::nullopt;
  credential.kind = Credential::Kind::password;
  credential.username = access.credentials->first;
  credential.secret = access.credentials->second;
  if (credential.username.find(':') != std::string::npos) {
    throw Error(ErrorKind::usage, "a user name cannot have a colon in it (RFC 7617)");
  }
  return credential;
}

// One entry of registries.conf's credential-helpers. The list is global: what is missing or fails
// is passed over.
bool in_listed_helper(Search& search, const std::string& helper, const std::string& registry,
                      const Log& log) {
  try {
    return search.in_helper(helper, helper_keys(registry, registry), true);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    search.lookup().looked_in.back() += " (failed)";
    debug(log, error.what());
    return false;
  }
}

AuthFile::Format format_of_named(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  if (name == "config.json") return AuthFile::Format::docker;
  return name == ".dockercfg" ? AuthFile::Format::dockercfg : AuthFile::Format::containers;
}

std::string runtime_auth_file() {
  if (const auto runtime = env_nonempty("XDG_RUNTIME_DIR"))
    return *runtime + "/containers/auth.json";
  return "/run/containers/" + std::to_string(::getuid()) + "/auth.json";
}

}  // namespace

std::string describe(const Credential& credential) {
  const std::string from = " from " + credential.origin;
  switch (credential.kind) {
    case Credential::Kind::anonymous:
      return "no credentials";
    case Credential::Kind::password:
      return "user " + printable(credential.username, 100) + from;
    case Credential::Kind::identity_token:
      return "the identity token" + from;
    case Credential::Kind::bearer:
      return "the bearer token" + from;
  }
  return "";
}

std::vector<AuthFile> auth_files(const RegistryAccess& access) {
  const auto named = access.authfile ? access.authfile : env_nonempty("REGISTRY_AUTH_FILE");
  if (named) return {{*named, format_of_named(*named), true}};

  std::vector<AuthFile> files{{runtime_auth_file(), AuthFile::Format::containers, false}};
  const auto home = env_nonempty("HOME");
  const auto config = env_nonempty("XDG_CONFIG_HOME");
  if (config || home) {
    files.push_back({config.value_or(home.value_or("") + "/.config") + "/containers/auth.json",
                     AuthFile::Format::containers, false});
  }
  const auto docker = env_nonempty("DOCKER_CONFIG");
  if (docker || home) {
    files.push_back({docker.value_or(home.value_or("") + "/.docker") + "/config.json",
                     AuthFile::Format::docker, false});
  }
  if (home) files.push_back({*home + "/.dockercfg", AuthFile::Format::dockercfg, false});
  return files;
}

CredentialLookup find_credential(const RegistryAccess& access, std::string_view registry,
                                 std::string_view repository,
                                 const std::vector<std::string>& helper_list, const Log& log,
                                 const std::stop_token& stop) {
  Search search(registry, repository, log, stop);
  if (access.anonymous) {
    search.lookup().looked_in.emplace_back("nowhere, as asked by --no-creds");
    return std::move(search.lookup());
  }
  if (auto credential = from_flags(access)) {
    search.found(std::move(*credential));
    return std::move(search.lookup());
  }
  return find_stored_credential(auth_files(access), registry, repository, helper_list, log, stop);
}

bool may_have_credential(const RegistryAccess& access, std::string_view registry,
                         std::string_view repository, const std::vector<std::string>& helper_list) {
  if (access.anonymous) return false;
  const auto is_program = [](const std::string& helper) { return helper != kAuthFilesHelper; };
  const auto may_have = [&](const AuthFile& file) {
    const auto text = read_file_if_exists(file.path, kMaxAuthFileBytes);
    if (!text) return false;
    const auto entry = match_auth_file(*text, file.format, registry, repository, file.path);
    return entry.helper || entry.credential;
  };
  try {
    const std::vector<AuthFile> files = auth_files(access);
    return from_flags(access) || std::ranges::any_of(helper_list, is_program) ||
           std::ranges::any_of(files, may_have);
  } catch (const Error&) {
    return true;  // whoever needs it is told
  }
}

CredentialLookup find_stored_credential(const std::vector<AuthFile>& files,
                                        std::string_view registry, std::string_view repository,
                                        const std::vector<std::string>& helper_list, const Log& log,
                                        const std::stop_token& stop) {
  Search search(registry, repository, log, stop);
  for (const std::string& helper : helper_list) {
    const bool found = helper == kAuthFilesHelper
                           ? std::any_of(files.begin(), files.end(),
                                         [&](const AuthFile& file) { return search.in_file(file); })
                           : in_listed_helper(search, helper, std::string(registry), log);
    if (found) break;
  }
  return std::move(search.lookup());
}

}  // namespace tug::registry
