#include "copy/policy.h"

#include "base/fd.h"
#include "base/strings.h"
#include "copy/policy_scopes.h"
#include "oci/json.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace tug {
namespace {

constexpr std::size_t kMaxPolicyBytes = 1024 * 1024;

using Keys = std::initializer_list<std::string_view>;

bool is_among(std::string_view key, const Keys& keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

Error invalid(const std::string& where, const std::string& why) {
  return Error(ErrorKind::usage, where + " " + why);
}

std::string quoted(std::string_view text) { return "\"" + printable(text, 100) + "\""; }

// An object with no other keys than `known`.
const Json::Object& object_of(const Json& value, const Keys& known, const std::string& where) {
  if (value.as_object() == nullptr) throw invalid(where, "is not an object");
  for (const auto& [key, member] : *value.as_object()) {
    if (!is_among(key, known)) throw invalid(where, "has the unknown key " + quoted(key));
  }
  return *value.as_object();
}

std::string text_of(const Json& object, std::string_view key, const std::string& where) {
  const auto text = object.string_member(key);
  if (!text || text->empty()) throw invalid(where, "has no " + quoted(key));
  return *text;
}

void check_reference(const Json& value, const std::string& where) {
  const std::string text = text_of(value, "dockerReference", where);
  const auto name = with_context(where, [&] { return RegistryReference::parse(text); });
  if (name.tag() && !text.ends_with(":" + *name.tag()))
    throw invalid(where, "has " + quoted(text) + ", which has neither tag nor digest");
}

bool is_host(std::string_view text) {
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && !parse_uint(text.substr(colon + 1))) return false;
  const auto labels = split(text.substr(0, colon), '.');
  return std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    return !label.empty() && !label.starts_with('-') && !label.ends_with('-') &&
           std::all_of(label.begin(), label.end(), [](char c) {
             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-';
           });
  });
}

// HOST[:PORT][/NAME]
void check_prefix(const Json& value, std::string_view key, const std::string& where) {
  const std::string text = text_of(value, key, where);
  const auto slash = text.find('/');
  const bool good =
      is_host(text.substr(0, slash)) &&
      (slash == std::string::npos || is_repository_name(std::string_view(text).substr(slash + 1)));
  if (!good) throw invalid(where, "has no valid " + quoted(key));
}

// signedIdentity and baseLayerIdentity: which names a signature may be for.
void check_identity(const Json& value, const std::string& where) {
  const std::string type = value.string_or_empty("type");
  if (type == "matchExact" || type == "matchRepoDigestOrExact" || type == "matchRepository") {
    object_of(value, {"type"}, where);
  } else if (type == "exactReference") {
    object_of(value, {"type", "dockerReference"}, where);
    check_reference(value, where);
  } else if (type == "exactRepository") {
    object_of(value, {"type", "dockerRepository"}, where);
    const std::string text = text_of(value, "dockerRepository", where);
    with_context(where, [&] { (void)RegistryReference::parse(text); });
  } else if (type == "remapIdentity") {
    object_of(value, {"type", "prefix", "signedPrefix"}, where);
    check_prefix(value, "prefix", where);
    check_prefix(value, "signedPrefix", where);
  } else {
    throw invalid(where, "is of the unknown type " + quoted(type));
  }
}

void check_key(std::string_view key, const Json& value, const std::string& where) {
  const std::string* text = value.as_string();
  bool good = text != nullptr && !text->empty();
  if (key == "keyData") {
    good = text != nullptr && base64_decode(*text);
  } else if (key == "keyPaths" || key == "keyDatas") {
    const Json::Array* keys = value.as_array();
    good = keys != nullptr && std::all_of(keys->begin(), keys->end(),
                                          [](const Json& each) { return each.is_string(); });
  } else if (key == "fulcio" || key == "pki") {
    good = value.is_object();
  }
  if (!good) throw invalid(where, "has no valid " + quoted(key));
}

// Who has to have signed: one key, or a set of them, in one of the ways of `sources`.
void check_keys(const Json& value, const Keys& sources, const std::string& where) {
  std::size_t found = 0;
  for (const std::string_view source : sources) {
    const Json* key = value.find(source);
    if (key == nullptr) continue;
    ++found;
    check_key(source, *key, where);
  }
  if (found != 1) {
    throw invalid(
        where, fmt::format("needs exactly one of {}",
                           join(std::vector<std::string>(sources.begin(), sources.end()), ", ")));
  }
}

void check_signed_by(const Json& value, const std::string& where) {
  object_of(value, {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}, where);
  check_keys(value, {"keyPath", "keyPaths", "keyData"}, where);
  const std::string type = value.string_or_empty("keyType");
  if (!is_among(type, {"GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"}))
    throw invalid(where, "has the unknown keyType " + quoted(type));
  if (const Json* identity = value.find("signedIdentity"))
    check_identity(*identity, where + ", signedIdentity,");
}

// With what later versions of containers/image have in it: such a rule rejects here in any case,
// and the rest of the file shall count.
void check_sigstore(const Json& value, const std::string& where) {
  object_of(
      value,
      {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki", "rekorPublicKeyPath",
       "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas", "signedIdentity"},
      where);
  check_keys(value, {"keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki"}, where);
  if (const Json* identity = value.find("signedIdentity"))
    check_identity(*identity, where + ", signedIdentity,");
}

void check_base_layer(const Json& value, const std::string& where) {
  object_of(value, {"type", "baseLayerIdentity"}, where);
  const Json* identity = value.find("baseLayerIdentity");
  if (identity == nullptr) throw invalid(where, "has no \"baseLayerIdentity\"");
  check_identity(*identity, where + ", baseLayerIdentity,");
}

}  // namespace

Policy Policy::accept_anything() {
  Policy policy;
  policy.default_ = {{Verdict::accept, "insecureAcceptAnything"}};
  return policy;
}

Policy Policy::load(const std::optional<std::string>& named) {
  if (named) {
    const std::string text =
        with_context("loading trust policy", [&] { return read_file(*named, kMaxPolicyBytes); });
    return parse(text, *named);
  }
  std::vector<std::string> places;
  if (const auto config = env_nonempty("XDG_CONFIG_HOME")) {
    places.push_back(*config + "/containers/policy.json");
  } else if (const auto home = env_nonempty("HOME")) {
    places.push_back(*home + "/.config/containers/policy.json");
  }
  places.emplace_back("/etc/containers/policy.json");
  places.emplace_back("/usr/share/containers/policy.json");
  for (const std::string& path : places) {
    if (const auto text = read_file_if_exists(path, kMaxPolicyBytes)) return parse(*text, path);
  }
  return accept_anything();  // what every distribution ships (user-asks 38)
}

Policy::Requirement Policy::parse_requirement(const Json& value, const std::string& list) {
  const std::string type = value.string_or_empty("type");
  const std::string where = list + ", " + printable(type, 60) + ",";
  if (type == "insecureAcceptAnything") {
    object_of(value, {"type"}, where);
    return {Verdict::accept, type};
  }
  if (type == "reject") {
    object_of(value, {"type"}, where);
    return {Verdict::reject, type};
  }
  if (type == "signedBy") {
    check_signed_by(value, where);
  } else if (type == "sigstoreSigned") {
    check_sigstore(value, where);
  } else if (type == "signedBaseLayer") {
    check_base_layer(value, where);
  } else {
    throw Error(ErrorKind::usage, fmt::format("{} has a requirement of the unknown type \"{}\"",
                                              list, printable(type, 60)));
  }
  return {Verdict::needs_signature, type};
}

Policy::Requirements Policy::parse_requirements(const Json& value, const std::string& where) {
  if (value.as_array() == nullptr || value.as_array()->empty()) {
    throw Error(ErrorKind::usage, where + " is not a list of requirements");
  }
  Requirements requirements;
  for (const Json& item : *value.as_array()) requirements.push_back(parse_requirement(item, where));
  return requirements;
}

void Policy::parse_transports(const Json& transports) {
  if (transports.as_object() == nullptr)
    throw Error(ErrorKind::usage, "\"transports\" is not an object");
  for (const auto& [transport, scopes] : *transports.as_object()) {
    if (scopes.as_object() == nullptr)
      throw invalid("transport " + quoted(transport), "is not an object");
    for (const auto& [scope, requirements] : *scopes.as_object()) {
      const std::string where =
          fmt::format("scope {} of {}", quoted(scope), printable(transport, 60));
      if (!scope.empty() && !is_policy_scope(transport, scope))
        throw invalid(where, "can name no image there");
      transports_[transport][scope] = parse_requirements(requirements, where);
    }
  }
}

Policy Policy::parse(std::string_view text, const std::string& path) {
  return with_context("policy " + path, [&] {
    Policy policy;
    policy.path_ = path;
    try {
      const Json document = Json::parse(text, {kMaxPolicyBytes, 32});
      object_of(document, {"default", "transports"}, "the policy");
      const Json* by_default = document.find("default");
      if (by_default == nullptr) throw Error(ErrorKind::usage, "the key \"default\" is missing");
      policy.default_ = parse_requirements(*by_default, "\"default\"");
      if (const Json* transports = document.find("transports"))
        policy.parse_transports(*transports);
    } catch (const Error& error) {
      throw Error(ErrorKind::usage, error.message());
    }
    return policy;
  });
}

void Policy::check(const ImageReference& source) const {
  const Requirements* chosen = &default_;
  std::string where = "its default";
  if (const auto transport = transports_.find(std::string(to_string(source.transport)));
      transport != transports_.end()) {
    for (const std::string& scope : policy_scopes(source)) {
      if (const auto found = transport->second.find(scope); found != transport->second.end()) {
        chosen = &found->second;
        where = scope.empty() ? fmt::format("its rule for {}", transport->first)
                              : fmt::format("its scope {}", scope);
        break;
      }
    }
  }
  for (const Requirement& requirement : *chosen) {
    if (requirement.verdict == Verdict::accept) continue;
    if (requirement.verdict == Verdict::reject) {
      throw Error(ErrorKind::denied,
                  fmt::format("policy {} rejects {} ({})", path_, source.str(), where));
    }
    throw Error(
        ErrorKind::denied,
        fmt::format(
            "policy {} demands a signature ({}) for {} ({}), and this version of tug verifies none",
            path_, requirement.type, source.str(), where))
        .set_hint("--insecure-policy copies without any check");
  }
}

}  // namespace tug
