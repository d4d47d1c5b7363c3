// The effective settings of one sub-step (step-contract sections 1 to 4): what the copy needs to
// know, found, checked and pasted together. Pure but for sops. A value.
#ifndef TUG_STEP_SETTINGS_H_
#define TUG_STEP_SETTINGS_H_

#include "oci/json.h"
#include "step/lookup.h"
#include "step/registries.h"
#include "step/results.h"

#include <optional>
#include <string>
#include <vector>

namespace tug::step {

struct EffectiveSettings {
  std::string source;          // "containers-storage:localhost/org/app:1"
  std::string source_address;  // without its transport, for the message of a failed copy
  std::string destination;     // "docker://registry/repository:tag"
  // Settings 5, 6 and 7 with the type that YAML gave them, which is what the artifacts record, …
  Value registry_value;
  Value repository_value;
  Value tag_value;
  // … and as Python's str(), which is what references are made of.
  std::string registry;
  std::string repository;
  std::string tag;
  bool src_tls_verify = true;
  bool dest_tls_verify = true;
  std::string authfile;  // relative paths stay relative
  // The default one: make its directory before the first login; a configured one's is the user's.
  bool authfile_is_default = true;
  std::vector<Login> logins;
  std::vector<Artifact> additional_artifacts;
  // Why the copy cannot start although the settings are complete: a reference or a TLS flag that
  // skopeo refuses. The outcome is that of a failed copy (6.2), five artifacts included.
  std::optional<std::string> refusal;
  std::vector<std::string> warnings;  // one line each, without secrets

  [[nodiscard]] std::string short_address_by_tag() const { return repository + ":" + tag; }
  [[nodiscard]] std::string address_by_tag() const {
    return registry + "/" + short_address_by_tag();
  }
};

// Finds and checks everything. Throws StepError: not_successful for missing settings (1.5) and
// malformed container-registries (4.1); fatal for a bad truth value (1.2), an empty string (section
// 9), a date anywhere in what concerns this sub-step (1.3), a failing sops.
EffectiveSettings effective_settings(const StepInput& input);

// What --dry-run prints for a sub-step: source, destination, tag, authfile, src-tls-verify,
// dest-tls-verify, logins, artifacts (name → value). No password, ever; `claimed` is
// Decryptors::claimed().
Json dry_run_json(const EffectiveSettings& settings, const SecretMask& claimed);
// The same for people: lines "  source        containers-storage:…"; `mask` is Decryptors::mask().
std::string describe(const EffectiveSettings& settings, const SecretMask& mask);

}  // namespace tug::step

#endif  // TUG_STEP_SETTINGS_H_
