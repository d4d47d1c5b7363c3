#include "step/artifacts.h"

#include "base/strings.h"
#include "step/yaml_writer.h"

#include <algorithm>

namespace tug::step {
namespace {

// The descriptions are recorded ones, word for word (6.1).
std::vector<Artifact> known_before_push(const EffectiveSettings& settings) {
  return {
      {"container-image-push-registry", settings.registry_value,
       "Container image registry container image was pushed to."},
      {"container-image-push-repository", settings.repository_value,
       "Container image repository container image was pushed to."},
      {"container-image-push-tag", settings.tag_value,
       "Container image tag container image was pushed to."},
      {"container-image-address-by-tag", settings.address_by_tag(),
       "Pushed container image address by tag."},
      {"container-image-short-address-by-tag", settings.short_address_by_tag(),
       "Pushed container image short address (no registry) by tag."},
  };
}

std::vector<Artifact> with_additional(std::vector<Artifact> artifacts,
                                      const EffectiveSettings& settings) {
  artifacts.insert(artifacts.end(), settings.additional_artifacts.begin(),
                   settings.additional_artifacts.end());
  return artifacts;
}

// What sh, docker and dotenv files alike take as a name.
std::string variable_name(std::string_view artifact) {
  std::string name;
  for (const char c : artifact) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool allowed = lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += lower ? static_cast<char>(c - 'a' + 'A') : allowed ? c : '_';
  }
  const bool begins_with_digit = !name.empty() && name.front() >= '0' && name.front() <= '9';
  return begins_with_digit ? "_" + name : name;
}

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (text.find_first_not_of(kSafe) == std::string_view::npos) return std::string(text);
  return single_quoted(text);
}

}  // namespace

std::vector<Artifact> artifacts_before_push(const EffectiveSettings& settings) {
  return with_additional(known_before_push(settings), settings);
}

std::vector<Artifact> artifacts_after_push(const EffectiveSettings& settings,
                                           const Digest& digest) {
  std::vector<Artifact> artifacts = known_before_push(settings);
  const std::string short_address = settings.repository + "@" + digest.str();
  artifacts.push_back({"container-image-push-digest", digest.str(),
                       "Container image digest container image was pushed to."});
  artifacts.push_back({"container-image-address-by-digest", settings.registry + "/" + short_address,
                       "Pushed container image address by digest."});
  artifacts.push_back({"container-image-short-address-by-digest", short_address,
                       "Pushed container image short address (no registry) by digest."});
  return with_additional(std::move(artifacts), settings);
}

std::string copy_failed_message(const EffectiveSettings& settings, std::string_view detail) {
  return "Error pushing container image (" + settings.source_address + ")  to tag (" +
         settings.address_by_tag() + ") using skopeo: " + std::string(detail);
}

std::string digest_failed_message(std::string_view detail) {
  return "Error getting pushed container image digest: " + std::string(detail);
}

std::string login_failed_message(const Login& login, std::string_view detail) {
  const std::string user = login.hide_username ? std::string(SecretMask::kMask) : login.username;
  return "Failed to login to container registry (" + login.uri + ") with username (" + user +
         "): " + std::string(detail);
}

Json artifacts_json(const std::vector<Artifact>& artifacts) {
  Json object = Json::object();
  for (const Artifact& artifact : artifacts) object.set(artifact.name, artifact.value.to_json());
  return object;
}

std::string artifacts_env(const std::vector<Artifact>& artifacts) {
  std::string lines;
  for (const Artifact& artifact : artifacts) {
    const bool is_text = !artifact.value.is_list() && !artifact.value.is_map();
    const std::string value = is_text ? artifact.value.str() : artifact.value.to_json().dump();
    lines += variable_name(artifact.name) + "=" + shell_quoted(value) + "\n";
  }
  return lines;
}

std::string artifacts_handover(const std::vector<Artifact>& artifacts) {
  Value defaults = Value::map();
  for (const Artifact& artifact : artifacts) defaults.set(artifact.name, artifact.value);
  return write_yaml(
      Value::map({{"step-runner-config", Value::map({{"global-defaults", defaults}})}}));
}

}  // namespace tug::step
