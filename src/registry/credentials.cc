#include "registry/credentials.h"

#include "base/fd.h"
#include "base/strings.h"
#include "base/subprocess.h"
#include "oci/json.h"

#include <tug/error.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxFileBytes = 1024 * 1024;
constexpr std::chrono::seconds kHelperTimeout{10};
constexpr std::size_t kMaxHelperOutput = 64 * 1024;
constexpr std::string_view kFilesHelper = "containers-auth.json";

void debug(const Log& log, const std::string& line) {
  if (log.enabled()) log.debug("credentials: " + line);
}

// ---- helpers (4.4) -----------------------------------------------------------------------------

std::string program_of(const std::string& helper) {
  const bool valid = !helper.empty() && std::all_of(helper.begin(), helper.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!valid) {
    throw Error(ErrorKind::auth,
                "\"" + printable(helper, 100) + "\" is no name of a credential helper");
  }
  return "docker-credential-" + helper;
}

Credential parse_helper_output(const std::string& output, const std::string& program) {
  Json document;
  try {
    document = Json::parse(output, {.max_bytes = kMaxHelperOutput, .max_depth = 8});
  } catch (const Error&) {
    throw Error(ErrorKind::auth, program + " get: its output is not JSON");  // may hold the secret
  }
  Credential credential;
  credential.origin = program;
  credential.username = document.string_or_empty("Username");
  credential.secret = Secret(document.string_or_empty("Secret"));
  if (credential.secret.empty() && credential.username.empty()) return credential;
  credential.kind = Credential::Kind::password;
  if (credential.username == "<token>") {
    credential.kind = Credential::Kind::identity_token;
    credential.username.clear();
  }
  return credential;
}

// What the helper says for one key. Kind::anonymous: it knows nothing of it; nullopt: no such
// program.
std::optional<Credential> ask_helper(const std::string& program, const std::string& key,
                                     const std::stop_token& stop) {
  const auto result = run_process({program, "get"}, key, kHelperTimeout, kMaxHelperOutput, stop);
  if (!result) return std::nullopt;
  if (result->exit_status == 0) return parse_helper_output(result->output, program);
  const std::string said = printable(trim(result->output), 200);
  if (said == "credentials not found in native keychain") return Credential{};
  throw Error(ErrorKind::auth, program + " get failed for " + key + " with status " +
                                   std::to_string(result->exit_status) +
                                   (said.empty() ? "" : ": " + said));
}

// ---- the search --------------------------------------------------------------------------------

class Search {
 public:
  Search(std::string_view registry, std::string_view repository, const Log& log,
         const std::stop_token& stop)
      : registry_(registry), repository_(repository), log_(log), stop_(stop) {}

  // True when the file (or a helper that it names) has a credential: then it is in lookup().
  bool in_file(const AuthFile& file) {
    const auto text = read_file_if_exists(file.path, kMaxFileBytes);
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
    const std::string program = program_of(helper);
    lookup_.looked_in.push_back(program);
    for (const std::string& key : keys) {
      auto credential = ask_helper(program, key, stop_);
      if (!credential) return missing(program, optional);
      if (credential->kind != Credential::Kind::anonymous) return found(std::move(*credential));
      debug(log_, program + " has nothing for " + key);
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
  bool missing(const std::string& program, bool optional) {
    if (!optional) {
      throw Error(ErrorKind::auth, "the credential helper " + program + " is not installed");
    }
    lookup_.looked_in.back() += " (not installed)";
    debug(log_, program + " is not installed");
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
  std::vector<std::string> keys{registry};
  if (registry == "docker.io") keys.emplace_back("https://index.docker.io/v1/");
  try {
    return search.in_helper(helper, keys, true);
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
  const std::vector<AuthFile> files = auth_files(access);
  for (const std::string& helper : helper_list) {
    const bool found = helper == kFilesHelper
                           ? std::any_of(files.begin(), files.end(),
                                         [&](const AuthFile& file) { return search.in_file(file); })
                           : in_listed_helper(search, helper, std::string(registry), log);
    if (found) break;
  }
  return std::move(search.lookup());
}

}  // namespace tug::registry
