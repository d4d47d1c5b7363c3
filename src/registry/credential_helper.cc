#include "registry/credential_helper.h"

#include "base/strings.h"
#include "base/subprocess.h"
#include "oci/json.h"

#include <algorithm>
#include <chrono>

namespace tug::registry {
namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr std::size_t kMaxOutput = 64 * 1024;
constexpr std::string_view kNotFound = "credentials not found in native keychain";

bool is_helper_name(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  });
}

// A failing helper says why on its stdout.
std::string words_of(const ProcessResult& result) { return printable(trim(result.output), 200); }

Json parse_output(const std::string& output, const std::string& program, std::string_view verb) {
  try {
    return Json::parse(output, {.max_bytes = kMaxOutput, .max_depth = 8});
  } catch (const Error&) {  // its words may hold the secret
    throw Error(ErrorKind::auth, program + " " + std::string(verb) + ": its output is not JSON");
  }
}

Credential parse_credential(const std::string& output, const std::string& program) {
  const Json document = parse_output(output, program, "get");
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

}  // namespace

CredentialHelper::CredentialHelper(const std::string& name)
    : program_("docker-credential-" + name) {
  if (!is_helper_name(name)) {
    throw Error(ErrorKind::auth,
                "\"" + printable(name, 100) + "\" is no name of a credential helper");
  }
}

Error CredentialHelper::not_installed() const {
  return {ErrorKind::auth, "the credential helper " + program_ + " is not installed"};
}

Error CredentialHelper::failed(std::string_view verb, const std::string& key, int status,
                               const std::string& said) const {
  const std::string object = key.empty() ? "" : " for " + key;
  return {ErrorKind::auth, program_ + " " + std::string(verb) + " failed" + object +
                               " with status " + std::to_string(status) +
                               (said.empty() ? "" : ": " + said)};
}

std::optional<Credential> CredentialHelper::get(const std::string& key,
                                                const std::stop_token& stop) const {
  const auto result = run_process({program_, "get"}, key, kTimeout, kMaxOutput, stop);
  if (!result) return std::nullopt;
  if (result->exit_status == 0) return parse_credential(result->output, program_);
  const std::string said = words_of(*result);
  if (said == kNotFound) return Credential{};
  throw failed("get", key, result->exit_status, said);
}

bool CredentialHelper::store(const std::string& key, const std::string& username,
                             const Secret& password, const std::stop_token& stop) const {
  const Secret input(
      Json::object(
          {{"ServerURL", key}, {"Username", username}, {"Secret", std::string(password.reveal())}})
          .dump());
  const auto result = run_process({program_, "store"}, input.reveal(), kTimeout, kMaxOutput, stop);
  if (!result) return false;
  if (result->exit_status == 0) return true;
  // A helper that repeats its input would have us print the password.
  const bool tells = result->output.find(password.reveal()) != std::string::npos;
  throw failed("store", key, result->exit_status, tells ? "" : words_of(*result));
}

std::optional<bool> CredentialHelper::erase(const std::string& key,
                                            const std::stop_token& stop) const {
  const auto result = run_process({program_, "erase"}, key, kTimeout, kMaxOutput, stop);
  if (!result) return std::nullopt;
  if (result->exit_status == 0) return true;
  const std::string said = words_of(*result);
  if (said == kNotFound) return false;
  throw failed("erase", key, result->exit_status, said);
}

std::optional<std::vector<std::string>> CredentialHelper::list(const std::stop_token& stop) const {
  // The Go client of helpers writes this word, and some helpers want a line to read.
  const auto result = run_process({program_, "list"}, "unused", kTimeout, kMaxOutput, stop);
  if (!result) return std::nullopt;
  if (result->exit_status != 0) throw failed("list", "", result->exit_status, words_of(*result));
  std::vector<std::string> keys;
  const Json document = parse_output(result->output, program_, "list");
  if (const Json::Object* users = document.as_object()) {
    for (const auto& [key, user] : *users) keys.push_back(key);
  }
  return keys;
}

}  // namespace tug::registry
