#include "step/registries.h"

#include "base/strings.h"
#include "step/step_error.h"
#include "step/truth.h"

#include <algorithm>

namespace tug::step {
namespace {

constexpr std::string_view kSetting = "container-registries";

// The entry as Python prints it, but only what cannot be a secret: a mistyped key ("passwd") may
// hold one, and an entry that is no mapping may be one.
std::string shown(const Value& entry) {
  const std::string hidden = python_repr(SecretMask::kMask);
  const Value::Map* map = entry.as_map();
  if (map == nullptr) return hidden;
  std::vector<std::string> members;
  for (const auto& [key, value] : *map) {
    const std::string name = key.str();
    const bool is_harmless = name == "uri" || name == "tls-verify";
    members.push_back(key.repr() + ": " + (is_harmless ? value.repr() : hidden));
  }
  return "{" + join(members, ", ") + "}";
}

// A failed step, with the message that upstream records (4.1).
[[noreturn]] void missing(const std::string& which, std::string_view key, const Value& entry) {
  throw StepError(StepStatus::not_successful, "Configuration for container registry " + which +
                                                  "must specify a '" + std::string(key) +
                                                  "': " + shown(entry));
}

// A failed step for which upstream records no message; the person who ran it is told all the same.
[[noreturn]] void malformed(const std::string& why) {
  throw StepError(StepStatus::not_successful, why, "");
}

[[noreturn]] void refused(const std::string& why) { throw StepError(StepStatus::fatal, why); }

// "container-registries.registry.example.password in psr.yaml", also for what is in no file.
std::string name_of(const Value& value, std::string_view key) {
  const std::string where = value.where();
  return where.empty() ? std::string(kSetting) + ": " + std::string(key) : where;
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// --- one entry ---

const Value& require(const Value& entry, std::string_view key, const std::string& which) {
  const Value* value = entry.find(key);
  if (value == nullptr) missing(which, key, entry);
  return *value;
}

// Python's truth; a password is judged by its text, which is what it is.
void require_content(const Value& value, std::string_view key) {
  if (!value.truthy() && (key != "password" || value.written().empty()))
    malformed(name_of(value, key) + " is empty");
  if (value.is_list() || value.is_map())
    malformed(name_of(value, key) + " is " + std::string(value.type_name()) + ", not text");
}

// The key of the auth file (4.4): no scheme, no slash at the end; a path stays.
std::string registry_of(const Value& uri) {
  std::string_view text = uri.is_string() ? std::string_view(*uri.as_string()) : "";
  const std::string digits = uri.is_string() ? "" : uri.str();
  if (!uri.is_string()) text = digits;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!starts_with_ignore_case(text, scheme)) continue;
    text.remove_prefix(scheme.size());
    break;
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/[]";
  const bool is_registry = !text.empty() && text.front() != '/' &&
                           text.find_first_not_of(kAllowed) == std::string_view::npos &&
                           text.find("//") == std::string_view::npos;
  if (!is_registry)
    refused(name_of(uri, "uri") + ": " + python_repr(printable(uri.str(), 200)) +
            " is no registry: write HOST[:PORT][/PATH]");
  return std::string(text);
}

Secret password_of(const Value& value, std::vector<std::string>& warnings) {
  std::string text = value.is_string() ? *value.as_string() : value.written();
  if (text.empty()) text = value.str();
  if (!value.is_string())
    warnings.push_back(name_of(value, "password") + " is read as " +
                       std::string(value.type_name()) + "; its text as written is used: quote it");
  // A YAML block scalar ends in a line break that nobody means.
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) malformed(name_of(value, "password") + " is empty");
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    refused(name_of(value, "password") +
            " has more than one line, which no registry takes: remove the line break");
  return Secret(std::move(text));
}

std::string username_of(const Value& value) {
  std::string text = value.str();
  if (has_control_character(text))
    refused(name_of(value, "username") + " has a line break or control character in it");
  return text;
}

bool verify_of(const Value& entry, bool dest_tls_verify) {
  const Value* own = entry.find("tls-verify");
  if (!dest_tls_verify) return false;
  if (own == nullptr) return true;
  const std::string text = to_lower(own->str());
  const auto flag = parse_flag_bool(text);
  if (!flag)
    refused(name_of(*own, "tls-verify") + ": " + python_repr(printable(text, 60)) +
            " is neither true nor false, which is all that a login takes");
  return *flag;
}

Login read_entry(const Value& uri, const Value& entry, bool dest_tls_verify,
                 const Decryptors& decryptors, std::vector<std::string>& warnings) {
  const Value& username = *entry.find("username");
  const Value& password = *entry.find("password");
  require_content(uri, "uri");
  require_content(username, "username");
  require_content(password, "password");
  Login login;
  login.uri = uri.str();
  login.registry = registry_of(uri);
  login.username = username_of(username);
  login.hide_username = decryptors.claims(username);
  login.password = password_of(password, warnings);
  login.tls_verify = verify_of(entry, dest_tls_verify);
  return login;
}

}  // namespace

std::string Login::host() const { return registry.substr(0, registry.find('/')); }

std::vector<Login> read_registries(const Value& registries, bool dest_tls_verify,
                                   const Decryptors& decryptors,
                                   std::vector<std::string>& warnings) {
  std::vector<Login> logins;
  const auto add = [&](const Value& uri, const Value& entry) {
    logins.push_back(read_entry(uri, entry, dest_tls_verify, decryptors, warnings));
  };
  if (const Value::Map* map = registries.as_map()) {
    for (const auto& [key, entry] : *map) {
      const std::string which = "(" + key.str() + ") ";
      require(entry, "username", which);
      require(entry, "password", which);
      const Value* uri = entry.find("uri");
      add(uri == nullptr ? key : *uri, entry);
    }
  } else if (const Value::List* list = registries.as_list()) {
    for (const Value& entry : *list) {
      const Value& uri = require(entry, "uri", "");
      require(entry, "username", "");
      require(entry, "password", "");
      add(uri, entry);
    }
  } else if (!registries.is_null()) {
    const std::string where = registries.where();
    malformed((where.empty() ? std::string(kSetting) : where) + " is " +
              std::string(registries.type_name()) + ", neither a mapping nor a list of registries" +
              (registries.is_string() ? " (it cannot be given with --step-config)" : ""));
  }
  return logins;
}

}  // namespace tug::step
