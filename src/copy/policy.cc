#include "copy/policy.h"

#include "base/fd.h"
#include "base/strings.h"
#include "oci/json.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <filesystem>

namespace tug {
namespace {

constexpr std::size_t kMaxPolicyBytes = 1024 * 1024;

// "host/a/b:tag" → that, "host/a/b", "host/a", "host", "*.domain" …
void add_docker_scopes(const std::string& rest, std::vector<std::string>& scopes) {
  const RegistryReference reference = RegistryReference::parse(rest);
  scopes.push_back(reference.str());
  std::string name = reference.name();
  for (;;) {
    scopes.push_back(name);
    const auto slash = name.rfind('/');
    if (slash == std::string::npos) break;
    name.resize(slash);
  }
  const std::string host = name.substr(0, name.find(':'));
  for (auto dot = host.find('.'); dot != std::string::npos; dot = host.find('.', dot + 1))
    scopes.push_back("*" + host.substr(dot));
}

// "/a/b/c" → that, "/a/b", "/a", "/"
void add_path_scopes(const std::string& path, std::vector<std::string>& scopes) {
  std::string scope = std::filesystem::absolute(path).lexically_normal().string();
  while (scope.size() > 1) {
    scopes.push_back(scope);
    const auto slash = scope.rfind('/');
    scope.resize(slash == 0 ? 1 : slash);
  }
  scopes.emplace_back("/");
}

}  // namespace

std::vector<std::string> policy_scopes(const ImageReference& source) {
  std::vector<std::string> scopes;
  switch (source.transport) {
    case Transport::docker:
      add_docker_scopes(source.rest, scopes);
      break;
    case Transport::oci:
    case Transport::oci_archive:
    case Transport::docker_archive: {
      const std::string path = source.rest.substr(0, source.rest.find(':'));
      if (path.size() != source.rest.size())
        scopes.push_back(std::filesystem::absolute(path).lexically_normal().string() +
                         source.rest.substr(path.size()));
      add_path_scopes(path, scopes);
      break;
    }
    case Transport::dir:
      add_path_scopes(source.rest, scopes);
      break;
    default:
      scopes.push_back(source.rest);
  }
  scopes.emplace_back();
  return scopes;
}

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

Policy::Requirements Policy::parse_requirements(const Json& value, const std::string& where) {
  if (value.as_array() == nullptr || value.as_array()->empty()) {
    throw Error(ErrorKind::usage, where + " is not a list of requirements");
  }
  Requirements requirements;
  for (const Json& item : *value.as_array()) {
    const std::string type = item.string_or_empty("type");
    if (type == "insecureAcceptAnything") {
      requirements.push_back({Verdict::accept, type});
    } else if (type == "reject") {
      requirements.push_back({Verdict::reject, type});
    } else if (type == "signedBy" || type == "sigstoreSigned" || type == "signedBaseLayer") {
      requirements.push_back({Verdict::needs_signature, type});
    } else {
      throw Error(ErrorKind::usage, fmt::format("{} has a requirement of the unknown type \"{}\"",
                                                where, printable(type, 60)));
    }
  }
  return requirements;
}

Policy Policy::parse(std::string_view text, const std::string& path) {
  return with_context("policy " + path, [&] {
    Policy policy;
    policy.path_ = path;
    try {
      const Json document = Json::parse(text, {kMaxPolicyBytes, 32});
      const Json* by_default = document.find("default");
      if (by_default == nullptr) throw Error(ErrorKind::usage, "the key \"default\" is missing");
      policy.default_ = parse_requirements(*by_default, "\"default\"");
      if (const Json* transports = document.find("transports");
          transports != nullptr && transports->as_object() != nullptr) {
        for (const auto& [transport, scopes] : *transports->as_object()) {
          if (scopes.as_object() == nullptr)
            throw Error(ErrorKind::usage,
                        fmt::format("transport \"{}\" is not an object", printable(transport, 60)));
          for (const auto& [scope, requirements] : *scopes.as_object()) {
            policy.transports_[transport][scope] = parse_requirements(
                requirements,
                fmt::format("scope \"{}\" of {}", printable(scope, 100), printable(transport, 60)));
          }
        }
      }
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
