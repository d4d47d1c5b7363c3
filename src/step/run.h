// Running the step: settings → logins → copy → artifacts, for each of its sub-steps
// (step-contract.md). No program is started but sops and credential helpers.
#ifndef TUG_STEP_RUN_H_
#define TUG_STEP_RUN_H_

#include "copy/execute.h"
#include "copy/policy.h"
#include "registry/host.h"
#include "step/step_error.h"
#include "transport/open.h"

#include <tug/descriptor.h>

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::step {

// What was asked for (2.1, 6.4).
struct RunRequest {
  std::string step;
  std::string environment;  // "" without -e
  // Unset: psr.yaml, which may be missing when there are overrides: then flags alone do.
  std::optional<std::vector<std::string>> config_paths;
  std::vector<std::string> overrides;  // --step-config items
  bool dry_run = false;
  // Written when the step was successful; "-": standard output.
  std::optional<std::string> artifacts_file;
  std::optional<std::string> env_file;
  std::optional<std::string> handover_file;
};

// What a run works with. References must outlive it.
struct RunEnvironment {
  const registry::Environment& registries;
  const TransportEnvironment& transports;
  CopyEnvironment copies;
  std::function<Policy()> policy;  // read when the first image is copied
  CopyOptions copy_options;
  std::function<void(std::string_view)> print;  // a line (or several) for people; no secret in it
  std::function<void(std::string_view)> warn;   // the same, for standard error
  std::function<void(std::string_view)> data;   // standard output, for programs
};

struct Outcome {
  StepStatus status = StepStatus::success;
  std::string reason;  // for closing_line(); without secrets
};

// Runs all sub-steps. What happened to each is in the results files, unless it is a dry run. Throws
// StepError for configurations that cannot be read (missing_config, invalid_config), for a step
// that is not configured, and for results files that cannot be read or written (fatal): then
// nothing was pushed. Throws Error(interrupted), after the interrupted sub-step was recorded as
// failed.
Outcome run(const RunRequest& request, const RunEnvironment& environment,
            const std::stop_token& stop);

}  // namespace tug::step

#endif  // TUG_STEP_RUN_H_
