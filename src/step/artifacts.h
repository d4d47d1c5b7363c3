// The artifacts of a push, and the forms in which they leave the program
// (step-contract 6.1, 6.2, 6.4). Pure functions.
#ifndef TUG_STEP_ARTIFACTS_H_
#define TUG_STEP_ARTIFACTS_H_

#include "oci/json.h"
#include "step/results.h"
#include "step/settings.h"

#include <tug/digest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug::step {

// The first five, known before the push, then additional-artifacts: what a failed copy records.
std::vector<Artifact> artifacts_before_push(const EffectiveSettings& settings);
// All eight, then additional-artifacts.
std::vector<Artifact> artifacts_after_push(const EffectiveSettings& settings, const Digest& digest);

// Messages of 6.2 and 4.4. `detail` is the reason, one line, without secrets.
std::string copy_failed_message(const EffectiveSettings& settings, std::string_view detail);
std::string digest_failed_message(std::string_view detail);
std::string login_failed_message(const Login& login, std::string_view detail);

// --artifacts: a flat object, name → value.
Json artifacts_json(const std::vector<Artifact>& artifacts);
// --env-file: NAME=VALUE lines for a shell to source. NAME is the artifact's name in upper case
// with
// '_' for what a shell does not allow in a name (CONTAINER_IMAGE_PUSH_DIGEST): `-` is refused by
// sh, GitLab's dotenv reports and docker --env-file's users alike. A VALUE of other than
// [A-Za-z0-9_@%+=:,./-] stands in single quotes. Lists and mappings are JSON.
std::string artifacts_env(const std::vector<Artifact>& artifacts);
// --handover: the configuration fragment of 6.4(2).
std::string artifacts_handover(const std::vector<Artifact>& artifacts);

}  // namespace tug::step

#endif  // TUG_STEP_ARTIFACTS_H_
