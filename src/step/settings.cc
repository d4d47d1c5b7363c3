#include "step/settings.h"

#include "base/strings.h"
#include "step/artifacts.h"
#include "step/step_error.h"
#include "step/truth.h"

#include <tug/reference.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tug::step {
namespace {

// --- the table of section 1 ---

template <std::size_t N>
using Keys = std::array<std::string_view, N>;

constexpr Keys<2> kSourceType = {"container-image-pull-registry-type",
                                 "container-image-registry-type"};
constexpr Keys<2> kSourceAddress = {"container-image-pull-address",
                                    "container-image-build-address"};
// The presence check has a comma where the look-up has a hyphen; so has upstream.
constexpr Keys<2> kSourceTlsCheck = {"source-tls,verify", "src-tls-verify"};
constexpr Keys<2> kSourceTls = {"source-tls-verify", "src-tls-verify"};
constexpr Keys<2> kDestinationType = {"container-image-push-registry-type",
                                      "container-image-registry-type"};
constexpr Keys<2> kRegistry = {"container-image-push-registry", "destination-url"};
constexpr Keys<2> kRepository = {"container-image-push-repository", "container-image-repository"};
constexpr Keys<3> kTag = {"container-image-push-tag", "container-image-tag",
                          "container-image-version"};
constexpr Keys<1> kDestinationTls = {"dest-tls-verify"};
constexpr Keys<1> kAuthFile = {"containers-config-auth-file"};
constexpr Keys<1> kRegistries = {"container-registries"};
constexpr Keys<1> kAdditionalArtifacts = {"additional-artifacts"};

Value defaults() {
  return Value::map({{"src-tls-verify", true},
                     {"dest-tls-verify", true},
                     {"container-image-pull-registry-type", "containers-storage:"},
                     {"container-image-push-registry-type", "docker://"},
                     {"container-image-push-tag", "latest"}});
}

[[noreturn]] void fatal(std::string message) {
  throw StepError(StepStatus::fatal, std::move(message));
}

// --- before anything else ---

// Upstream prints the configuration as JSON, which a date ends (1.3).
void refuse_dates(const Value& value) {
  if (value.type() == Value::Type::date)
    fatal(value.where() + ": " + printable(value.str(), 60) +
          " is a date to YAML, and no setting is one: quote it");
  if (const Value::List* items = value.as_list())
    for (const Value& item : *items) refuse_dates(item);
  if (const Value::Map* entries = value.as_map())
    for (const auto& [key, content] : *entries) refuse_dates(content);
}

void refuse_dates(const StepInput& input) {
  refuse_dates(input.config.global_defaults());
  refuse_dates(input.config.environment_defaults(input.environment));
  refuse_dates(input.sub_step.config);
  if (const Value* own = input.sub_step.environment_config.find(input.environment))
    refuse_dates(*own);
}

// The check of 1.5, in the order of the table.
void require_settings(Lookup& lookup) {
  const std::array<Aliases, 8> required = {
      kSourceType, kSourceAddress, kSourceTlsCheck, kDestinationType, kRegistry,
      kRepository, kTag,           kDestinationTls};
  Value missing = Value::list();
  for (const Aliases aliases : required) {
    if (lookup.find(aliases)) continue;
    Value names = Value::list();
    for (const std::string_view alias : aliases) names.as_list()->push_back(alias);
    missing.as_list()->push_back(aliases.size() == 1 ? Value(aliases.front()) : names);
  }
  if (!missing.truthy()) return;
  throw StepError(StepStatus::not_successful,
                  "Missing required step configuration or previous step result artifact keys: " +
                      missing.repr());
}

// --- booleans (1.2) ---

struct TlsVerify {
  bool flag = true;   // for the copy
  bool truth = true;  // for logins: plain truthiness counts
};

// `refusal` is set when skopeo refuses what would become its flag.
TlsVerify read_tls_verify(Lookup& lookup, Aliases aliases, std::string_view flag_name,
                          std::optional<std::string>& refusal) {
  const auto found = lookup.find(aliases);
  if (found && found->value.is_string()) {
    const auto flag = strtobool(*found->value.as_string());
    if (!flag)
      fatal("invalid truth value " + python_repr(printable(*found->value.as_string(), 60)) +
            " for " + found->key + " (" + found->source + "): write true or false");
    return {*flag, *flag};
  }
  const std::string text = to_lower(found ? found->value.str() : "None");
  const bool truth = found && found->value.truthy();
  if (const auto flag = parse_flag_bool(text)) return {*flag, truth};
  refusal = "invalid argument " + python_repr(printable(text, 60)) + " for --" +
            std::string(flag_name) + ": write true or false" +
            (found ? " for " + found->key + " (" + found->source + ")" : "");
  return {true, truth};
}

// --- strings ---

// One of the settings 1, 2, 4 to 7, which the check has found.
class TextSettings {
 public:
  TextSettings(Lookup& lookup, std::vector<std::string>& warnings)
      : lookup_(lookup), warnings_(warnings) {}

  Lookup::Found find(Aliases aliases) {
    Lookup::Found found = *lookup_.find(aliases);
    warn_if_typed(found, aliases.data() == kTag.data());
    return found;
  }
  Lookup::Found find_nonempty(Aliases aliases) {
    Lookup::Found found = find(aliases);
    if (found.value.is_string() && !found.value.truthy()) refuse_empty(found);
    return found;
  }
  [[noreturn]] static void refuse_empty(const Lookup::Found& found) {
    fatal(found.key + " is empty (" + found.source + "): give it a value, or remove it");
  }

 private:
  // 1.10 becomes 1.1, 010 becomes 8. A tag is told of even when it happens to survive: the next may
  // not.
  void warn_if_typed(const Lookup::Found& found, bool is_tag) {
    const std::string& written = found.value.written();
    if (!found.is_configured || written.empty()) return;
    const std::string text = found.value.str();
    if (text == written && !is_tag) return;
    warnings_.push_back(found.key + ": " + printable(written, 100) + " is read as " +
                        std::string(found.value.type_name()) +
                        (text == written ? "" : " and becomes " + printable(text, 100)) +
                        "; quote it to keep it as written (" + found.source + ")");
  }

  Lookup& lookup_;
  std::vector<std::string>& warnings_;
};

// Why skopeo calls `reference` invalid; nullopt when it does not.
std::optional<std::string> reference_error(const std::string& reference) {
  try {
    const ImageReference parsed = ImageReference::parse(reference);
    if (parsed.transport == Transport::docker)
      static_cast<void>(RegistryReference::parse(parsed.rest));
  } catch (const Error& error) {
    return "invalid reference format: " + std::string(error.what());
  }
  return std::nullopt;
}

// An empty transport is fine as long as the address brings its own.
void check_reference(const std::string& reference, const Lookup::Found& type,
                     std::optional<std::string>& refusal) {
  const auto error = reference_error(reference);
  if (!error) return;
  if (type.value.is_string() && !type.value.truthy()) TextSettings::refuse_empty(type);
  if (!refusal) refusal = error;
}

void find_references(Lookup& lookup, EffectiveSettings& settings) {
  TextSettings texts(lookup, settings.warnings);
  const Lookup::Found source_type = texts.find(kSourceType);
  const Lookup::Found source_address = texts.find_nonempty(kSourceAddress);
  const Lookup::Found destination_type = texts.find(kDestinationType);
  settings.registry_value = texts.find_nonempty(kRegistry).value;
  settings.repository_value = texts.find_nonempty(kRepository).value;
  settings.tag_value = texts.find_nonempty(kTag).value;
  settings.registry = settings.registry_value.str();
  settings.repository = settings.repository_value.str();
  settings.tag = settings.tag_value.str();
  settings.source_address = source_address.value.str();
  settings.source = source_type.value.str() + settings.source_address;
  settings.destination = destination_type.value.str() + settings.address_by_tag();
  check_reference(settings.source, source_type, settings.refusal);
  check_reference(settings.destination, destination_type, settings.refusal);
}

// --- the rest ---

// An empty name counts as none, as in upstream (4.3).
void find_authfile(Lookup& lookup, const StepInput& input, EffectiveSettings& settings) {
  const auto found = lookup.find(kAuthFile);
  settings.authfile_is_default = !found || !found->value.truthy();
  settings.authfile = settings.authfile_is_default
                          ? input.working_directory + "/" + input.step +
                                (input.environment.empty() ? "" : "/" + input.environment) +
                                "/container-auth.json"
                          : found->value.str();
}

Artifact additional_artifact(const Value& entry, const std::string& source) {
  if (const std::string* path = entry.as_string(); path != nullptr && !path->empty())
    return {path->substr(path->rfind('/') + 1), *path, ""};
  const Value* name = entry.find("name");
  const Value* value = entry.find("value");
  if (name == nullptr || value == nullptr || !name->truthy() || !value->truthy())
    fatal("additional-artifacts (" + source +
          "): each entry is text, or a mapping with a name and a value");
  return {name->str(), *value, ""};
}

// Anything but a list is ignored (6.1).
void find_additional_artifacts(Lookup& lookup, EffectiveSettings& settings) {
  const auto found = lookup.find(kAdditionalArtifacts);
  const Value::List* list = found ? found->value.as_list() : nullptr;
  if (list == nullptr) return;
  for (const Value& entry : *list)
    settings.additional_artifacts.push_back(additional_artifact(entry, found->source));
}

void warn_of_comma(const Lookup& lookup, std::vector<std::string>& warnings) {
  if (lookup.is_configured(kSourceTlsCheck.front()))
    warnings.push_back(std::string(kSourceTlsCheck.front()) +
                       " has no effect, although it is documented: write src-tls-verify");
}

// Each note once: a setting is looked up for the check and for its value.
void add_notes(const Lookup& lookup, std::vector<std::string>& warnings) {
  for (const std::string& note : lookup.notes())
    if (std::find(warnings.begin(), warnings.end(), note) == warnings.end())
      warnings.push_back(note);
}

}  // namespace

EffectiveSettings effective_settings(const StepInput& input) {
  refuse_dates(input);
  Lookup lookup(input, defaults());
  require_settings(lookup);
  EffectiveSettings settings;
  const TlsVerify destination =
      read_tls_verify(lookup, kDestinationTls, "dest-tls-verify", settings.refusal);
  const TlsVerify source = read_tls_verify(lookup, kSourceTls, "src-tls-verify", settings.refusal);
  settings.dest_tls_verify = destination.flag;
  settings.src_tls_verify = source.flag;
  if (const auto registries = lookup.find(kRegistries))
    settings.logins =
        read_registries(registries->value, destination.truth, input.decryptors, settings.warnings);
  find_references(lookup, settings);
  find_authfile(lookup, input, settings);
  find_additional_artifacts(lookup, settings);
  warn_of_comma(lookup, settings.warnings);
  add_notes(lookup, settings.warnings);
  return settings;
}

Json dry_run_json(const EffectiveSettings& settings, const SecretMask& claimed) {
  Json::Array logins;
  for (const Login& login : settings.logins)
    logins.push_back(Json::object(
        {{"registry", claimed.mask(login.registry)},
         {"username", login.hide_username ? std::string(SecretMask::kMask) : login.username},
         {"tls-verify", login.tls_verify}}));
  Json artifacts = artifacts_json(artifacts_before_push(settings));
  for (auto& [name, value] : *artifacts.as_object())
    if (const std::string* text = value.as_string()) value = claimed.mask(*text);
  return Json::object({{"source", claimed.mask(settings.source)},
                       {"destination", claimed.mask(settings.destination)},
                       {"tag", claimed.mask(settings.tag)},
                       {"authfile", claimed.mask(settings.authfile)},
                       {"src-tls-verify", settings.src_tls_verify},
                       {"dest-tls-verify", settings.dest_tls_verify},
                       {"logins", std::move(logins)},
                       {"artifacts", std::move(artifacts)}});
}

std::string describe(const EffectiveSettings& settings, const SecretMask& mask) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    std::string label(name);
    label.resize(18, ' ');
    text += "  " + label + printable(mask.mask(value), 1000) + "\n";
  };
  const auto yes_no = [](bool value) { return value ? "true" : "false"; };
  line("source", settings.source);
  line("destination", settings.destination);
  line("auth file", settings.authfile);
  line("src-tls-verify", yes_no(settings.src_tls_verify));
  line("dest-tls-verify", yes_no(settings.dest_tls_verify));
  for (const Login& login : settings.logins)
    line("login", login.registry + " (user and password " + std::string(SecretMask::kMask) +
                      ", tls-verify " + yes_no(login.tls_verify) + ")");
  return text;
}

}  // namespace tug::step
